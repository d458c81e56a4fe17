public import Foundation
public import KinoWorld

/// Prompts to judge a model by: each with the seed of its clip, what it states, and a scene that shows it.
public struct PromptSet: Sendable {
  /// One prompt.
  public struct Entry: Sendable {
    /// What the model is given.
    public var prompt: String
    /// The seed of the model's noise.
    public var seed: UInt64
    /// What the prompt states; nothing else is judged.
    public var stated: SceneAttributes
    /// A scene in which all of it is true.
    public var scene: Scene
  }

  /// The prompts in order.
  public var entries: [Entry]

  /// Seeds of the scenes of ``heldOut(count:seed:)``; training draws none of them.
  static let firstScene: UInt64 = 500_000

  /// The length of clips that must show what the sentences state: that of kino-mini's.
  static let shownSeconds = 4.0 / 3

  /// Sentences about scenes with combinations of attributes that no generator was trained on, of which a short clip
  /// shows every object.
  ///
  /// - Parameters:
  ///   - count: How many; more begin with the same ones.
  ///   - seed: Of the models' noise; scenes and sentences stay the same.
  /// - Returns: The prompts.
  /// - Throws: `WorldError` if a sentence is not understood.
  public static func heldOut(count: Int, seed: UInt64) throws -> PromptSet {
    let scenes = (firstScene...).lazy.map { Scene.random(seed: $0, split: .heldOut) }
      .filter { $0.showsAllObjects(seconds: shownSeconds) }
    return PromptSet(
      entries: try zip(0..<UInt64(count), scenes).map { index, scene in
        let prompt = CaptionGrammar().caption(for: scene, length: .sentence, seed: index)
        return Entry(
          prompt: prompt, seed: noiseSeed(index, seed),
          stated: try SceneAttributes(statedBy: prompt), scene: scene)
      })
  }

  /// Reads a file with a prompt on every line and, after a tab, optionally the seed of its clip.
  ///
  /// Empty lines and lines that start with `#` are left out.
  ///
  /// - Parameters:
  ///   - url: A UTF-8 text.
  ///   - limit: The most prompts that are taken.
  ///   - seed: Gives seeds where the file has none.
  /// - Throws: ``EvaluationError`` naming the file and the line at fault.
  public init(contentsOf url: URL, limit: Int, seed: UInt64) throws {
    let text: String
    do {
      text = try String(contentsOf: url, encoding: .utf8)
    } catch {
      throw EvaluationError(
        .badPrompts,
        "\(url.path): expected a readable UTF-8 file with a prompt on every line; check the path."
      )
    }
    try self.init(text, path: url.path, limit: limit, seed: seed)
  }

  init(_ text: String, path: String, limit: Int, seed: UInt64) throws {
    func fault(_ line: Int, _ details: String) -> EvaluationError {
      EvaluationError(.badPrompts, "\(path):\(line): \(details)")
    }
    entries = []
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
    for (number, line) in zip(1..., lines) where entries.count < limit {
      let fields = line.split(separator: "\t", omittingEmptySubsequences: false)
        .map { $0.trimmingCharacters(in: .whitespacesAndNewlines) }
      if fields == [""] || line.hasPrefix("#") { continue }
      guard fields.count <= 2, !fields[0].isEmpty else {
        throw fault(
          number,
          fields[0].isEmpty
            ? "expected a prompt before the tab, found none."
            : "expected a prompt and, after a tab, a seed; found \(fields.count) fields.")
      }
      var own = Self.noiseSeed(UInt64(entries.count), seed)
      if fields.count == 2 && !fields[1].isEmpty {
        guard let value = UInt64(fields[1]) else {
          throw fault(
            number,
            "expected a whole number from 0 as the seed, found \"\(fields[1].prefix(40))\".")
        }
        own = value
      }
      do {
        entries.append(
          Entry(
            prompt: fields[0], seed: own, stated: try SceneAttributes(statedBy: fields[0]),
            scene: try Scene(parsing: fields[0])))
      } catch let error as WorldError {
        throw fault(number, error.details + ".")
      }
    }
    if entries.isEmpty {
      throw EvaluationError(.badPrompts, "\(path): expected at least one prompt, found none.")
    }
  }

  private init(entries: [Entry]) { self.entries = entries }

  /// Clips of one run differ in their noise, and runs with other seeds share none.
  private static func noiseSeed(_ index: UInt64, _ seed: UInt64) -> UInt64 {
    seed &* 1_000_003 &+ index
  }
}
