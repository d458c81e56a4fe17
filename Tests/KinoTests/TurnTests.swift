import Dispatch
import Kino
import KinoTestSupport
import Testing

@testable import Kino

struct TurnTests {
  @Test(.timeLimit(.minutes(2)))
  func `A plan does not wait for the clip that is being made`() async throws {
    let folder = try TinyFolder()
    let studio = try await folder.studio()
    let resolved = try request().validated(for: studio.model)
    let plan = try Plan(resolved, model: studio.model, keepsFrames: true)
    let recipe = Recipe(resolved, model: studio.model, hash: "")
    let gate = DispatchSemaphore(value: 0)
    let (steps, stepped) = AsyncStream.makeStream(of: Void.self)
    let making = Task {
      try await studio.actor.render(resolved, plan: plan, to: .memory, recipe: recipe) { event in
        // The model's thread stands still from the first step on.
        if case .step(let step) = event, step.index == 1 {
          stepped.yield()
          gate.wait()
        }
      }
    }
    for await _ in steps { break }
    let other = try await studio.plan(request("a blue cube"))
    #expect(other.tokenCount > 0 && other.fastestSeconds > 0)
    gate.signal()
    try await making.value
  }
}
