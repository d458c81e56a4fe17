import Foundation
import Synchronization

/// An HTTP server on this machine that answers each request as it is told, for better or worse.
package final class LoopbackServer: Sendable {
  /// Parts of an answer, in order; the connection ends after them.
  package enum Part: Sendable {
    case text(String)
    case bytes([UInt8])
    /// The bytes again and again until the other side leaves.
    case forever([UInt8], every: Double)
    /// Nothing for as long as the other side waits.
    case silence
  }

  package let port: UInt16
  private let listener: Int32
  private let state = State()

  /// What the server shares with its thread, which may outlive it.
  private final class State: Sendable {
    let received = Mutex<[String]>([])
    let isOpen = Mutex(true)
  }

  package var url: String { "http://127.0.0.1:\(port)/v1" }
  /// Requests so far, each as it came.
  package var requests: [String] { state.received.withLock { $0 } }

  struct SocketError: Error {}

  /// Keeps the client from sending what is for this machine to a proxy.
  private static let hasDirectWay = setenv("no_proxy", "127.0.0.1", 1) == 0

  /// Gives every request the same answer.
  package convenience init(answering parts: [Part]) throws {
    try self.init { _ in parts }
  }

  /// Answers each request by its head.
  package init(_ answer: @escaping @Sendable (_ request: String) -> [Part]) throws {
    guard Self.hasDirectWay else { throw SocketError() }
    #if canImport(Darwin)
      let kind = SOCK_STREAM
    #else
      let kind = Int32(SOCK_STREAM.rawValue)
    #endif
    let listener = socket(AF_INET, kind, 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    var size = socklen_t(MemoryLayout<sockaddr_in>.size)
    let status = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
        bind(listener, address, size) == 0 && listen(listener, 8) == 0
          && getsockname(listener, address, &size) == 0
      }
    }
    guard status else { throw SocketError() }
    self.listener = listener
    port = UInt16(bigEndian: address.sin_port)
    let thread = Thread { [state] in
      while state.isOpen.withLock({ $0 }) {
        let connection = accept(listener, nil, nil)
        if connection < 0 { break }
        Self.serve(connection, answer, state)
        _ = close(connection)
      }
      // Nobody else closes it: its number may soon be another server's.
      _ = close(listener)
    }
    thread.start()
  }

  /// An answer with a JSON body.
  package static func json(_ body: String, status: String = "200 OK") -> [Part] {
    [
      .text(
        "HTTP/1.1 \(status)\r\nContent-Type: application/json\r\n"
          + "Content-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)")
    ]
  }

  deinit {
    // Under the lock, so that the thread closes it only afterwards.
    state.isOpen.withLock { isOpen in
      isOpen = false
      _ = shutdown(listener, Int32(SHUT_RDWR))
    }
  }

  private static func serve(
    _ connection: Int32, _ answer: (String) -> [Part], _ state: State
  ) {
    let request = request(from: connection)
    state.received.withLock { $0.append(request) }
    for part in answer(request) {
      switch part {
      case .text(let text): _ = write(Array(text.utf8), to: connection)
      case .bytes(let bytes): _ = write(bytes, to: connection)
      case .forever(let bytes, let pause):
        while write(bytes, to: connection) { usleep(UInt32(pause * 1e6)) }
      case .silence:
        var byte: UInt8 = 0
        while recv(connection, &byte, 1, 0) > 0 {}
      }
    }
  }

  private static func write(_ bytes: [UInt8], to connection: Int32) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes {
        #if canImport(Darwin)
          send(connection, $0.baseAddress, $0.count, 0)
        #else
          send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        #endif
      }
      if count <= 0 { return false }
      rest = rest.dropFirst(count)
    }
    return true
  }

  /// Reads a head, and as much of a body as it states.
  private static func request(from connection: Int32) -> String {
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while true {
      let text = String(decoding: bytes, as: UTF8.self)
      if let head = text.range(of: "\r\n\r\n") {
        let length = text[..<head.lowerBound].lowercased().split(separator: "\r\n")
          .first { $0.hasPrefix("content-length:") }
          .flatMap { Int($0.dropFirst(15).trimmingCharacters(in: .whitespaces)) }
        if text[head.upperBound...].utf8.count >= length ?? 0 { return text }
      }
      let count = recv(connection, &buffer, buffer.count, 0)
      if count <= 0 { return text }
      bytes += buffer[..<count]
    }
  }
}
