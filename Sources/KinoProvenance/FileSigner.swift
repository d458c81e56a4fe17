public import Foundation

/// Signs what Kino makes, as one identity.
public struct FileSigner: Sendable {
  private let credentials: ContentCredentials
  private let identity: SigningIdentity

  /// Signs by an identity and a loaded library.
  public init(_ credentials: ContentCredentials, by identity: SigningIdentity) {
    self.credentials = credentials
    self.identity = identity
  }

  /// The signer that the user has set up; `nil` if there is none.
  ///
  /// - Parameter environment: Says where settings and caches are.
  /// - Throws: ``ProvenanceError`` if one is, and can't be used.
  public init?(environment: [String: String]) throws {
    let folder = SigningIdentity.defaultFolder(environment: environment)
    guard let identity = try SigningIdentity(folder: folder) else { return nil }
    let library = ContentCredentials.defaultLibrary(environment: environment)
    self.init(try ContentCredentials(library: library), by: identity)
  }

  /// Whether a file has credentials.
  public func hasSigned(_ file: URL) throws -> Bool { try credentials.report(on: file) != nil }

  /// Signs a file in place.
  ///
  /// - Throws: ``ProvenanceError`` as ``ContentCredentials/sign(_:_:by:)``.
  public func sign(_ file: URL, _ statement: ContentCredentials.Statement) throws {
    try credentials.sign(file, statement, by: identity)
  }
}
