public import Foundation

/// Files that stand for parts of a model, in place of those that are looked for.
///
/// Each may be of any form that Kino reads, and in any publisher's names.
public struct ModelFiles: Hashable, Sendable {
  /// The autoencoder.
  public var autoencoder: URL?
  /// The text encoder.
  public var textEncoder: URL?
  /// The tokenizer's `spiece.model`; without it, what the text encoder's file carries or stands beside it.
  public var tokenizer: URL?
  /// The image encoder, for models that read pictures with one.
  public var imageEncoder: URL?
  /// The second of two experts.
  public var lowNoise: LowNoise?

  /// What is said about a second transformer, since shapes can't tell whether there should be one.
  public enum LowNoise: Hashable, Sendable {
    /// The transformer for the lower half of the noise.
    case file(URL)
    /// The model has one transformer for all of it.
    case single

    /// Reads a path, or `none`.
    public init(_ text: String) {
      self = text == "none" ? .single : .file(URL(fileURLWithPath: text.expandingTilde))
    }

    /// A path, or `none`.
    public var description: String {
      switch self {
      case .file(let url): url.relativePath
      case .single: "none"
      }
    }
  }

  /// Names no file.
  public init() {}
}

extension ModelFiles {
  /// The files by the options that name them.
  var options: [(name: String, value: String)] {
    [
      ("vae", autoencoder?.relativePath), ("text-encoder", textEncoder?.relativePath),
      ("tokenizer", tokenizer?.relativePath), ("clip-vision", imageEncoder?.relativePath),
      ("low-noise", lowNoise?.description),
    ].compactMap { name, value in value.map { (name, $0) } }
  }
}

extension ModelFiles: Codable {
  enum CodingKeys: String, CodingKey {
    case autoencoder = "vae"
    case textEncoder = "text_encoder"
    case tokenizer
    case imageEncoder = "clip_vision"
    case lowNoise = "low_noise"
  }

  /// Reads an object of paths, all of which may be left out.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    func file(_ key: CodingKeys) throws -> URL? {
      try values.decodeIfPresent(String.self, forKey: key).map { URL(fileURLWithPath: $0) }
    }
    autoencoder = try file(.autoencoder)
    textEncoder = try file(.textEncoder)
    tokenizer = try file(.tokenizer)
    imageEncoder = try file(.imageEncoder)
    lowNoise = try values.decodeIfPresent(String.self, forKey: .lowNoise).map(LowNoise.init)
  }

  /// Writes the paths that there are.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encodeIfPresent(autoencoder?.relativePath, forKey: .autoencoder)
    try values.encodeIfPresent(textEncoder?.relativePath, forKey: .textEncoder)
    try values.encodeIfPresent(tokenizer?.relativePath, forKey: .tokenizer)
    try values.encodeIfPresent(imageEncoder?.relativePath, forKey: .imageEncoder)
    try values.encodeIfPresent(lowNoise?.description, forKey: .lowNoise)
  }
}

extension String {
  /// The path with the user's folder in the place of `~`.
  package var expandingTilde: String { NSString(string: self).expandingTildeInPath }
}
