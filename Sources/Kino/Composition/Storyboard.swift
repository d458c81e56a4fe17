public import Foundation
internal import Yams

/// A storyboard's file: shots one after the other, in YAML.
///
/// ```yaml
/// size: 128x128          # optional, as are fps, negative and fit
/// shots:
///   - prompt: a red ball bounces on grass
///     seconds: 2
///   - prompt: the ball rolls to the right
///     seconds: 1.5
///     join: continuous   # goes on from the shot before; `cut`, the default, does not
///   - prompt: a blue cube on snow
///     start: 3.5         # instead of the length of the shot before
///     seconds: 2
///     picture: cube.png  # or clip: cube.mp4
///     at: 0              # seconds into the shot
/// ```
public enum Storyboard {
  /// Reads a storyboard.
  ///
  /// - Parameter url: The file; paths in it are relative to its folder.
  /// - Returns: A shot for every stretch between two cuts.
  /// - Throws: ``StudioError`` that names the line and the field.
  public static func composition(contentsOf url: URL) throws -> Composition {
    let text: String
    guard FileManager.default.fileExists(atPath: url.path) else {
      throw StudioError(
        .invalidStoryboard, "\(url.path): There is no such file; check the path.")
    }
    do {
      let size = try url.resourceValues(forKeys: [.fileSizeKey]).fileSize ?? 0
      guard size <= 1 << 20 else {
        throw StudioError(.invalidStoryboard, "\(url.path): expected a file of 1 MB or less.")
      }
      text = try String(contentsOf: url, encoding: .utf8)
    } catch let error as StudioError {
      throw error
    } catch {
      throw StudioError(
        .invalidStoryboard, "\(url.path): can't be read as UTF-8 text; check the path and the file."
      )
    }
    return try composition(yaml: text, name: url.path, folder: url.deletingLastPathComponent())
  }

  /// Reads a storyboard's text.
  ///
  /// - Parameters:
  ///   - yaml: The text.
  ///   - name: What errors call it.
  ///   - folder: Where relative paths start.
  /// - Returns: A shot for every stretch between two cuts.
  /// - Throws: ``StudioError`` that names the line and the field.
  public static func composition(
    yaml: String, name: String = "the storyboard", folder: URL? = nil
  ) throws -> Composition {
    if let alias = YAMLAlias(firstIn: yaml) {
      throw StudioError(.invalidStoryboard, "\(name): \(alias)")
    }
    let node: Node?
    do {
      node = try Yams.compose(yaml: yaml)
    } catch let error as YamlError {
      let text = "\(error)".split(separator: "\n").joined(separator: " ")
      throw StudioError(.invalidStoryboard, "\(name): no YAML: \(text)")
    }
    guard let node else {
      throw StudioError(.invalidStoryboard, "\(name): the file is empty; list its shots.")
    }
    return try StoryboardReader(name: name, folder: folder).composition(node)
  }
}

/// Reads fields, each of which knows its line.
private struct StoryboardReader {
  let name: String
  let folder: URL?

  func composition(_ node: Node) throws -> Composition {
    let fields = try mapping(
      node, "the storyboard", allows: ["size", "fps", "negative", "fit", "shots"])
    guard let list = fields["shots"] else {
      throw fault(node, "shots", "is missing; list the shots under it")
    }
    guard let shots = list.sequence, !shots.isEmpty else {
      throw fault(list, "shots", "expected a list of shots, each beginning with a dash")
    }
    guard shots.count <= 1000 else {
      throw fault(list, "shots", "expected at most 1000 shots, found \(shots.count)")
    }
    var composition = Composition(.storyboard, timeline: try segments(Array(shots)))
    if let size = fields["size"] {
      composition.size = try value(size, "size", "WIDTHxHEIGHT, such as 128x128") {
        FrameSize(parsing: $0)
      }
    }
    if let rate = fields["fps"] {
      composition.framesPerSecond = try value(rate, "fps", "frames per second, such as 24") {
        FrameRate($0)?.framesPerSecond
      }
    }
    if let negative = fields["negative"] {
      composition.negativePrompt = try value(negative, "negative", "a text") { $0 }
    }
    if let fit = fields["fit"] {
      composition.fit = try value(fit, "fit", "crop, pad or stretch") { FitMode(rawValue: $0) }
    }
    return composition
  }

  /// A card as it is written, and where.
  private struct Card {
    let node: Node
    let prompt: String
    var start: Double?
    var seconds: Double?
    let guide: Guide?
    let isContinuous: Bool
  }

