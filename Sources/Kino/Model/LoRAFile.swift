public import Foundation
internal import KinoModels
internal import KinoWeights

/// A LoRA to merge into a model's transformer, and how much of it.
public struct LoRAFile: Hashable, Sendable {
  /// The file, of any form Kino reads.
  public var url: URL
  /// What its part is multiplied by; any finite number, and 0 leaves the model as it is.
  public var weight: Double

  /// Names a LoRA.
  public init(_ url: URL, weight: Double = 1) {
    self.url = url
    self.weight = weight
  }

  /// Reads `FILE` or `FILE:WEIGHT`; `nil` if there is no file's name or the weight is not finite.
  ///
  /// What stands behind the last colon counts as a weight only if it is a number.
  public init?(parsing text: String) {
    var (path, weight) = (text, 1.0)
    if let colon = text.lastIndex(of: ":"), let number = Double(text[text.index(after: colon)...]) {
      (path, weight) = (String(text[..<colon]), number)
    }
    guard !path.isEmpty, weight.isFinite else { return nil }
    self.init(URL(fileURLWithPath: path.expandingTilde), weight: weight)
  }
}

/// A LoRA that a model has been given.
public struct MergedLoRA: Codable, Hashable, Sendable {
  /// The file as it was given.
  public let path: String
  /// What its part is multiplied by.
  public let weight: Double
  /// SHA-256 of the file, in hexadecimal, as `sha256sum` and hubs tell it.
  public let hash: String
  /// What became of the file's keys, in words; `nil` in a recipe that was read.
  public var report: String? { keys?.description }
  /// A sentence if some of its keys have no place in the model.
  var warning: String? {
    guard let keys, !keys.unused.isEmpty || !keys.misshapen.isEmpty else { return nil }
    return "The LoRA \(path.printable) fits in part: \(keys)."
  }

  private var keys: LoRA.Report?

  enum CodingKeys: String, CodingKey {
    case path, weight, hash
  }

  init(_ file: LoRAFile, hash: String, keys: LoRA.Report) {
    (path, weight, self.hash) = (file.url.relativePath, file.weight, hash)
    self.keys = keys
  }

  /// How ``LoRAFile/init(parsing:)`` takes it.
  var argument: String { "\(Recipe.quoted(path)):\(Recipe.plain(weight))" }

  /// The same file and weight make the same clip, whatever is reported.
  public static func == (a: MergedLoRA, b: MergedLoRA) -> Bool {
    a.path == b.path && a.weight == b.weight && a.hash == b.hash
  }

  /// Hashes what makes two equal.
  public func hash(into hasher: inout Hasher) {
    hasher.combine(path)
    hasher.combine(weight)
    hasher.combine(hash)
  }
}

extension Model {
  /// Returns the model with adapters added to its transformer, each weight when it is loaded.
  ///
  /// - Parameter files: The adapters, in order; each adds to what those before it made.
  /// - Returns: The model; ``loras`` tells what became of the files.
  /// - Throws: ``StudioError`` (`invalidSetting`) if a weight is not finite, `WeightsError` if a file is
  ///   damaged, `ModelError` if it is no LoRA or has no key that fits this model.
  public func merging(_ files: [LoRAFile]) throws -> Model {
    var model = self
    for file in files {
      guard file.weight.isFinite else {
        throw StudioError(
          .invalidSetting, "\(file.url.path): the weight is \(file.weight); use a finite number.")
      }
      let adapter = try LoRA(at: file.url)
      let (merged, report) = try model.family.merging(adapter, strength: file.weight)
      // With a weight of 0 nothing is computed, not even in other types.
      if file.weight != 0 { model.family = merged }
      let hash = try adapter.weights.fileHash()
      model.loras.append(MergedLoRA(file, hash: hash.hexadecimal, keys: report))
    }
    return model
  }
}
