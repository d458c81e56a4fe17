import Foundation
internal import KinoTensor
internal import KinoWeights

/// The latents sampled so far for a file, in a folder beside it, until the file is complete: what ends before
/// that can go on where it was.
struct RescuedLatents {
  /// `nil` for results in memory.
  let folder: URL?
  private let recipe: Recipe

  /// The folder for a file.
  static func folder(beside path: String) -> URL {
    let file = URL(fileURLWithPath: path)
    return file.deletingLastPathComponent()
      .appendingPathComponent(".\(file.lastPathComponent).unfinished")
  }

  /// The recipe of the unfinished work beside a file, if there is any.
  static func recipe(beside path: String) -> Recipe? {
    let file = folder(beside: path).appendingPathComponent("recipe.json")
    return (try? String(contentsOf: file, encoding: .utf8)).flatMap { Recipe(json: $0) }
  }

  /// Looks for unfinished work.
  ///
  /// - Parameters:
  ///   - target: Where the result goes.
  ///   - recipe: What is being made.
  ///   - resumes: Whether to go on with it; otherwise it is removed.
  /// - Throws: ``StudioError`` if it is of another request.
  init(_ target: RenderTarget, recipe: Recipe, resumes: Bool) throws {
    self.recipe = recipe
    guard case .file(let path, _) = target else {
      folder = nil
      return
    }
    let folder = Self.folder(beside: path)
    self.folder = folder
    guard FileManager.default.fileExists(atPath: folder.path) else { return }
    guard resumes else {
      try FileManager.default.removeItem(at: folder)
      return
    }
    guard let old = Self.recipe(beside: path) else {
      let files = try FileManager.default.contentsOfDirectory(atPath: folder.path)
      if files.isEmpty { return }
      throw StudioError(
        .decodingFailed,
        """
        The unfinished work beside \(path) can't be told: \(folder.path)/recipe.json is damaged or \
        missing. Leave out --resume to start anew.
        """)
    }
    if old != recipe {
      throw StudioError(
        .invalidSetting,
        """
        The unfinished work beside \(path) is of another request; go on with its own command, \
        \(old.command) --resume, or leave out --resume to start anew.
        """)
    }
  }

  /// The latents of a window that was finished before, `[C, f, H, W]`, if there are any of this shape.
  func latents(ofWindow number: Int, shape: [Int]) -> Tensor? {
    guard let file = file(number), FileManager.default.fileExists(atPath: file.path),
      let weights = try? SafetensorsFile(at: file), weights["latents"]?.shape == shape
    else { return nil }
    return try? weights.tensor(named: "latents")
  }

  /// Keeps the latents of a window.
  func keep(_ latents: Tensor, ofWindow number: Int) throws {
    guard let folder, let file = file(number) else { return }
    if !FileManager.default.fileExists(atPath: folder.path) {
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      try Data(recipe.json.utf8).write(
        to: folder.appendingPathComponent("recipe.json"), options: .atomic)
    }
    try SafetensorsFile.write(
      [(key: "latents", value: latents.moved(to: .cpu).contiguous())], to: file)
  }

  /// Removes everything, once the file is complete.
  func remove() {
    if let folder { try? FileManager.default.removeItem(at: folder) }
  }

  /// Adds to an error where the latents are and how to go on, if any are kept.
  func explaining(_ error: any Error) -> any Error {
    guard let folder, FileManager.default.fileExists(atPath: folder.path) else { return error }
    return StudioError(
      .decodingFailed,
      """
      \(error) What was sampled is kept in \(folder.path); give the same command with --resume to go \
      on from there.
      """)
  }

  private func file(_ number: Int) -> URL? {
    folder?.appendingPathComponent("window-\(number).safetensors")
  }
}
