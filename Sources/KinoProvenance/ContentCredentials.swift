public import Foundation
internal import KinoMedia
internal import KinoSystem

/// Signs files with Content Credentials (C2PA, specification 2.2), and checks those of files.
public struct ContentCredentials: Sendable {
  private let library: C2PALibrary

  /// Loads the c2pa library.
  ///
  /// - Parameter file: Where it is.
  /// - Throws: ``ProvenanceError`` if it is not there.
  public init(library file: URL) throws { library = try C2PALibrary(at: file) }

  /// Where `scripts/bootstrap --with-c2pa` puts the library.
  public static func defaultLibrary(environment: [String: String]) -> URL {
    if let path = environment["KINO_C2PA"] { return URL(fileURLWithPath: path) }
    let cache =
      environment["XDG_CACHE_HOME"].map { URL(fileURLWithPath: $0) }
      ?? FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".cache")
    return cache.appendingPathComponent("kino/c2pa").appendingPathComponent(C2PALibrary.fileName)
  }

  /// What a signed file says of itself.
  public struct Statement: Sendable {
    /// What the file shows, in a few words.
    public var title: String
    /// The version of Kino.
    public var version: String
    /// How it was made, as JSON; it is an assertion of its own.
    public var recipe: String
    /// The files that went into it.
    public var sources: [URL]

    /// Describes a file.
    public init(title: String, version: String, recipe: String, sources: [URL] = []) {
      self.title = title
      self.version = version
      self.recipe = recipe
      self.sources = sources
    }
  }

  /// What a check of a file found.
  public struct Report: Codable, Hashable, Sendable {
    /// `Valid`, `Trusted` or `Invalid`, as the library has it.
    public var state: String
    /// Who signed.
    public var signer: String?
    /// The program that made the claim.
    public var generator: String?
    /// What kind of source the file is, as the IPTC names it.
    public var sourceTypes: [String] = []
    /// The titles of what went into it.
    public var ingredients: [String] = []
    /// What the checks failed at, as C2PA's codes; `signingCredential.untrusted` only says that no list of
    /// trusted signers was given.
    public var failures: [String] = []

    /// Whether nothing failed but trust, which is the reader's own decision.
    public var isIntact: Bool { failures.allSatisfy { $0 == "signingCredential.untrusted" } }

    enum CodingKeys: String, CodingKey {
      case state, signer, generator, ingredients, failures
      case sourceTypes = "source_types"
    }
  }

  // MARK: Signing

  /// Signs a file in place; it is the unsigned one or the signed one at any moment.
  ///
  /// - Throws: ``ProvenanceError`` if the format bears no credentials or the identity is not accepted.
  public func sign(_ file: URL, _ statement: Statement, by identity: SigningIdentity) throws {
    guard let type = Self.mediaType(file) else {
      throw ProvenanceError(
        .notSigned,
        "A .\(file.pathExtension) can't bear content credentials; use .mp4, .mov, .png, .jpg, .webp or .gif."
      )
    }
    let target = try AtomicFile(path: file.path, overwrite: true)
    let partial = URL(fileURLWithPath: target.temporaryPath)
    let builder = library.builder(try Self.manifest(statement, type))
    guard let builder else { throw failed(file) }
    defer { library.freeBuilder(builder) }
    for source in statement.sources {
      try add(source, to: builder)
    }
    let signer = try signer(identity)
    defer { library.freeSigner(signer) }
    try library.withStream(file) { input in
      try library.withStream(partial, isWritten: true) { output in
        var bytes: UnsafeMutableRawPointer?
        guard library.sign(builder, type, input, output, signer, &bytes) >= 0 else {
          throw failed(file)
        }
        library.freeBytes(bytes)
      }
    }
    try target.publish()
  }

  private func failed(_ file: URL) -> ProvenanceError {
    ProvenanceError(.notSigned, "\(file.path) can't be signed: \(library.lastError)")
  }

  private func signer(_ identity: SigningIdentity) throws -> UnsafeMutableRawPointer {
    // Four texts: algorithm, chain, key, and the address of a time stamp's authority, of which there is none.
    let texts = [identity.algorithm, identity.chain, identity.key].map { Array($0.utf8CString) }
    let signer = texts[0].withUnsafeBufferPointer { algorithm in
      texts[1].withUnsafeBufferPointer { chain in
        texts[2].withUnsafeBufferPointer { key in
          [algorithm.baseAddress, chain.baseAddress, key.baseAddress, nil]
            .withUnsafeBytes { library.signer($0.baseAddress) }
        }
      }
    }
    guard let signer else {
      throw ProvenanceError(.invalidIdentity, "The identity is not accepted: \(library.lastError)")
    }
    return signer
  }

  private func add(_ source: URL, to builder: UnsafeMutableRawPointer) throws {
    guard let type = Self.mediaType(source) else { return }
    let json = try Self.json(["title": source.lastPathComponent, "relationship": "componentOf"])
    try library.withStream(source) { stream in
      guard library.addIngredient(builder, json, type, stream) == 0 else { throw failed(source) }
    }
  }

  private static func manifest(_ statement: Statement, _ type: String) throws -> String {
    let kind =
      statement.sources.isEmpty
      ? "trainedAlgorithmicMedia" : "compositeWithTrainedAlgorithmicMedia"
    let agent: [String: Any] = ["name": "Kino", "version": statement.version]
    let recipe = try JSONSerialization.jsonObject(with: Data(statement.recipe.utf8))
    return try json([
      "claim_generator_info": [agent], "title": statement.title, "format": type,
      "assertions": [
        [
          "label": "c2pa.actions.v2",
          "data": [
            "actions": [
              [
                "action": "c2pa.created", "softwareAgent": agent,
                "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/\(kind)",
              ]
            ]
          ],
        ],
        ["label": "org.kino.recipe", "data": recipe],
      ],
    ])
  }

  private static func json(_ value: [String: Any]) throws -> String {
    String(
      decoding: try JSONSerialization.data(
        withJSONObject: value, options: [.sortedKeys, .withoutEscapingSlashes]), as: UTF8.self)
  }

  /// The types that bear credentials.
  private static func mediaType(_ file: URL) -> String? {
    [
      "mp4": "video/mp4", "m4v": "video/mp4", "mov": "video/quicktime", "png": "image/png",
      "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp", "gif": "image/gif",
    ][file.pathExtension.lowercased()]
  }

  // MARK: Checking

  /// Checks a file.
  ///
  /// - Returns: What was found; `nil` if the file has no credentials, or is of a kind that bears none.
  /// - Throws: ``ProvenanceError`` if its credentials can't be read.
  public func report(on file: URL) throws -> Report? {
    guard let type = Self.mediaType(file) else { return nil }
    return try library.withStream(file) { stream in
      guard let reader = library.reader(type, stream) else {
        let words = library.lastError
        if words.contains("ManifestNotFound") || words.contains("no JUMBF") { return nil }
        throw ProvenanceError(
          .notReadable, "The content credentials of \(file.path) can't be read: \(words)")
      }
      defer { library.freeReader(reader) }
      guard let text = library.text(library.readerJSON(reader)) else { return nil }
      let decoder = JSONDecoder()
      decoder.keyDecodingStrategy = .convertFromSnakeCase
      return try decoder.decode(Manifests.self, from: Data(text.utf8)).report
    }
  }
}

