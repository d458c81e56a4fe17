public import Foundation
internal import Kino
public import KinoMedia
internal import KinoSystem
public import KinoWorld

/// Writes clips of the procedural world with captions that are true of them.
public struct WorldDataset: Sendable {
  /// The size of the clips.
  public var size = FrameSize(width: 256, height: 256)
  /// Frames of a clip.
  public var frameCount = 36
  /// Frames per second, of the scene's time too.
  public var framesPerSecond = 12.0
  /// The language of the captions.
  public var language = CaptionLanguage.english
  /// Which scenes may be drawn by seed.
  public var split = Split.training
  /// Whether files may be replaced.
  public var overwrite = false

  /// Makes the writer with its usual settings.
  public init() {}

  /// What a clip shows.
  public enum Subject: Hashable, Sendable {
    /// What a prompt asks for, as far as this world has it.
    case prompt(String)
    /// A scene drawn from a seed.
    case seed(UInt64)

    /// A file name without an extension.
    public var name: String {
      switch self {
      case .prompt(let prompt): FileNames.slug(of: prompt)
      case .seed(let seed): "world-\(seed)"
      }
    }
  }

  /// One line of a manifest.
  public struct Entry: Codable, Hashable, Sendable {
    /// The clip, relative to the manifest.
    public var file: String
    /// What is true of it.
    public var caption: String
  }

  /// Throws `StudioError` where a setting is out of range.
  public func validate() throws {
    func require(_ holds: Bool, _ code: StudioError.Code, _ text: @autoclosure () -> String) throws
    {
      if !holds { throw StudioError(code, text()) }
    }
    let (short, long) = (min(size.width, size.height), max(size.width, size.height))
    try require(
      short >= 16 && long <= 2048, .invalidSize,
      "The size \(size) is out of range; use sides of 16 to 2048.")
    try require(
      Limits.framesPerSecond.contains(framesPerSecond), .invalidLength,
      "\(framesPerSecond) frames per second is out of range; use a rate in 1...120.")
    let most = Int(Limits.durationSeconds * framesPerSecond)
    try require(
      1...most ~= frameCount, .invalidLength,
      "\(frameCount) frames is out of range; use 1...\(most) at \(framesPerSecond) frames/s.")
  }

  /// Writes one clip, and its caption beside it under the same name with `.txt`.
  ///
  /// - Throws: `WorldError` if the prompt names nothing in this world, `MediaError` if the file
  ///   can't be written, `CancellationError` between frames.
  @discardableResult
  public func write(_ subject: Subject, to url: URL) throws -> Entry {
    try validate()
    let scene = try scene(of: subject)
    let caption = caption(of: scene, subject)
    let options = WriteOptions(overwrite: overwrite, recipe: recipe(of: subject), title: caption)
    let writer = try ClipWriter(
      path: url.path, size: size, framesPerSecond: framesPerSecond, options: options)
    let renderer = SceneRenderer(width: size.width, height: size.height)
    // Frames of the machine's cores at a time, so that memory stays small.
    let cores = ProcessInfo.processInfo.activeProcessorCount
    for start in stride(from: 0, to: frameCount, by: cores) {
      try Task.checkCancellation()
      let count = min(cores, frameCount - start)
      let rendered = renderer.render(
        scene, frameCount: count, framesPerSecond: framesPerSecond,
        startTime: Double(start) / framesPerSecond, threads: cores)
      try writer.append(Clip(rendered))
    }
    try writer.finish()
    try Self.write(caption + "\n", to: url.deletingPathExtension().appendingPathExtension("txt"))
    return Entry(file: url.lastPathComponent, caption: caption)
  }

  /// Writes clips of successive seeds into a folder, with captions and a manifest.
  ///
  /// - Parameters:
  ///   - subjects: What the clips show, in order.
  ///   - folder: Made if it is not there.
  ///   - report: Called after every clip with how many are done.
  /// - Throws: As ``write(_:to:)``, or `FileError` if the folder can't be made; clips finished before stay, without
  ///   a manifest.
  public func write(
    _ subjects: [Subject], into folder: URL, report: (Int, URL) -> Void = { _, _ in }
  ) throws {
    try validate()
    let manifest = folder.appendingPathComponent(CaptionManifest.name)
    if !overwrite && FileManager.default.fileExists(atPath: manifest.path) {
      throw MediaError(
        .outputExists, path: manifest.path,
        details: "The folder holds a data set; choose another one or allow overwriting.")
    }
    try FileManager.default.makeFolder(folder)
    var lines = ""
    for (index, subject) in subjects.enumerated() {
      let url = folder.appendingPathComponent(subject.name + ".mp4")
      let entry = try write(subject, to: url)
      lines += entry.jsonLine + "\n"
      report(index + 1, url)
    }
    try Self.write(lines, to: manifest)
  }

  // MARK: - Internal

  private func scene(of subject: Subject) throws -> Scene {
    switch subject {
    case .prompt(let prompt): try Scene(parsing: prompt)
    case .seed(let seed): Scene.random(seed: seed, split: split)
    }
  }

  private func caption(of scene: Scene, _ subject: Subject) -> String {
    let seed: UInt64
    switch subject {
    case .prompt: seed = 0
    case .seed(let value): seed = value
    }
    // All lengths in turn, as users write.
    let lengths = CaptionLength.allCases
    let length = lengths[Int(seed % UInt64(lengths.count))]
    return CaptionGrammar().caption(for: scene, length: length, language: language, seed: seed)
  }

  private func recipe(of subject: Subject) -> String {
    struct WorldRecipe: Encodable {
      var kino, verb, prompt, size, command: String?
      var seed: UInt64?
      var frames: Int
      var framesPerSecond: Double

      enum CodingKeys: String, CodingKey {
        case kino, verb, prompt, size, command, seed, frames
        case framesPerSecond = "frames_per_second"
      }
    }
    var words = ["kino world"]
    var recipe = WorldRecipe(
      kino: kinoVersion, verb: "world", size: size.description, frames: frameCount,
      framesPerSecond: framesPerSecond)
    switch subject {
    case .prompt(let prompt):
      recipe.prompt = prompt
      words.append(Recipe.quoted(prompt))
    case .seed(let seed):
      recipe.seed = seed
      words.append("--seed \(seed)")
      if split == .heldOut { words.append("--held-out") }
    }
    words.append("--size \(size) --frames \(frameCount) --fps \(Recipe.plain(framesPerSecond))")
    if language == .russian { words.append("--language ru") }
    recipe.command = words.joined(separator: " ")
    return recipe.jsonLine
  }

  private static func write(_ text: String, to url: URL) throws {
    do {
      try Data(text.utf8).write(to: url, options: .atomic)
    } catch {
      throw MediaError(.unwritable, path: url.path, details: error.localizedDescription)
    }
  }
}
