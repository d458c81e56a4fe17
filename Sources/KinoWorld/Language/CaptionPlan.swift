/// How much a caption tells.
public enum CaptionLength: String, Codable, CaseIterable, Hashable, Sendable {
  /// What a user types: "red ball bouncing".
  case short
  /// One sentence with the main attributes.
  case sentence
  /// Everything that can be seen.
  case full
}

/// The languages of captions and prompts.
public enum CaptionLanguage: String, Codable, CaseIterable, Hashable, Sendable {
  case english, russian
}

/// What a caption will tell, before it has words.
struct CaptionPlan {
  /// Objects told together because they are alike, or a single one.
  struct Group {
    var indices: [Int]
    var tellsSize: Bool
    var tellsFinish: Bool
    var tellsMotion: Bool
    var tellsDirection: Bool
    var relation: SceneStatement.Relation?
  }

  var length: CaptionLength
  var groups: [Group] = []
  var tellsWallColour = false
  var tellsGround = false
  var tellsSky = false
  var tellsCamera = false

  init(_ scene: Scene, length: CaptionLength, using random: inout WorldRandom) {
    self.length = length
    let odds = Odds(length)
    for indices in CaptionPlan.alike(in: scene) {
      let motion = scene.objects[indices[0]].motion
      groups.append(
        Group(
          indices: indices, tellsSize: random.chance(odds.size),
          tellsFinish: random.chance(odds.finish),
          tellsMotion: motion.kind != .still || random.chance(odds.stillness),
          tellsDirection: random.chance(odds.direction)))
    }
    if length == .short && groups.count > 1 && random.chance(0.55) {
      groups = Array(groups.prefix(1))
    } else if length == .short {
      groups = Array(groups.prefix(2))
    }
    // A subject without a verb would borrow the next one's.
    for index in groups.indices.dropLast() { groups[index].tellsMotion = true }
    addRelations(scene, odds.relation, using: &random)
    tellsWallColour = random.chance(odds.finish)
    tellsGround = random.chance(odds.ground)
    tellsSky = random.chance(odds.sky)
    tellsCamera = random.chance(scene.camera.motion == .still ? odds.stillCamera : odds.camera)
  }

  private struct Odds {
    var size, finish, stillness, direction, relation, ground, sky, camera, stillCamera: Float

    init(_ length: CaptionLength) {
      switch length {
      case .short:
        (size, finish, stillness, direction, relation) = (0.15, 0.3, 0.2, 0.75, 0)
        (ground, sky, camera, stillCamera) = (0.3, 0.3, 0.2, 0)
      case .sentence:
        (size, finish, stillness, direction, relation) = (0.75, 0.8, 0.5, 0.95, 0.6)
        (ground, sky, camera, stillCamera) = (0.65, 0.6, 0.6, 0.04)
      case .full:
        (size, finish, stillness, direction, relation) = (1, 1, 0.8, 1, 0.9)
        (ground, sky, camera, stillCamera) = (1, 1, 1, 0.5)
      }
    }
  }

  /// Groups objects that look and move alike; partners are told with the object that meets them.
  private static func alike(in scene: Scene) -> [[Int]] {
    var groups: [[Int]] = []
    for index in scene.objects.indices {
      let object = scene.objects[index]
      if scene.isPartner(index) { continue }
      let match = groups.firstIndex { group in
        let other = scene.objects[group[0]]
        return other.shape == object.shape && other.colour == object.colour
          && other.finish == object.finish && other.size == object.size
          && other.motion.kind == object.motion.kind
          && other.motion.direction == object.motion.direction
          && other.partner == nil && object.partner == nil && object.motion.kind != .passBehind
      }
      if let match { groups[match].append(index) } else { groups.append([index]) }
    }
    return groups
  }

  /// Relates later objects to ones already told whose shape and colour name them alone.
  private mutating func addRelations(_ scene: Scene, _ odds: Float, using random: inout WorldRandom)
  {
    var told: [Int] = []
    for position in groups.indices {
      let group = groups[position]
      if group.indices.count == 1, let first = group.indices.first,
        scene.objects[first].partner == nil
      {
        let candidates = told.compactMap { second -> SceneStatement.Relation? in
          guard scene.isUnique(second), let relation = scene.relation(of: first, to: second) else {
            return nil
          }
          return SceneStatement.Relation(first: first, relation: relation, second: second)
        }
        if !candidates.isEmpty && random.chance(odds) {
          groups[position].relation = random.pick(candidates)
        }
      }
      told += group.indices
      if let partner = scene.objects[group.indices[0]].partner { told.append(partner) }
    }
  }

  /// What the plan tells, objects numbered in the order in which they are told.
  func statement(of scene: Scene) -> SceneStatement {
    var statement = SceneStatement()
    var numbers: [Int: Int] = [:]
    for group in groups {
      for index in group.indices {
        numbers[index] = statement.objects.count
        statement.objects.append(said(scene.objects[index], group, motion: group.tellsMotion))
      }
      if let leader = group.indices.first, let partner = scene.objects[leader].partner {
        numbers[partner] = statement.objects.count
        statement.objects[statement.objects.count - 1].partner = statement.objects.count
        statement.objects.append(said(scene.objects[partner], group, motion: false))
      }
      if let relation = group.relation, let first = numbers[relation.first],
        let second = numbers[relation.second]
      {
        statement.relations.append(
          SceneStatement.Relation(first: first, relation: relation.relation, second: second))
      }
    }
    if statement.objects.contains(where: { $0.kind == .passBehind }), tellsWallColour {
      statement.wallColour = scene.wall?.colour
    }
    if tellsGround { statement.ground = scene.ground }
    if tellsSky { statement.sky = scene.sky }
    if tellsCamera { statement.camera = scene.camera.motion }
    return statement
  }

  private func said(_ object: Scene.Object, _ group: Group, motion: Bool) -> SceneStatement.Object {
    SceneStatement.Object(
      shape: object.shape, colour: object.colour,
      finish: object.colour.isMetallic ? .metal : group.tellsFinish ? object.finish : nil,
      size: group.tellsSize && object.size != .medium ? object.size : nil,
      kind: motion ? object.motion.kind : nil,
      direction: motion && group.tellsDirection ? object.motion.direction : nil)
  }
}

extension Scene {
  /// Tells whether another object hits or circles this one.
  func isPartner(_ index: Int) -> Bool { objects.contains { $0.partner == index } }

  /// Tells whether shape and colour alone name this object.
  func isUnique(_ index: Int) -> Bool {
    let object = objects[index]
    return !objects.indices.contains {
      $0 != index && objects[$0].shape == object.shape && objects[$0].colour == object.colour
    }
  }
}
