import Crypto
public import Foundation
import SwiftASN1
import X509

/// Who signs: a chain of certificates and the key of the first.
///
/// A folder with `chain.pem` and `key.pem`: made by ``make(named:in:)``, or put there by the owner of
/// certificates that others trust.
public struct SigningIdentity: Hashable, Sendable {
  /// The chain, the signer's own certificate first, in PEM.
  public let chain: String
  /// The signer's key, in PEM (PKCS #8).
  public let key: String
  /// The algorithm of the key, as C2PA names it.
  public let algorithm: String

  /// Where the user's identity is: `kino/identity` in the folder for settings.
  public static func defaultFolder(environment: [String: String]) -> URL {
    let base =
      environment["XDG_CONFIG_HOME"].map { URL(fileURLWithPath: $0) }
      ?? FileManager.default.homeDirectoryForCurrentUser.appendingPathComponent(".config")
    return base.appendingPathComponent("kino/identity")
  }

  /// Reads an identity; `nil` if the folder is not there.
  ///
  /// - Throws: ``ProvenanceError`` if its files can't be used.
  public init?(folder: URL) throws {
    let (chain, key) = (
      folder.appendingPathComponent("chain.pem"), folder.appendingPathComponent("key.pem")
    )
    guard FileManager.default.fileExists(atPath: chain.path) else { return nil }
    do {
      self.chain = try String(contentsOf: chain, encoding: .utf8)
      self.key = try String(contentsOf: key, encoding: .utf8)
      let certificates = try PEMDocument.parseMultiple(pemString: self.chain)
        .map { try Certificate(pemDocument: $0) }
      guard let first = certificates.first else {
        throw ProvenanceError(.invalidIdentity, "\(chain.path) has no certificate.")
      }
      algorithm = try Self.algorithm(of: first)
    } catch let error as ProvenanceError {
      throw error
    } catch {
      throw ProvenanceError(
        .invalidIdentity,
        "The identity in \(folder.path) can't be read: \(error). It needs chain.pem and key.pem.")
    }
  }

  private static func algorithm(of certificate: Certificate) throws -> String {
    if P256.Signing.PublicKey(certificate.publicKey) != nil { return "es256" }
    if P384.Signing.PublicKey(certificate.publicKey) != nil { return "es384" }
    if P521.Signing.PublicKey(certificate.publicKey) != nil { return "es512" }
    if Curve25519.Signing.PublicKey(certificate.publicKey) != nil { return "ed25519" }
    // What is left of the kinds that certificates here can have is RSA.
    return "ps256"
  }

  /// Makes an identity of this machine's own: readers see who signed, and that no list of trusted signers
  /// knows them.
  ///
  /// - Parameters:
  ///   - name: Who signs, 1 to 64 characters.
  ///   - folder: Where it is kept, readable by its owner only.
  /// - Throws: ``ProvenanceError`` if there is one already.
  public static func make(named name: String, in folder: URL) throws {
    guard 1...64 ~= name.count else {
      throw ProvenanceError(.invalidIdentity, "A signer's name has 1 to 64 characters.")
    }
    let manager = FileManager.default
    guard !manager.fileExists(atPath: folder.path) else {
      throw ProvenanceError(
        .identityExists,
        "There is an identity in \(folder.path) already; move it away to make another.")
    }
    let (rootKey, ownKey) = (P256.Signing.PrivateKey(), P256.Signing.PrivateKey())
    let root = try certificate(
      of: rootKey.publicKey, named: "\(name) (root)", by: rootKey, named: "\(name) (root)",
      isAuthority: true)
    let own = try certificate(
      of: ownKey.publicKey, named: name, by: rootKey, named: "\(name) (root)", isAuthority: false)
    let chain = try [own, root].map { try $0.serializeAsPEM().pemString }.joined(separator: "\n")
    // Whole or not at all.
    let partial = folder.appendingPathExtension("partial")
    try? manager.removeItem(at: partial)
    try manager.createDirectory(
      at: partial, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    try Data((chain + "\n").utf8).write(to: partial.appendingPathComponent("chain.pem"))
    let key = partial.appendingPathComponent("key.pem")
    _ = manager.createFile(
      atPath: key.path, contents: Data((ownKey.pemRepresentation + "\n").utf8),
      attributes: [.posixPermissions: 0o600])
    try manager.moveItem(at: partial, to: folder)
  }

  private static func certificate(
    of key: P256.Signing.PublicKey, named subject: String, by signer: P256.Signing.PrivateKey,
    named issuer: String, isAuthority: Bool
  ) throws -> Certificate {
    func name(_ text: String) throws -> DistinguishedName {
      try DistinguishedName {
        OrganizationName("Kino")
        CommonName(text)
      }
    }
    let now = Date()
    return try Certificate(
      version: .v3, serialNumber: Certificate.SerialNumber(), publicKey: .init(key),
      // A clock may be a little behind.
      notValidBefore: now.addingTimeInterval(-300),
      notValidAfter: now.addingTimeInterval(10 * 365 * 86_400),
      issuer: name(issuer), subject: name(subject), signatureAlgorithm: .ecdsaWithSHA256,
      extensions: Certificate.Extensions {
        if isAuthority {
          Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
          Critical(KeyUsage(keyCertSign: true, cRLSign: true))
        } else {
          Critical(BasicConstraints.notCertificateAuthority)
          Critical(KeyUsage(digitalSignature: true))
          // Of the purposes that C2PA accepts for a signer.
          try ExtendedKeyUsage([.emailProtection])
        }
        SubjectKeyIdentifier(hash: .init(key))
        AuthorityKeyIdentifier(
          keyIdentifier: SubjectKeyIdentifier(hash: .init(signer.publicKey)).keyIdentifier)
      }, issuerPrivateKey: .init(signer))
  }
}
