/// Which scenes a random draw may return.
public enum Split: String, Codable, CaseIterable, Hashable, Sendable {
  /// Never a held-out combination: what a model may be trained on.
  case training
  /// Always at least one held-out combination: what tells whether a model composes.
  case heldOut
  /// Either.
  case any
}

extension Scene {
  /// Tells whether any object shows a combination that is never rendered for training.
  ///
  /// One in twenty (shape, colour, finish) triples and one in twenty (shape, motion) pairs is held out,
  /// chosen by hash; a ball's and a cube's motions never are.
  public var isHeldOut: Bool {
    objects.contains {
      Scene.isHeldOut($0.shape, $0.colour, $0.finish) || Scene.isHeldOut($0.shape, $0.motion.kind)
    }
  }

  /// Tells whether a shape is never shown for training in this colour and finish.
  public static func isHeldOut(_ shape: Shape, _ colour: Colour, _ finish: Finish) -> Bool {
    WorldRandom.hash("\(shape.rawValue)/\(colour.rawValue)/\(finish.rawValue)") % 20 == 7
  }

  /// Tells whether a shape is never shown for training doing this.
  public static func isHeldOut(_ shape: Shape, _ motion: MotionKind) -> Bool {
    guard shape != .sphere, shape != .cube, motion != .still else { return false }
    return WorldRandom.hash("\(shape.rawValue) does \(motion.rawValue)") % 20 == 3
  }
}
