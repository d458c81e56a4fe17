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
  /// One in twenty (shape, colour, finish) triples and about as many (shape, motion) pairs are held
  /// out, chosen by hash; a ball's and a cube's motions never are.
  public var isHeldOut: Bool {
    objects.contains {
      Scene.isHeldOut($0.shape, $0.colour, $0.finish) || Scene.isHeldOut($0.shape, $0.motion.kind)
    }
  }

  /// Tells whether a shape is never shown for training in this colour and finish.
  public static func isHeldOut(_ shape: Shape, _ colour: Colour, _ finish: Finish) -> Bool {
    canShow(colour, finish)
      && isDrawn("\(shape.rawValue)/\(colour.rawValue)/\(finish.rawValue)")
  }

  /// Tells whether a shape is never shown for training doing this.
  public static func isHeldOut(_ shape: Shape, _ motion: MotionKind) -> Bool {
    shape != .sphere && shape != .cube && motion != .still && canShow(shape, motion)
      && isDrawn("\(shape.rawValue) does \(motion.rawValue)")
  }

  /// Tells whether random scenes contain the pair: gold and silver are metal, and dark glass would
  /// look opaque.
  static func canShow(_ colour: Colour, _ finish: Finish) -> Bool {
    if colour.isMetallic { return finish == .metal }
    return finish != .glass || colour != .black && colour != .brown
  }

  /// Tells whether random scenes contain the pair.
  static func canShow(_ shape: Shape, _ motion: MotionKind) -> Bool {
    switch motion {
    case .roll: shape.canRoll
    case .collide: shape.collidesWell
    case .still, .bounce, .slide, .spin, .circle, .fall, .jump, .passBehind: true
    }
  }

  private static func isDrawn(_ combination: String) -> Bool {
    WorldRandom.hash("24 \(combination)") % 20 == 0
  }
}
