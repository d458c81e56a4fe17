import Foundation
import HTTPTypes
import Hummingbird
import NIOCore

extension Response {
  /// The types of what is served, by extension.
  static let mediaTypes = [
    "mp4": "video/mp4", "mov": "video/quicktime", "gif": "image/gif", "webp": "image/webp",
    "png": "image/png", "jpg": "image/jpeg", "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml", "yaml": "application/yaml", "json": "application/json",
  ]

  /// A file, or the part of it that the request asks for (RFC 9110, section 14), as players do.
  static func file(
    _ url: URL, type: String, name: String, _ request: Request, _ context: ServerContext
  ) async throws -> Response {
    let values = try? url.resourceValues(forKeys: [.fileSizeKey])
    guard let size = values?.fileSize, size > 0 else {
      throw APIError(.gone, "gone", "The file is no longer there.")
    }
    var headers: HTTPFields = [.contentType: type, .acceptRanges: "bytes"]
    headers[.contentDisposition] = "inline; filename=\"\(name)\""
    // A result never changes.
    headers[.cacheControl] = "private, max-age=86400, immutable"
    var range = 0...(size - 1)
    var status = HTTPResponse.Status.ok
    if let wanted = request.headers[.range], wanted.hasPrefix("bytes="), !wanted.contains(",") {
      guard let part = Self.range(wanted.dropFirst(6), of: size) else {
        headers[.contentRange] = "bytes */\(size)"
        return Response(status: .rangeNotSatisfiable, headers: headers)
      }
      range = part
      status = .partialContent
      headers[.contentRange] = "bytes \(range.lowerBound)-\(range.upperBound)/\(size)"
    }
    let body = try await FileIO().loadFile(path: url.path, range: range, context: context)
    return Response(status: status, headers: headers, body: body)
  }

  /// `FIRST-LAST`, `FIRST-` or `-COUNT`.
  private static func range(_ text: Substring, of size: Int) -> ClosedRange<Int>? {
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count == 2 else { return nil }
    if ends[0].isEmpty {
      guard let count = Int(ends[1]), count > 0 else { return nil }
      return max(0, size - count)...(size - 1)
    }
    guard let first = Int(ends[0]), first >= 0, first < size else { return nil }
    if ends[1].isEmpty { return first...(size - 1) }
    guard let last = Int(ends[1]), last >= first else { return nil }
    return first...min(last, size - 1)
  }

  /// One of the files that are part of the program; `nil` if there is none of the name.
  static func asset(_ name: String) -> Response? {
    guard let bytes = WebAssets.bytes(of: name),
      let type = mediaTypes[String(name.split(separator: ".").last ?? "")]
    else { return nil }
    return Response(
      status: .ok, headers: [.contentType: type, .cacheControl: "no-cache"],
      body: .init(byteBuffer: ByteBuffer(bytes: bytes)))
  }
}
