internal import KinoTensor

/// Turns a shot's decoded frames into frames of the result.
///
/// Known frames come out as their originals; beside them, what the originals show beyond their decoded
/// copies is carried over to the new side, so that no seam shows. Where the model did not meet its neighbour
/// all the same, the new side dissolves into it, no faster than the neighbour itself changes, both near the
/// shot and on the whole. Then frames of a slower canvas are spread over the result's rate, and what a mask
/// keeps is put back.
struct ShotFinisher {
  private let work: ResolvedComposition
  private let shot: ResolvedShot
  /// Originals at the size of the result, by frame of the canvas.
  private var anchors: [Int: Frame] = [:]
  private let lastAnchor: Int
  /// The first frame after the shot, by frame of the canvas, where that does not know it but later ones.
  private var edge: (index: Int, frame: Frame)?
  /// Frames that wait for the next anchor.
  private var pending: [(index: Int, frame: Frame)] = []
  private var past: Anchor?
  /// The frame of the canvas that came out last, for those between two.
  private var recent: Frame?
  private var delivered = 0
  private var source: FrameStream?
  private var mask: FrameStream?

  /// How much neighbours change from frame to frame of the canvas, by the anchor that stands for each.
  private var changes: [Int: Double] = [:]

  /// A known frame that has been decoded.
  private struct Anchor {
    let index: Int
    let original: Frame
    let detail: DetailTransfer
    /// The known frame that new ones run into, and its place: nearer than the anchor where the canvas begins to
    /// know its neighbour only some frames on.
    let edge: (index: Int, frame: Frame)
    /// The share of that frame that the new one beside it takes, and over how many frames it ends.
    var dissolve: (share: Double, count: Int)?
  }

  /// Frames that one anchor looks back over, at most.
  private static let reach = 24
  private let reach: Int

  init(_ shot: ResolvedShot, work: ResolvedComposition, around: Surroundings) throws {
    self.work = work
    self.shot = shot
    let bytes = work.size.width * work.size.height * 3
    reach = max(4, min(Self.reach, (256 << 20) / bytes))
    if shot.before > 0, let last = around.previous.last {
      anchors[shot.before - 1] = last
      changes[shot.before - 1] = Self.change(
        around.previous, of: around.changesBefore, stride: shot.stride)
    }
    if shot.after > 0, !around.next.isEmpty {
      let index = min(around.next.count - 1, shot.offset * shot.stride)
      if shot.offset > 0 { edge = (shot.own.upperBound, around.next[0]) }
      anchors[shot.own.upperBound + shot.offset] = around.next[index]
      changes[shot.own.upperBound + shot.offset] = Self.change(
        around.next, of: around.changesAfter, stride: shot.stride)
    }
    for guide in shot.guides {
      guard let frame = guide.frame else { continue }
      var options = work.readOptions(guide.guide.part)
      options.frameLimit = guide.isStill ? 1 : guide.frameCount
      let reader = try ClipReader(path: guide.guide.part.path, options: options)
      var index = shot.own.lowerBound + frame
      while let original = try reader.next() {
        anchors[index] = original
        index += 1
      }
    }
    if let whole = shot.guides.first(where: { $0.frame == nil }) {
      if whole.guide.noiseLevel == 0 || whole.guide.mask != nil {
        source = try FrameStream(whole.guide.part, work: work)
      }
      mask = try whole.guide.mask.map { try FrameStream($0, work: work) }
    }
    lastAnchor = anchors.keys.max() ?? -1
  }

  /// The median change from frame to frame of the canvas: of frames of the result, or of the whole that they
  /// belong to, whichever is less; `nil` for fewer than two.
  private static func change(_ frames: [Frame], of whole: [Double], stride: Int) -> Double? {
    let near = median(zip(frames, frames.dropFirst(stride)).map { $0.difference(from: $1) })
    let usual = median(whole).map { $0 * Double(stride) }
    return [near, usual].compactMap(\.self).min()
  }

  private static func median(_ changes: [Double]) -> Double? {
    changes.isEmpty ? nil : changes.sorted()[changes.count / 2]
  }