/// What is read of the library's own report.
private struct Manifests: Decodable {
  struct Manifest: Decodable {
    struct Generator: Decodable { let name: String, version: String? }
    struct Signature: Decodable { let issuer, commonName: String? }
    struct Ingredient: Decodable { let title: String? }
    struct Assertion: Decodable {
      struct Content: Decodable {
        struct Action: Decodable { let digitalSourceType: String? }
        let actions: [Action]?
      }
      let label: String
      let data: Content?

      enum CodingKeys: String, CodingKey { case label, data }

      init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        label = try values.decode(String.self, forKey: .label)
        // Of other assertions nothing is read.
        data = try? values.decode(Content.self, forKey: .data)
      }
    }
    let claimGeneratorInfo: [Generator]?
    let signatureInfo: Signature?
    let ingredients: [Ingredient]?
    let assertions: [Assertion]?
  }
  struct Status: Decodable { let code: String }

  let activeManifest: String?
  let manifests: [String: Manifest]?
  let validationStatus: [Status]?
  let validationState: String?

  var report: ContentCredentials.Report {
    let active = activeManifest.flatMap { manifests?[$0] }
    var report = ContentCredentials.Report(state: validationState ?? "Unknown")
    report.signer = active?.signatureInfo?.commonName ?? active?.signatureInfo?.issuer
    report.generator = active?.claimGeneratorInfo?.first.map {
      [$0.name, $0.version].compactMap(\.self).joined(separator: " ")
    }
    report.sourceTypes = (active?.assertions ?? []).flatMap { $0.data?.actions ?? [] }
      .compactMap { $0.digitalSourceType?.split(separator: "/").last.map(String.init) }
    report.ingredients = (active?.ingredients ?? []).compactMap(\.title)
    report.failures = (validationStatus ?? []).map(\.code)
    return report
  }
}
