/// The files of a repository on a hub, at one commit.
public struct HubRepository: Sendable, Hashable {
  /// One file.
  public struct File: Sendable, Hashable {
    /// Its path in the repository.
    public let path: String
    /// Its size.
    public let bytes: Int
    /// The SHA-256 of its content, in hexadecimal, for large files; the others have Git's own hash.
    let digest: Digest
  }

  /// What a file's content must have.
  enum Digest: Sendable, Hashable {
    case sha256(String)
    case gitBlob(String)

    /// The name of the content in the cache.
    var name: String {
      switch self {
      case .sha256(let text), .gitBlob(let text): text
      }
    }
  }

  /// `OWNER/NAME`.
  public let name: String
  /// What was asked for.
  let revision: String
  /// What that stands for now.
  public let commit: String
  /// The files, in order of their paths.
  public let files: [File]

  /// What the hub says.
  struct Listing: Decodable {
    struct Sibling: Decodable {
      struct Large: Decodable {
        let sha256: String
        let size: Int
      }
      let rfilename: String
      let size: Int?
      let blobId: String?
      let lfs: Large?
    }
    let sha: String
    let siblings: [Sibling]
  }

  /// Takes a listing, unless it names what is no commit or no place inside a folder.
  init?(_ name: String, revision: String, _ listing: Listing) {
    guard Self.isHash(listing.sha, lengths: [40]) else { return nil }
    (self.name, self.revision, commit) = (name, revision, listing.sha)
    var files: [File] = []
    for sibling in listing.siblings {
      let bytes = sibling.lfs?.size ?? sibling.size ?? -1
      guard Self.isPath(sibling.rfilename), 0..<1 << 48 ~= bytes else { return nil }
      if let large = sibling.lfs {
        guard Self.isHash(large.sha256, lengths: [64]) else { return nil }
        files.append(
          File(path: sibling.rfilename, bytes: bytes, digest: .sha256(large.sha256)))
      } else if let blob = sibling.blobId {
        guard Self.isHash(blob, lengths: [40]) else { return nil }
        files.append(File(path: sibling.rfilename, bytes: bytes, digest: .gitBlob(blob)))
      }
    }
    self.files = files.sorted { $0.path < $1.path }
  }

  /// Whether a text is the name of a repository.
  static func isName(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    return parts.count == 2 && text.count <= 200
      && parts.allSatisfy { part in
        !part.isEmpty && !part.hasPrefix(".") && !part.contains("--")
          && part.allSatisfy { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) }
      }
  }

  /// Whether a path leads to a place inside a folder.
  static func isPath(_ text: String) -> Bool {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    return !text.isEmpty && text.utf8.count <= 1000
      && parts.allSatisfy { !$0.isEmpty && $0 != "." && $0 != ".." }
      && !text.unicodeScalars.contains { $0.properties.generalCategory == .control || $0 == "\\" }
  }

  private static func isHash(_ text: String, lengths: Set<Int>) -> Bool {
    lengths.contains(text.utf8.count) && text.utf8.allSatisfy { 48...57 ~= $0 || 97...102 ~= $0 }
  }
}

// MARK: - What a form needs

extension HubRepository {
  private static let weights = [".safetensors", ".gguf", ".pth", ".pt"]

  private static func isWeights(_ path: String) -> Bool { weights.contains { path.hasSuffix($0) } }

  /// The files that Kino needs of the repository.
  ///
  /// - Parameter path: One of the files, if only that is meant.
  /// - Returns: That file; or of a model in diffusers' layout or of a Wan repository, the configurations,
  ///   the weights and the tokenizer.
  /// - Throws: ``HubError`` if there is no such file, or if the repository holds a choice of files.
  public func needed(_ path: String? = nil) throws(HubError) -> [File] {
    if let path {
      if let file = files.first(where: { $0.path == path }) { return [file] }
      throw HubError(.notFound, "\(name) has no file \(path.prefix(200)); there are \(sample).")
    }
    let paths = Set(files.map(\.path))
    let isModel =
      paths.contains("model_index.json") || paths.contains("config.json")
      || paths.contains("configuration.json")
    guard isModel else {
      throw HubError(
        .ambiguous,
        "\(name) holds a choice of files: name one, as \(name):FILE; there are \(sample).")
    }
    return files.filter { file in
      let last = file.path.split(separator: "/").last.map(String.init) ?? file.path
      // The text half of the image encoder, and the tokenizer that Kino does not read.
      if file.path.hasPrefix("xlm-roberta") || last == "tokenizer.json" { return false }
      return Self.isWeights(last) || last.hasSuffix(".json") || last == "spiece.model"
    }
  }

  /// A few of the files of weights, for messages.
  private var sample: String {
    let weights = files.filter { Self.isWeights($0.path) }
    let shown = (weights.isEmpty ? files : weights).prefix(8).map(\.path)
    return shown.joined(separator: ", ") + (files.count > shown.count ? ", ..." : "")
  }
}