  /// Takes the next decoded frame, at the size of the canvas.
  ///
  /// - Returns: The frames of the result that are complete now, in order.
  mutating func append(_ frame: Frame, at index: Int) throws -> [Frame] {
    let copy = try frame.resized(to: work.size, fit: work.canvasFit)
    guard let original = anchors[index] else {
      pending.append((index, copy))
      let waits = index < lastAnchor && pending.count < reach
      return waits ? [] : try flush(until: nil, keeping: index < lastAnchor ? reach - 1 : 0)
    }
    let scale = Double(work.size.width) / Double(work.canvasSize.width)
    let anchor = Anchor(
      index: index, original: original,
      detail: DetailTransfer(original: original, copy: copy, scale: scale),
      edge: edge.flatMap { $0.index < index ? $0 : nil } ?? (index, original))
    var result = try flush(until: anchor, keeping: 0)
    past = anchor
    result += try deliver(original, at: index)
    return result
  }

  /// The frames that are still to come, after the last decoded one.
  mutating func finish() throws -> [Frame] {
    var result = try flush(until: nil, keeping: 0)
    if let recent {
      while delivered < shot.frameCount { result.append(try masked(recent)) }
    }
    return result
  }

  // MARK: Seams

  private mutating func flush(until next: Anchor?, keeping count: Int) throws -> [Frame] {
    var next = next
    if let anchor = next, let last = pending.last(where: { $0.index < anchor.edge.index }) {
      next?.dissolve = dissolve(into: anchor, from: detailed(last.frame, at: last.index, anchor))
    }
    var result: [Frame] = []
    while pending.count > count {
      let (index, frame) = pending.removeFirst()
      var seamless = detailed(frame, at: index, next)
      if var anchor = past, anchor.index == index - 1 {
        anchor.dissolve = dissolve(into: anchor, from: seamless)
        past = anchor
      }
      for anchor in [past, next].compactMap(\.self) {
        seamless = dissolved(seamless, at: index, into: anchor)
      }
      // Frames of a slower canvas run on to what comes next, and not to what the model takes for it.
      if let edge, index == edge.index { seamless = edge.frame }
      result += try deliver(seamless, at: index)
    }
    return result
  }

  /// Carries the detail of the anchors on both sides over to a frame.
  private func detailed(_ frame: Frame, at index: Int, _ next: Anchor?) -> Frame {
    if past == nil && next == nil { return frame }
    var sum = [Float](repeating: 0, count: frame.pixels.count)
    // Towards the next anchor its share grows from 0.
    let share = next.map { max(0, 1 - Double($0.index - index) / Double(reach)) } ?? 0
    past?.detail.add(to: frame, strength: 1 - share, into: &sum)
    next?.detail.add(to: frame, strength: share, into: &sum)
    return frame.adding(sum)
  }

  /// How far the new frame beside an anchor must move to it, and how long that takes to end.
  private func dissolve(into anchor: Anchor, from frame: Frame) -> (share: Double, count: Int)? {
    guard let change = changes[anchor.index] else { return nil }
    let allowed = max(0.125, change)
    let jump = frame.difference(from: anchor.edge.frame)
    guard jump > allowed else { return nil }
    let count = min(reach / 2, max(1, shot.ownCount / 2), Int((jump / allowed).rounded(.up)))
    return (1 - allowed / jump, count)
  }

  private func dissolved(_ frame: Frame, at index: Int, into anchor: Anchor) -> Frame {
    guard let (share, count) = anchor.dissolve else { return frame }
    let distance = max(0, abs(anchor.edge.index - index) - 1)
    let part = share * (1 - Double(distance) / Double(count))
    return part > 0 ? frame.mixed(with: anchor.edge.frame, part) : frame
  }

  // MARK: Time

  private mutating func deliver(_ frame: Frame, at index: Int) throws -> [Frame] {
    defer { recent = frame }
    let own = index - shot.own.lowerBound
    if shot.stride == 1 {
      return own >= 0 && delivered < shot.frameCount && own < shot.ownCount
        ? [try masked(frame)] : []
    }
    var result: [Frame] = []
    while delivered < shot.frameCount, shot.canvasTime(of: delivered) <= Double(own) + 1e-9 {
      let share = shot.canvasTime(of: delivered) - Double(own - 1)
      result.append(
        try masked(share >= 1 - 1e-9 ? frame : (recent ?? frame).mixed(with: frame, max(0, share))))
    }
    return result
  }

  // MARK: Masks

  private mutating func masked(_ frame: Frame) throws -> Frame {
    delivered += 1
    guard let source, let original = try source.next() else { return frame }
    guard let mask else { return original }
    guard let picture = try mask.next() else { return original }
    return original.covered(by: frame, where: work.pixelMask(picture))
  }
}
