import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// An address of the internet protocol, as its bytes: 4 or 16.
struct InternetAddress: Hashable {
  let bytes: [UInt8]

  /// Reads `192.0.2.1` or `2001:db8::1`.
  init?(_ text: String) {
    var four = in_addr()
    var six = in6_addr()
    if inet_pton(AF_INET, text, &four) == 1 {
      bytes = withUnsafeBytes(of: four) { Array($0) }
    } else if inet_pton(AF_INET6, text, &six) == 1 {
      bytes = withUnsafeBytes(of: six) { Array($0) }
    } else {
      return nil
    }
  }

  /// Whether the address is one of the open internet: nothing private, local or reserved (the registries of
  /// RFC 6890), which only this server could reach, not its client.
  var isPublic: Bool {
    if bytes.count == 4 { return Self.isPublic(bytes) }
    // An IPv4 address in another form: mapped, translated by NAT64, or 6to4.
    if bytes.starts(with: [UInt8](repeating: 0, count: 10) + [0xFF, 0xFF]) {
      return Self.isPublic(Array(bytes[12...]))
    }
    if bytes.starts(with: [0, 0x64, 0xFF, 0x9B]) { return Self.isPublic(Array(bytes[12...])) }
    if bytes.starts(with: [0x20, 0x02]) { return Self.isPublic(Array(bytes[2..<6])) }
    // Only 2000::/3 is given out; within it, protocol assignments and documentation are not.
    guard bytes[0] & 0xE0 == 0x20 else { return false }
    return !(bytes.starts(with: [0x20, 0x01]) && (bytes[2] < 2 || bytes[2...3] == [0x0D, 0xB8]))
      && !bytes.starts(with: [0x3F, 0xFF])
  }

  private static func isPublic(_ bytes: [UInt8]) -> Bool {
    switch (bytes[0], bytes[1]) {
    case (0, _), (10, _), (127, _), (224..., _): false
    case (100, 64...127), (169, 254), (172, 16...31), (192, 168), (198, 18...19): false
    case (192, 0) where bytes[2] == 0 || bytes[2] == 2: false
    case (192, 88) where bytes[2] == 99: false
    case (198, 51) where bytes[2] == 100: false
    case (203, 0) where bytes[2] == 113: false
    default: true
    }
  }

  /// The addresses of a host, by the system's resolver.
  static func resolve(_ host: String) async -> [String] {
    await withCheckedContinuation { continuation in
      Thread.detachNewThread { continuation.resume(returning: lookUp(host)) }
    }
  }

  private static func lookUp(_ host: String) -> [String] {
    var hints = addrinfo()
    #if os(Linux)
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    #else
      hints.ai_socktype = SOCK_STREAM
    #endif
    var list: UnsafeMutablePointer<addrinfo>?
    guard getaddrinfo(host, nil, &hints, &list) == 0 else { return [] }
    defer { freeaddrinfo(list) }
    var found: [String] = []
    var next = list
    while let entry = next {
      var name = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      if getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &name, socklen_t(name.count), nil, 0,
        NI_NUMERICHOST) == 0
      {
        found.append(
          String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
      }
      next = entry.pointee.ai_next
    }
    return found
  }
}
