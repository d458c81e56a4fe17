/// A run of frames between two cuts, and what becomes of it.
struct ScenePart: Hashable, Sendable {
  /// Frames of the file, as it is shown.
  var frames: Range<Int>
  /// Why it is left out; `nil` if it is kept.
  var omission: Omission?
}

/// Why a part or a file is left out.
public enum Omission: String, Codable, Hashable, Sendable, CaseIterable {
  case black, blank, still, short, double, uncaptioned, unreadable

  /// The reason in words.
  var words: String {
    switch self {
    case .black: "black"
    case .blank: "of one colour"
    case .still: "nothing moves"
    case .short: "too short"
    case .double: "seen before"
    case .uncaptioned: "no caption"
    case .unreadable: "can't be read"
    }
  }
}

/// Finds the cuts of a clip, and the parts in which there is nothing to learn.
///
/// A cut is a frame that differs from the one before by far more than its neighbours do. Flashes, one
/// frame long, are none; slow transitions are not found.
struct SceneCutter {
  /// Frames a second.
  var rate: Double
  /// The shortest and the longest part that is kept, in seconds.
  var seconds: ClosedRange<Double>
  /// Whether parts in which nothing moves are kept.
  var keepsStill: Bool

  /// The least change, in levels, that can be a cut, and how many times the neighbours' it is.
  private static let (leastCut, cutRatio): (Float, Float) = (10, 3)
  /// A part at least so long, in seconds, in which no cell changes by more than a level, is still.
  private static let stillSeconds = 1.0
  /// What is black or of one colour for less, in seconds, is a flash and stays.
  private static let flashSeconds = 0.25

  /// Divides a clip into parts, in order, without gaps.
  func parts(_ facts: [FrameFacts]) -> [ScenePart] {
    let cuts = Set(facts.indices.filter { isCut($0, in: facts) })
    let omissions = omissions(facts, cuts: cuts)
    return runs(
      in: facts.indices, where: { !cuts.contains($1) && omissions[$0] == omissions[$1] }
    ).flatMap { pieces(of: $0, omissions[$0.lowerBound]) }
  }

  private func isCut(_ index: Int, in facts: [FrameFacts]) -> Bool {
    let change = facts[index].change
    guard index > 0, change >= Self.leastCut else { return false }
    let around = max(0, index - 8)..<min(facts.count, index + 9)
    let others = around.filter { $0 != index && $0 > 0 }.map { facts[$0].change }.sorted()
    let median = others.isEmpty ? 0 : others[others.count / 2]
    guard change > Self.cutRatio * median else { return false }
    // A flash: the frame after it looks like the one before it.
    let isBeforeFlash =
      index + 1 < facts.count && facts[index + 1].changeOverTwo < change / Self.cutRatio
    let isAfterFlash = index > 1 && facts[index].changeOverTwo < change / Self.cutRatio
    return !isBeforeFlash && !isAfterFlash
  }

  /// What is wrong with each frame.
  private func omissions(_ facts: [FrameFacts], cuts: Set<Int>) -> [Omission?] {
    var omissions = facts.map { frame -> Omission? in
      guard frame.contrast < 12 else { return nil }
      return frame.brightness < 24 ? .black : frame.contrast < 4 ? .blank : nil
    }
    for run in runs(in: facts.indices, where: { omissions[$0] == omissions[$1] }) {
      let isFlash = Double(run.count) < Self.flashSeconds * rate && run.count < facts.count
      if isFlash { for frame in run { omissions[frame] = nil } }
    }
    if keepsStill { return omissions }
    for run in runs(
      in: facts.indices, where: { !cuts.contains($1) && facts[$1].greatestChange <= 1 })
    where run.count > 1 && Double(run.count) >= Self.stillSeconds * rate {
      for frame in run where omissions[frame] == nil { omissions[frame] = .still }
    }
    return omissions
  }

  /// Divides a range wherever two neighbours do not belong together.
  private func runs(
    in range: Range<Int>, where areTogether: (Int, Int) -> Bool
  ) -> [Range<Int>] {
    var runs: [Range<Int>] = []
    for index in range {
      if let last = runs.last, areTogether(index - 1, index) {
        runs[runs.count - 1] = last.lowerBound..<index + 1
      } else {
        runs.append(index..<index + 1)
      }
    }
    return runs
  }

  /// A run as one part, or in equal pieces that are short enough.
  private func pieces(of run: Range<Int>, _ omission: Omission?) -> [ScenePart] {
    if let omission { return [ScenePart(frames: run, omission: omission)] }
    // A clip that is a rounding error too short is long enough.
    if Double(run.count) < (seconds.lowerBound * rate).rounded(.down) {
      return [ScenePart(frames: run, omission: .short)]
    }
    let longest = max(1, (seconds.upperBound * rate).rounded(.down))
    let count = max(1, Int((Double(run.count) / longest).rounded(.up)))
    return (0..<count).map { piece in
      let first = run.lowerBound + run.count * piece / count
      let last = run.lowerBound + run.count * (piece + 1) / count
      return ScenePart(frames: first..<last, omission: nil)
    }
  }
}
