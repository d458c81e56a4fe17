/// What a text says about a scene. Captions are made from a statement, and prompts are read into
/// one, so that a caption read back gives the statement it was made from.
package struct SceneStatement: Hashable, Sendable {
  package struct Object: Hashable, Sendable {
    package var shape: Scene.Shape
    package var colour: Scene.Colour?
    package var finish: Scene.Finish?
    package var size: Scene.Size?
    package var kind: Scene.MotionKind?
    package var direction: Scene.Direction?
    package var partner: Int?
  }

  /// The first object is where the relation says, as seen from the second.
  package struct Relation: Hashable, Sendable {
    package var first: Int
    package var relation: Scene.Relation
    package var second: Int
  }

  package var objects: [Object] = []
  package var relations: [Relation] = []
  package var wallColour: Scene.Colour?
  package var ground: Scene.Ground?
  package var sky: Scene.Sky?
  package var camera: Scene.CameraMotion?

  var isEmpty: Bool {
    objects.isEmpty && ground == nil && sky == nil && camera == nil
  }

  /// Whether nothing that can be seen is left open, but for a camera that may rest.
  var isComplete: Bool {
    let led = Set(objects.compactMap(\.partner))
    return !objects.isEmpty && ground != nil && sky != nil
      && objects.indices.allSatisfy {
        objects[$0].colour != nil && objects[$0].finish != nil
          && (objects[$0].kind != nil || led.contains($0))
      }
  }

  /// Whether all that another statement says is said here, objects in any order.
  package func contains(_ other: SceneStatement) -> Bool {
    (other.ground == nil || other.ground == ground) && (other.sky == nil || other.sky == sky)
      && (other.camera == nil || other.camera == camera)
      && (other.wallColour == nil || other.wallColour == wallColour) && places(other, at: [])
  }

  /// Finds objects here for those of another statement that are not yet placed.
  private func places(_ other: SceneStatement, at places: [Int]) -> Bool {
    if places.count == other.objects.count {
      let partnersMeet = zip(other.objects, places).allSatisfy { said, place in
        said.partner.map { objects[place].partner == places[$0] } ?? true
      }
      return partnersMeet
        && other.relations.allSatisfy {
          let (first, second) = (places[$0.first], places[$0.second])
          return relations.contains(Relation(first: first, relation: $0.relation, second: second))
            || relations.contains(
              Relation(first: second, relation: $0.relation.inverse, second: first))
        }
    }
    let said = other.objects[places.count]
    return objects.indices.contains {
      !places.contains($0) && objects[$0].says(said) && self.places(other, at: places + [$0])
    }
  }
}

extension SceneStatement.Object {
  /// Whether all that is said of another object, but for its partner, is said of this one.
  fileprivate func says(_ other: Self) -> Bool {
    shape == other.shape && (other.colour == nil || other.colour == colour)
      && (other.finish == nil || other.finish == finish)
      && (other.size == nil || other.size == size) && (other.kind == nil || other.kind == kind)
      && (other.direction == nil || other.direction == direction)
  }
}

extension SceneDraft {
  /// Fills in what a statement leaves open, and makes it consistent.
  init(_ statement: SceneStatement, using random: inout WorldRandom) {
    // Colours that stand out on every ground.
    let plainColours: [Scene.Colour] = [.red, .blue, .yellow, .orange, .purple, .pink, .cyan]
    objects = []
    for said in statement.objects.prefix(4) {
      // "Two red balls" look alike also in what is left open.
      if let twin = statement.objects.prefix(objects.count).firstIndex(of: said),
        said.partner == nil
      {
        objects.append(objects[twin])
        continue
      }
      let colour = said.colour ?? random.pick(plainColours)
      let finish: Scene.Finish =
        colour.isMetallic
        ? .metal : said.finish ?? random.pick(weighted: [(.matte, 55), (.shiny, 45)])
      objects.append(
        Object(
          shape: said.shape, colour: colour, finish: finish, size: said.size ?? .medium,
          kind: said.kind ?? .still, direction: said.direction, partner: said.partner))
    }
    if objects.isEmpty {
      objects = [
        Object(
          shape: random.pick(Scene.Shape.allCases), colour: random.pick(plainColours),
          finish: .shiny, size: .medium, kind: random.pick([.bounce, .jump, .spin]))
      ]
    }
    ground = statement.ground ?? random.pick(Scene.Ground.allCases)
    sky = statement.sky ?? random.pick(weighted: [(.day, 60), (.sunset, 20), (.overcast, 20)])
    camera = statement.camera ?? .still
    wallColour = statement.wallColour ?? random.pick(SceneDraft.wallColours)
    constraints = statement.relations.map {
      Constraint(first: $0.first, relation: $0.relation, second: $0.second)
    }
    makeConsistent(using: &random)
  }

  /// Keeps what can be shown together: one collision, one wall, partners that can be met.
  mutating func makeConsistent(using random: inout WorldRandom) {
    var hasCollision = false
    var hasHider = false
    for index in objects.indices {
      if objects[index].kind == .roll && !objects[index].shape.canRoll {
        objects[index].kind = .slide
      }
      switch objects[index].kind {
      case .collide where hasCollision:
        if objects[index].partner != nil {
          objects[index].kind = .slide
        } else {
          objects[index].kind = .still
        }
        objects[index].partner = nil
      case .collide:
        hasCollision = true
        settleCollision(of: index, using: &random)
      case .circle:
        if let partner = objects[index].partner, !canBeCircled(partner, by: index) {
          objects[index].partner = nil
        }
      case .passBehind where hasHider:
        objects[index].kind = .slide
      case .passBehind:
        hasHider = true
        objects[index].partner = nil
      default:
        objects[index].partner = nil
      }
    }
  }

  private mutating func settleCollision(of index: Int, using random: inout WorldRandom) {
    var partner = objects[index].partner
    if partner == nil || partner == index || partner.map({ !objects.indices.contains($0) }) == true
    {
      partner = objects.indices.first { $0 > index && objects[$0].partner == nil }
    }
    if partner == nil && objects.count < 4 {
      objects.append(
        Object(
          shape: .cube, colour: random.pick([.blue, .yellow, .green, .orange]), finish: .matte,
          size: .medium, kind: .still))
      partner = objects.count - 1
    }
    guard let partner else {
      objects[index].kind = .slide
      objects[index].partner = nil
      return
    }
    objects[index].partner = partner
    objects[partner].kind = .still
    objects[partner].partner = nil
    objects[partner].direction = nil
  }

  private func canBeCircled(_ partner: Int, by index: Int) -> Bool {
    guard partner != index, objects.indices.contains(partner) else { return false }
    guard objects[partner].partner == nil else { return false }
    let isTaken = objects.indices.contains { $0 != index && objects[$0].partner == partner }
    let staying: [Scene.MotionKind] = [.still, .spin, .jump, .fall]
    return !isTaken && staying.contains(objects[partner].kind)
  }
}
