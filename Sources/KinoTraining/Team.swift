internal import Foundation
internal import Kino
internal import KinoTensor

/// The processes that train together, or this one alone.
struct Team {
  let group: ProcessGroup?

  static let alone = Team(group: nil)

  var rank: Int { group?.rank ?? 0 }
  var size: Int { group?.size ?? 1 }

  /// Whether this process writes what is written once.
  var isFirst: Bool { rank == 0 }

  /// Where this process computes: a machine's processes take its graphics processors in turn.
  func device(_ device: ComputeDevice?) -> Device {
    device == .cuda ? .cuda(group?.place.localRank ?? 0) : device?.tensorDevice ?? .cpu
  }

  /// The sums of all processes' numbers.
  func sum(_ values: [Double]) throws -> [Double] {
    guard let group else { return values }
    let sums = Tensor(values.map(Float.init), shape: [values.count])
    try group.sum(inPlace: sums)
    return sums.floats().map(Double.init)
  }

  /// Whether any process says so.
  func any(_ flag: Bool) throws -> Bool {
    guard group != nil else { return flag }
    return try sum([flag ? 1 : 0])[0] > 0
  }

  /// What the first process says, a whole number below 2^24.
  func agreed(_ value: Int) throws -> Int {
    guard group != nil else { return value }
    return Int(try sum([isFirst ? Double(value) : 0])[0])
  }

  /// Does something in the first process, then in the others.
  func inTurn<Result>(_ body: () throws -> Result) throws -> Result {
    if !isFirst { try group?.barrier() }
    let result = try body()
    if isFirst { try group?.barrier() }
    return result
  }

  /// Throws where a process does not see the folder that the first one sees.
  func requireShared(_ folder: URL) throws {
    guard let group else { return }
    let token = try agreed(Int.random(in: 1..<1 << 24))
    let mark = folder.appendingPathComponent(".together-\(token)")
    if isFirst { try Data().write(to: mark) }
    try group.barrier()
    let isSeen = FileManager.default.fileExists(atPath: mark.path)
    let all = try sum([isSeen ? 1 : 0])[0]
    if isFirst { try? FileManager.default.removeItem(at: mark) }
    guard Int(all) == size else {
      throw TrainingError(
        .cannotWrite,
        "\(folder.path): \(size - Int(all)) of \(size) processes see another folder there; choose an output folder that all machines share."
      )
    }
  }
}

/// Which part of a step's batch is computed at a time: its share of a process, or a piece of that.
struct BatchPart: Hashable {
  let index: Int
  let count: Int

  static let whole = BatchPart(index: 0, count: 1)

  /// The samples of a batch; the first parts are the larger ones, and the last may be empty.
  func range(of total: Int) -> Range<Int> {
    (index * total + count - 1) / count..<((index + 1) * total + count - 1) / count
  }
}
