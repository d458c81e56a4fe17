import Foundation
import KinoTensor
import Synchronization
import Testing

@testable import KinoTraining

@Suite("Batches made ahead")
struct BatchesAheadTests {
  @Test("come in the order of their steps, several in the making at once, and none after the last")
  func order() throws {
    let begun = Mutex<Set<Int>>([])
    let ahead = BatchesAhead<Int>(last: 20) { step, _ in
      begun.withLock { _ = $0.insert(step) }
      Thread.sleep(forTimeInterval: step.isMultiple(of: 3) ? 0.02 : 0)
      return step * step
    }
    for step in 3...20 {
      #expect(try ahead.batch(step: step) { false } == step * step)
    }
    ahead.stop()
    #expect(begun.withLock { $0 } == Set(3...20))
  }

  @Test("wait for no batch that was stopped, and end what is in the making")
  func stopping() throws {
    let hasEnded = Mutex(false)
    let ahead = BatchesAhead<Int>(last: 1) { _, shouldStop in
      while !shouldStop() { Thread.sleep(forTimeInterval: 0.01) }
      hasEnded.withLock { $0 = true }
      return nil
    }
    #expect(try ahead.batch(step: 1) { true } == nil)
    ahead.stop()
    #expect(hasEnded.withLock { $0 })
  }

  @Test("hand on the error of their making")
  func failing() throws {
    let ahead = BatchesAhead<Int>(last: 4) { step, _ in
      if step == 2 { throw TrainingError(.dataNotFound, "no data for step \(step)") }
      return step
    }
    #expect(try ahead.batch(step: 1) { false } == 1)
    #expect(throws: TrainingError.self) { try ahead.batch(step: 2) { false } }
    ahead.stop()
  }
}
