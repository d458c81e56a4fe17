internal import KinoDiffusion

/// Shots of models that know frames as pictures, one at each end at most.
extension ResolvedShot {
  /// The shot as a row of shots of about one length, each short enough for the model, and each but the first
  /// going on from the last frame of the one before; only the last knows what comes after.
  ///
  /// - Throws: ``StudioError`` if the model can't make such a shot.
  func pieces(in model: Model) throws -> [ResolvedShot] {
    let scale = model.geometry.temporalScale
    let known = joins.contains(.previous) ? 0 : 1
    let end = joins.contains(.next) ? 1 : 0
    // Frames that a window can add to a known one.
    let room = (model.geometry.latentFrames(model.windowFrames) - 1) * scale
    let isSplit = room > 0 && model.family.conditioning != .pictures(last: .required)
    let count = isSplit ? max(1, (ownCount - known + end + room - 1) / room) : 1
    let length = ((ownCount - known + count - 1) / count + scale - 1) / scale * scale
    return try (0..<count).map { index in
      let start = index == 0 ? 0 : known + index * length
      var piece = cut(start..<(index == count - 1 ? ownCount : known + (index + 1) * length))
      piece.firstDraw = model.geometry.latentFrames(start + 1) - 1
      try piece.fit(in: model)
      return piece
    }
  }

  /// A part of the shot by its own frames of the canvas, as a shot of its own.
  private func cut(_ frames: Range<Int>) -> ResolvedShot {
    let (isFirst, isLast) = (frames.lowerBound == 0, frames.upperBound == ownCount)
    if isFirst && isLast { return self }
    var ends = joins
    if !isFirst { ends.insert(.previous) }
    if !isLast { ends.remove(.next) }
    let current = prompts.lastIndex { $0.frame <= frames.lowerBound } ?? 0
    let heard = prompts[current...].filter { $0.frame < frames.upperBound }
    return ResolvedShot(
      prompts: heard.map { ($0.text, max(0, $0.frame - frames.lowerBound)) },
      frameCount: isLast ? frameCount - frames.lowerBound * stride : frames.count * stride,
      joins: ends, stride: stride, ownCount: frames.count, guides: isFirst ? guides : [])
  }

  /// Lays the shot out between a picture and perhaps another: the last frame of the canvas is that of the
  /// segment after that falls there.
  ///
  /// - Throws: ``StudioError`` if the model can't make such a shot.
  private mutating func fit(in model: Model) throws {
    let scale = model.geometry.temporalScale
    if joins.contains(.previous) { before = 1 }
    if joins.contains(.next) {
      offset = (scale - (before + ownCount) % scale) % scale
      after = 1
    }
    let count = before + ownCount + offset + after
    canvasFrameCount = (count - 1 + scale - 1) / scale * scale + 1
    try requireEnds(model)
    guard try windows(model).windows.count == 1 else {
      throw StudioError(
        .unsupported,
        """
        \(model.name) makes at most \(model.windowFrames) frames from one picture to another; this shot \
        takes \(canvasFrameCount). Make it shorter.
        """)
    }
  }

  private func requireEnds(_ model: Model) throws {
    guard case .pictures(let last) = model.family.conditioning else { return }
    let isFirst = guides.first.map { $0.frame == 0 && $0.isStill && $0.guide.noiseLevel == 0 }
    let first = before > 0 && guides.isEmpty || guides.count == 1 && before == 0 && isFirst == true
    let isLastRight =
      switch last {
      case .refused: after == 0
      case .allowed: true
      case .required: after > 0
      }
    guard first && isLastRight else {
      throw StudioError(.unsupported, "\(model.name) makes \(last.sentence)")
    }
  }

  /// The known frames of the canvas, by their places.
  func pictures(_ around: Surroundings, guide: (ResolvedGuide) throws -> Frame) rethrows
    -> [Int: Frame]
  {
    var known: [Int: Frame] = [:]
    if before > 0, let frame = around.previous.last { known[0] = frame }
    if before == 0, let first = guides.first { known[0] = try guide(first) }
    if after > 0, !around.next.isEmpty {
      known[canvasFrameCount - 1] = around.next[min(around.next.count - 1, offset * stride)]
    }
    return known
  }
}

extension FrameConditioning.LastPicture {
  /// What a model of the kind makes, and by which verbs.
  fileprivate var sentence: String {
    switch self {
    case .refused:
      "clips that begin with a picture, of which no other frame is known: use animate, or extend at "
        + "the end."
    case .allowed:
      "clips that begin with a picture and may end with another: use animate, extend at the end, "
        + "loop or connect."
    case .required: "clips that begin with a picture and end with another: use loop or connect."
    }
  }
}
