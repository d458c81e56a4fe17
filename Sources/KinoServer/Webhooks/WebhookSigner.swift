import Crypto
import Foundation

/// Signs messages as Standard Webhooks has it (standardwebhooks.com, version 1): HMAC-SHA256 of
/// `ID.TIMESTAMP.BODY`, in base64.
struct WebhookSigner: Sendable {
  private let key: SymmetricKey

  /// Takes a secret: `whsec_` and base64 of 24 to 64 bytes.
  init?(secret: String) {
    guard secret.hasPrefix("whsec_"), let bytes = Data(base64Encoded: String(secret.dropFirst(6))),
      24...64 ~= bytes.count
    else { return nil }
    key = SymmetricKey(data: bytes)
  }

  /// A new secret.
  static func makeSecret() -> String {
    SymmetricKey(size: .bits256).withUnsafeBytes { "whsec_" + Data($0).base64EncodedString() }
  }

  /// The headers of a message.
  func headers(id: String, timestamp: Int, body: String) -> [(String, String)] {
    let code = HMAC<SHA256>.authenticationCode(
      for: Data("\(id).\(timestamp).\(body)".utf8), using: key)
    return [
      ("webhook-id", id), ("webhook-timestamp", "\(timestamp)"),
      ("webhook-signature", "v1,\(Data(code).base64EncodedString())"),
    ]
  }
}