  private func segments(_ nodes: [Node]) throws -> [Segment] {
    var cards = try nodes.enumerated().map { try card($1, isFirst: $0 == 0) }
    try settleLengths(&cards)
    let total = cards.reduce(0) { $0 + ($1.seconds ?? 0) }
    guard total <= Limits.storyboardSeconds else {
      throw fault(
        cards[cards.count - 1].node, "seconds",
        "all shots together last \(total) seconds, expected at most \(Limits.storyboardSeconds)")
    }
    var timeline: [Segment] = []
    for card in cards {
      guard let seconds = card.seconds else { continue }
      guard card.isContinuous, case .shot(var shot)? = timeline.last else {
        timeline.append(
          .shot(Shot(card.prompt, seconds: seconds, guides: card.guide.map { [$0] } ?? [])))
        continue
      }
      // Shots without a cut between them are one shot of several prompts.
      let start = shot.seconds ?? 0
      shot.prompts.append(TimedPrompt(card.prompt, start: start))
      if var guide = card.guide {
        guide.start = start + (guide.start ?? 0)
        shot.guides.append(guide)
      }
      shot.seconds = start + seconds
      timeline[timeline.count - 1] = .shot(shot)
    }
    return timeline
  }

  private func card(_ node: Node, isFirst: Bool) throws -> Card {
    let fields = try mapping(
      node, "a shot",
      allows: ["prompt", "start", "seconds", "join", "picture", "clip", "at"])
    guard let prompt = fields["prompt"] else {
      throw fault(node, "prompt", "is missing; say what the shot shows")
    }
    let start = try fields["start"].map {
      try seconds($0, "start", from: 0, to: Limits.storyboardSeconds)
    }
    let length = try fields["seconds"].map { try seconds($0, "seconds", from: 0.01) }
    let join = try fields["join"].map { node in
      try value(node, "join", "cut or continuous") {
        ["cut", "continuous"].contains($0) ? $0 : nil
      }
    }
    if isFirst, join == "continuous", let field = fields["join"] {
      throw fault(field, "join", "the first shot has none to continue; leave it out")
    }
    if fields["picture"] != nil, let clip = fields["clip"] {
      throw fault(clip, "clip", "a shot has a picture or a clip, not both")
    }
    var guide: Guide?
    if let source = fields["picture"] ?? fields["clip"] {
      let path = try value(source, fields["picture"] == nil ? "clip" : "picture", "a path") {
        $0.isEmpty ? nil : $0
      }
      let at = try fields["at"].map { try seconds($0, "at", from: 0) } ?? 0
      guide = Guide(MediaPart(resolved(path)), at: at)
    } else if let at = fields["at"] {
      throw fault(at, "at", "there is no picture or clip to place")
    }
    return Card(
      node: node, prompt: try value(prompt, "prompt", "a text") { $0 }, start: start,
      seconds: length, guide: guide, isContinuous: join == "continuous")
  }

  /// Gives every card a length: its own, or up to where the next one starts.
  private func settleLengths(_ cards: inout [Card]) throws {
    var time = 0.0
    for index in cards.indices {
      if let start = cards[index].start, abs(start - time) > 1e-6 {
        throw fault(
          cards[index].node, "start",
          "is \(start), but the shots before end at \(time); give times that follow each other")
      }
      if cards[index].seconds == nil {
        guard index + 1 < cards.count, let next = cards[index + 1].start else {
          throw fault(
            cards[index].node, "seconds", "is missing; give the shot a length, or the next a start")
        }
        guard next > time else {
          throw fault(
            cards[index + 1].node, "start",
            "is \(next), not after \(time), where the shot before starts")
        }
        cards[index].seconds = next - time
      }
      time += cards[index].seconds ?? 0
    }
  }

  // MARK: Values

  private func mapping(
    _ node: Node, _ what: String, allows names: [String]
  ) throws -> [String: Node] {
    guard let mapping = node.mapping else {
      throw fault(node, what, "expected fields such as \(names.prefix(3).joined(separator: ", "))")
    }
    var fields: [String: Node] = [:]
    for (key, value) in mapping {
      let name = key.string ?? ""
      guard names.contains(name) else {
        throw fault(
          key, name.isEmpty ? what : name,
          "is not a field of \(what); there are \(names.joined(separator: ", "))")
      }
      fields[name] = value
    }
    return fields
  }

  private func value<Value>(
    _ node: Node, _ field: String, _ expected: String, _ read: (String) -> Value?
  ) throws -> Value {
    guard let text = node.scalar?.string else {
      throw fault(node, field, "expected \(expected), found a list or fields")
    }
    guard let value = read(text) else {
      throw fault(node, field, "expected \(expected), found \"\(text.prefix(60))\"")
    }
    return value
  }

  private func seconds(
    _ node: Node, _ field: String, from least: Double, to most: Double = Limits.durationSeconds
  ) throws -> Double {
    try value(node, field, "seconds from \(least) to \(most)") { text in
      Double(text).flatMap { (least...most).contains($0) ? $0 : nil }
    }
  }

  private func resolved(_ path: String) -> String {
    guard let folder, !path.hasPrefix("/") else { return path }
    return folder.appendingPathComponent(path).path
  }

  private func fault(_ node: Node, _ field: String, _ text: String) -> StudioError {
    let line = node.mark.map { " line \($0.line):" } ?? ""
    let link = text.hasPrefix("is ") ? "" : ":"
    return StudioError(.invalidStoryboard, "\(name):\(line) \(field)\(link) \(text).")
  }
}
