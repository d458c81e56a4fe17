import Foundation
import NIOCore

/// Reads a form of type `multipart/form-data` (RFC 7578) as it comes in, whatever its size.
struct MultipartParser {
  /// What comes, in order: a part begins, its bytes, it ends.
  enum Event: Equatable {
    case begin(name: String, fileName: String?)
    case bytes(ArraySlice<UInt8>)
    case end
  }

  enum Fault: Error { case malformed }

  private enum State { case preamble, headers, body, epilogue }

  private let delimiter: [UInt8]
  private var buffer: [UInt8]
  private var state = State.preamble

  /// Longer headers are no form's.
  private static let headerLimit = 16 << 10

  /// Takes the boundary of a content type's header; `nil` if there is none, or an unusable one.
  init?(contentType: String) {
    guard let start = contentType.range(of: "boundary=", options: .caseInsensitive) else {
      return nil
    }
    var value = contentType[start.upperBound...]
    if value.first == "\"" {
      value = value.dropFirst()
      value = value[..<(value.firstIndex(of: "\"") ?? value.endIndex)]
    } else {
      value = value[..<(value.firstIndex(of: ";") ?? value.endIndex)]
    }
    let boundary = value.trimmingCharacters(in: .whitespaces)
    guard 1...70 ~= boundary.utf8.count else { return nil }
    delimiter = Array("\r\n--\(boundary)".utf8)
    // The first boundary may be the very start.
    buffer = [13, 10]
  }

  /// Whether the last boundary was read.
  var isComplete: Bool { state == .epilogue }

  /// Takes bytes, and gives the events that they complete.
  mutating func read(_ bytes: some Sequence<UInt8>) throws(Fault) -> [Event] {
    buffer.append(contentsOf: bytes)
    var events: [Event] = []
    while true {
      switch state {
      case .preamble, .body:
        guard let place = Self.find(delimiter, in: buffer) else {
          // The end of what is here may be the start of a boundary.
          let kept = min(buffer.count, delimiter.count - 1)
          if state == .body && buffer.count > kept {
            events.append(.bytes(buffer[..<(buffer.count - kept)]))
          }
          buffer = Array(buffer.suffix(kept))
          return events
        }
        let rest = place + delimiter.count
        guard buffer.count >= rest + 2 else {
          if state == .body && place > 0 { events.append(.bytes(buffer[..<place])) }
          buffer = Array(buffer[place...])
          return events
        }
        if state == .body {
          if place > 0 { events.append(.bytes(buffer[..<place])) }
          events.append(.end)
        }
        let isLast = buffer[rest] == 0x2D && buffer[rest + 1] == 0x2D
        guard isLast || buffer[rest] == 13 && buffer[rest + 1] == 10 else { throw .malformed }
        // The line's end belongs to the headers, so that none at all still end with two.
        buffer = Array(buffer[(isLast ? rest + 2 : rest)...])
        state = isLast ? .epilogue : .headers
      case .headers:
        guard let end = Self.find([13, 10, 13, 10], in: buffer) else {
          if buffer.count > Self.headerLimit { throw .malformed }
          return events
        }
        events.append(try Self.part(buffer[..<end]))
        buffer = Array(buffer[(end + 4)...])
        state = .body
      case .epilogue:
        buffer = []
        return events
      }
    }
  }

  private static func part(_ header: ArraySlice<UInt8>) throws(Fault) -> Event {
    for line in String(decoding: header, as: UTF8.self).components(separatedBy: "\r\n") {
      guard line.lowercased().hasPrefix("content-disposition:") else { continue }
      guard let name = value("name", in: line) else { throw .malformed }
      return .begin(name: name, fileName: value("filename", in: line))
    }
    throw .malformed
  }

  /// A parameter of a header's line: quoted, with `%22` or a backslash before quotes, or plain.
  private static func value(_ name: String, in line: String) -> String? {
    guard
      let start = line.range(of: "; \(name)=", options: .caseInsensitive)
        ?? line.range(of: ";\(name)=", options: .caseInsensitive)
    else { return nil }
    let rest = line[start.upperBound...]
    guard rest.first == "\"" else { return String(rest.prefix { $0 != ";" && $0 != " " }) }
    var value = ""
    var isEscaped = false
    for character in rest.dropFirst() {
      if isEscaped {
        value.append(character)
        isEscaped = false
      } else if character == "\\" {
        isEscaped = true
      } else if character == "\"" {
        return value.replacingOccurrences(of: "%22", with: "\"")
      } else {
        value.append(character)
      }
    }
    return nil
  }

  /// Where a pattern begins first.
  private static func find(_ pattern: [UInt8], in bytes: [UInt8]) -> Int? {
    guard let first = pattern.first else { return nil }
    return bytes.withUnsafeBufferPointer { bytes in
      var start = 0
      while start + pattern.count <= bytes.count {
        guard let place = bytes[start...].firstIndex(of: first),
          place + pattern.count <= bytes.count
        else { return nil }
        if bytes[place..<place + pattern.count].elementsEqual(pattern) { return place }
        start = place + 1
      }
      return nil
    }
  }
}
