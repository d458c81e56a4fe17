internal import KinoDiffusion

/// Shots of models that know frames as pictures, one at each end at most.
extension ResolvedShot {
  /// Lays the shot out between a picture and perhaps another: the last frame of the canvas is that of the
  /// segment after that falls there.
  ///
  /// - Throws: ``StudioError`` if the model can't make such a shot.
  mutating func fit(ends joins: Shot.Joins, in model: Model) throws {
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
        \(model.name) makes at most \(model.windowFrames) frames from a picture; this shot takes \
        \(canvasFrameCount). Make it shorter, and extend the result.
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
