internal import KinoTensor

/// Turns a shot's decoded frames into frames of the result.
///
/// Known frames come out as their originals; beside them, what the originals show beyond their decoded
/// copies is carried over to the new side, so that no seam shows. Then frames of a slower canvas are spread
/// over the result's rate, and what a mask keeps is put back.
struct ShotFinisher {
  private let work: ResolvedComposition
  private let shot: ResolvedShot
  /// Originals at the size of the result, by frame of the canvas.
  private var anchors: [Int: Frame] = [:]
  private let lastAnchor: Int
  /// Frames that wait for the next anchor.
  private var pending: [(index: Int, frame: Frame)] = []
  private var past: (index: Int, detail: DetailTransfer)?
  /// The frame of the canvas that came out last, for those between two.
  private var recent: Frame?
  private var delivered = 0
  private var source: FrameStream?
  private var mask: FrameStream?

  /// Frames that one anchor looks back over, at most.
  private static let reach = 24
  private let reach: Int

  init(_ shot: ResolvedShot, work: ResolvedComposition, around: Surroundings) throws {
    self.work = work
    self.shot = shot
    let bytes = work.size.width * work.size.height * 3
    reach = max(4, min(Self.reach, (256 << 20) / bytes))
    if shot.before > 0, let last = around.previous.last { anchors[shot.before - 1] = last }
    if shot.after > 0, !around.next.isEmpty {
      let index = min(around.next.count - 1, shot.offset * shot.stride)
      anchors[shot.own.upperBound + shot.offset] = around.next[index]
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
    let detail = DetailTransfer(original: original, copy: copy, scale: scale)
    var result = try flush(until: (index, detail), keeping: 0)
    past = (index, detail)
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

  private mutating func flush(
    until next: (index: Int, detail: DetailTransfer)?, keeping count: Int
  ) throws -> [Frame] {
    var result: [Frame] = []
    while pending.count > count {
      let (index, frame) = pending.removeFirst()
      result += try deliver(seamless(frame, at: index, next), at: index)
    }
    return result
  }

  private func seamless(
    _ frame: Frame, at index: Int, _ next: (index: Int, detail: DetailTransfer)?
  ) -> Frame {
    if past == nil && next == nil { return frame }
    var sum = [Float](repeating: 0, count: frame.pixels.count)
    // Towards the next anchor its share grows from 0.
    let share = next.map { max(0, 1 - Double($0.index - index) / Double(reach)) } ?? 0
    past?.detail.add(to: frame, strength: 1 - share, into: &sum)
    next?.detail.add(to: frame, strength: share, into: &sum)
    return frame.adding(sum)
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
