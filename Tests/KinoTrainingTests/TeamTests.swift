import Foundation
import KinoTensor
import KinoTestSupport
import Testing

@testable import KinoTraining

@Suite("Training together", .serialized)
struct TeamTests {
  private func withTransformer(
    _ body: (_ runs: TinyRuns, _ configuration: (String, Int) throws -> TrainingConfiguration)
      throws -> Void
  ) throws {
    try withRuns { runs in
      let autoencoder = try runs.autoencoder("ae", steps: 1)
      try runs.run(autoencoder)
      try Trainer(autoencoder) { _ in }.export(to: runs.folder.appendingPathComponent("vae"))
      try body(runs) { name, steps in
        var configuration = try runs.transformer(
          name, steps: steps,
          more: """
            object_weight: 3
              truth: {weight: 0.3, block: 1, until: 1}
            """, picture: ", window: 32")
        for index in configuration.buckets.indices { configuration.buckets[index].batch = 3 }
        return configuration
      }
    }
  }

  @Test("parts of a batch have every sample once, the first parts the most")
  func parts() {
    for (total, count) in [(7, 3), (2, 4), (1, 2), (12, 4)] {
      let ranges = (0..<count).map { BatchPart(index: $0, count: count).range(of: total) }
      #expect(ranges.flatMap(Array.init) == Array(0..<total))
      #expect(!ranges[0].isEmpty && ranges.allSatisfy { $0.count <= ranges[0].count })
    }
    #expect(BatchPart.whole.range(of: 5) == 0..<5)
  }

  @Test("the state is dealt out evenly, every parameter to one process")
  func owners() {
    let counts = [100, 3, 50, 50, 1, 96]
    let owners = TrainingState.owners(of: counts, among: 3)
    let loads = (0..<3).map { rank in
      zip(counts, owners).reduce(0) { $0 + ($1.1 == rank ? $1.0 : 0) }
    }
    #expect(loads.reduce(0, +) == 300 && loads.allSatisfy { 96...104 ~= $0 })
    #expect(TrainingState.owners(of: counts, among: 1) == [0, 0, 0, 0, 0, 0])
  }

  @Test("two processes learn as one does, and one or three go on from their checkpoint")
  func together() throws {
    try withTransformer { runs, configuration in
      let (one, two) = (try configuration("one", 8), try configuration("two", 8))
      let alone = try runs.run(one)
      let halves = try ThreadTeam.run(2) { try runs.run(two, group: $0, stoppingAt: 4) }
      #expect(halves[0].count == 4 && halves[1].isEmpty)
      let copies = ["two-1", "two-3"].map { runs.folder.appendingPathComponent($0) }
      for copy in copies {
        try FileManager.default.copyItem(at: two.outputFolder, to: copy)
      }
      let rest = try runs.run(try configuration("two-1", 8))
      let three = try configuration("two-3", 8)
      let thirds = try ThreadTeam.run(3) { try runs.run(three, group: $0) }
      for step in 1...8 {
        let expected = try #require(alone[step])
        let found = step <= 4 ? [halves[0][step]] : [rest[step], thirds[0][step]]
        for loss in found { #expect(abs((loss ?? .nan) - expected) < 1e-4 * expected) }
      }
    }
  }

  @Test("a batch computed in parts gives what it gives as a whole")
  func accumulates() throws {
    try withTransformer { runs, configuration in
      let whole = try configuration("whole", 6)
      var parts = try configuration("parts", 6)
      parts.accumulate = 2
      let (expected, found) = (try runs.run(whole), try runs.run(parts))
      for (step, loss) in expected { #expect(abs((found[step] ?? .nan) - loss) < 1e-4 * loss) }
    }
  }

  @Test("what can't be shared out is refused")
  func refuses() throws {
    try withRuns { runs in
      var configuration = try runs.autoencoder("ae", steps: 1)
      configuration.accumulate = 2
      let error = #expect(throws: TrainingError.self) { try Trainer(configuration) { _ in } }
      #expect(error?.details.contains("Only transformers") == true)
    }
  }
}
