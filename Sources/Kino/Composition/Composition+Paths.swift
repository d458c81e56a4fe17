extension Composition {
  /// The path of every source and mask.
  public var sourcePaths: [String] { parts.map(\.path) }

  /// The composition with the path of every source and mask replaced.
  public func replacingPaths(
    _ replacement: (_ path: String) throws -> String
  ) rethrows -> Composition {
    var copy = self
    for index in copy.timeline.indices {
      guard case .media(var part) = copy.timeline[index] else { continue }
      part.path = try replacement(part.path)
      copy.timeline[index] = .media(part)
    }
    try copy.updateShots { shot in
      for index in shot.guides.indices {
        shot.guides[index].part.path = try replacement(shot.guides[index].part.path)
        guard let mask = shot.guides[index].mask else { continue }
        shot.guides[index].mask?.path = try replacement(mask.path)
      }
    }
    return copy
  }
}
