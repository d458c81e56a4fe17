import Foundation
internal import KinoModels
internal import KinoSystem
public import KinoWeights

/// What a file or folder is: a clip and how it was made, or the shape of a checkpoint.
public struct Inspection: Sendable, CustomStringConvertible {
  /// One fact: a name in snake case and a value.
  public typealias Fact = (name: String, value: JSONValue)

  /// The facts, the most important first.
  public private(set) var facts: [Fact] = []

  /// Looks into a clip, a picture, a model folder, a folder of weights, or a file of weights of any form,
  /// told by its content.
  ///
  /// - Throws: ``StudioError`` if it is none of these, and what reading it throws.
  public init(_ path: String) throws {
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
      throw StudioError(.notInspectable, "\(path): There is no such file; check the path.")
    }
    let url = URL(fileURLWithPath: path)
    if isFolder.boolValue {
      let index = url.appendingPathComponent("model_index.json").path
      if FileManager.default.fileExists(atPath: index) {
        try addModel(Model(at: url))
      } else {
        try addFolder(url)
      }
    } else if WeightSet.hasSignature(url) || WeightSet.hasUsualName(url) {
      try addWeights(WeightSet(at: url))
    } else {
      try addMedia(MediaInfo.probe(path), path)
    }
  }

  /// Whether it is a clip or a picture.
  public var isMedia: Bool {
    facts.contains { $0.name == "kind" && ["clip", "picture"].contains($0.value.stringValue) }
  }

  /// Adds what was found out elsewhere.
  public mutating func add(_ others: [Fact]) { facts += others }

  /// One line per fact.
  public var description: String {
    facts.map { "\($0.name.replacing("_", with: " ")): \(Self.text($0.value))" }
      .joined(separator: "\n")
  }

  /// One JSON object on one line.
  public var json: String {
    JSONValue.object(Dictionary(facts.map { ($0.name, $0.value) }) { first, _ in first }).jsonLine
  }

  // MARK: - Clips

  private mutating func addMedia(_ info: MediaInfo, _ path: String) throws {
    add("kind", .string(info.isStill ? "picture" : "clip"))
    add("size", .string("\(info.width)x\(info.height)"))
    if info.rotationDegrees != 0 || info.isMirrored {
      let turn = "\(info.rotationDegrees) degrees clockwise"
      add("rotation", .string(turn + (info.isMirrored ? " and mirrored, applied" : ", applied")))
    }
    if !info.isStill { try addTime(info, path) }
    add("codec", .string("\(info.codec) \(info.pixelFormat)"))
    add("colors", .string(info.colors.description))
    if let sound = info.soundTracks.first { add("sound", .string(Self.describe(sound))) }
    if !info.ignoredTracks.isEmpty {
      add("ignored_tracks", .string(info.ignoredTracks.joined(separator: ", ")))
    }
    addRecipe(info)
  }

  /// What will be seen: not how many frames are stored, but how many are shown.
  private mutating func addTime(_ info: MediaInfo, _ path: String) throws {
    let count = try ClipReader.presentedFrameCount(path)
    add("frames", .integer(count))
    add("frames_per_second", .number(info.framesPerSecond))
    if info.frameRate.denominator > 1 { add("rate", .string(info.frameRate.description)) }
    add("seconds", .number(info.frameRate.seconds(ofFrame: count)))
  }

  private static func describe(_ sound: SoundTrack) -> String {
    let channels =
      switch sound.channelCount {
      case 1: "mono"
      case 2: "stereo"
      default: "\(sound.channelCount) channels"
      }
    var text = "\(sound.codec), \(sound.sampleRate) Hz, \(channels)"
    if sound.durationSeconds > 0 {
      text += String(format: ", %.3f s", sound.durationSeconds)
    }
    // Less is the block of silence that some containers keep in front.
    if abs(sound.startSeconds) >= 0.1 {
      let place = sound.startSeconds > 0 ? "after" : "before"
      text += String(format: ", begins %.3f s ", abs(sound.startSeconds)) + place + " the pictures"
    }
    return text
  }

  private mutating func addRecipe(_ info: MediaInfo) {
    guard let text = info.recipe,
      let values = try? JSONDecoder().decode([String: JSONValue].self, from: Data(text.utf8))
    else {
      add("recipe", .string("none: Kino did not make this file, or its metadata was removed"))
      return
    }
    for (name, value) in values.sorted(by: { $0.key < $1.key }) where name != "command" {
      add(facts.contains { $0.name == name } ? "recipe_" + name : name, value)
    }
    if let command = Recipe(json: text)?.command ?? values["command"]?.stringValue {
      add("command", .string(command))
    }
  }

  // MARK: - Models

  private mutating func addModel(_ model: Model) throws {
    add("kind", .string("model"))
    add("name", .string(model.name))
    if let index = model.parts.index { add("pipeline", .string(index.className)) }
    add("hash", .string(try model.hash().hexadecimal))
    let parts = model.family.parts
    add("parameters", .integer(parts.reduce(0) { $0 + Self.parameterCount($1.weights) }))
    for part in parts {
      add("\(part.name)_parameters", .integer(Self.parameterCount(part.weights)))
    }
    add("bytes", .integer(parts.reduce(0) { $0 + Self.byteCount($1.weights) }))
    let compression = model.geometry
    add(
      "compression",
      .string(
        "\(compression.temporalScale)x\(compression.spatialScale)x\(compression.spatialScale), "
          + "\(compression.channels) channels"))
    add("size_multiple", .integer(model.sizeMultiple))
    add("flow_shift", .number(model.flowShift))
    for part in parts {
      // Weights of other forms need none beside them.
      guard let file = model.parts.networks[part.component]?.configuration else { continue }
      add("\(part.name)_configuration", .object(file.values))
    }
  }

  // MARK: - Internal

  mutating func add(_ name: String, _ value: JSONValue) { facts.append((name, value)) }

  static func parameterCount(_ weights: WeightSet) -> Int {
    weights.tensors.reduce(0) { $0 + $1.elementCount }
  }

  static func byteCount(_ weights: WeightSet) -> Int {
    weights.tensors.reduce(0) { $0 + $1.byteCount }
  }

  private static func text(_ value: JSONValue) -> String {
    switch value {
    case .null: "none"
    case .bool(let value): "\(value)"
    case .integer(let value): "\(value)"
    case .number(let value): Recipe.plain(value)
    case .string(let value): value.printable
    case .array(let values): values.map(text).joined(separator: " ")
    case .object(let values):
      values.sorted { $0.key < $1.key }.map { "\n  \($0.key.printable): \(text($0.value))" }
        .joined()
    }
  }
}

extension String {
  /// Without control characters, which could steer a terminal.
  var printable: String {
    String(
      String.UnicodeScalarView(
        unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
