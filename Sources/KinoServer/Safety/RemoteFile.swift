import AsyncHTTPClient
import Foundation
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTP1

/// Fetches a file that a request names by its URL, from the open internet only.
struct RemoteFile: Sendable {
  /// Bytes read at most.
  var limit = 20 << 20
  /// Seconds that it may take in all.
  var seconds = 30.0
  /// Redirections followed; each is checked like the first address.
  var redirections = 3
  /// Which addresses may be asked.
  var allows: @Sendable (InternetAddress) -> Bool = { $0.isPublic }

  /// Fetches a file.
  ///
  /// - Throws: ``APIError`` that names the field.
  func fetch(_ text: String, field: String, into folder: DataFolder) async throws -> ReceivedFile {
    do {
      return try await withDeadline(seconds) { try await follow(text, field, folder) }
    } catch let error as APIError {
      throw error.status == .requestTimeout
        ? APIError.invalid(field, "'\(field)' was not there within \(Int(seconds)) s.") : error
    } catch {
      throw APIError.invalid(field, "'\(field)' can't be fetched.")
    }
  }

  private func follow(
    _ text: String, _ field: String, _ folder: DataFolder
  ) async throws -> ReceivedFile {
    var address = text
    for _ in 0...redirections {
      guard let url = URLComponents(string: address), let host = url.host, !host.isEmpty,
        ["http", "https"].contains(url.scheme?.lowercased()), url.user == nil
      else { throw APIError.invalid(field, "'\(field)' must be an http or https URL.") }
      switch try await ask(url, host: host, field, folder) {
      case .file(let file): return file
      case .moved(let place):
        guard let next = URL(string: place, relativeTo: url.url) else { break }
        address = next.absoluteString
        continue
      }
      break
    }
    throw APIError.invalid(field, "'\(field)' leads on too often.")
  }

  private enum Answer {
    case file(ReceivedFile)
    case moved(String)
  }

  private func ask(
    _ url: URLComponents, host: String, _ field: String, _ folder: DataFolder
  ) async throws -> Answer {
    let plain = host.trimmingCharacters(in: CharacterSet(charactersIn: "[]"))
    let addresses = await InternetAddress.resolve(plain)
    let isOpen = addresses.allSatisfy { InternetAddress($0).map(allows) ?? false }
    guard let address = addresses.first, isOpen else {
      throw APIError.invalid(
        field, "'\(field)' must be on the open internet; '\(plain.prefix(100))' is not.")
    }
    var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
    // The very address that was checked: a second look-up might give another.
    configuration.dnsOverride = [host: address]
    configuration.proxy = nil
    let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
    do {
      let answer = try await read(client, url.string ?? "", field, folder)
      try await client.shutdown()
      return answer
    } catch {
      try? await client.shutdown()
      throw error
    }
  }

  private func read(
    _ client: HTTPClient, _ url: String, _ field: String, _ folder: DataFolder
  ) async throws -> Answer {
    var request = HTTPClientRequest(url: url)
    request.headers.add(name: "User-Agent", value: "kino")
    request.headers.add(name: "Accept", value: "image/*, video/*")
    let response = try await client.execute(request, timeout: .seconds(Int64(seconds)))
    if 300..<400 ~= response.status.code, let place = response.headers.first(name: "Location") {
      return .moved(place)
    }
    guard response.status == .ok else {
      throw APIError.invalid(
        field, "'\(field)' can't be fetched: its server says \(response.status.code).")
    }
    let target = folder.incoming()
    _ = FileManager.default.createFile(atPath: target.path, contents: nil)
    let handle = try FileHandle(forWritingTo: target)
    defer { try? handle.close() }
    var bytes = 0
    do {
      for try await piece in response.body {
        bytes += piece.readableBytes
        guard bytes <= limit else {
          throw APIError.invalid(field, "'\(field)' is larger than the \(limit >> 20) MB allowed.")
        }
        try handle.write(contentsOf: Data(piece.readableBytesView))
      }
    } catch {
      try? FileManager.default.removeItem(at: target)
      throw error
    }
    return .file(ReceivedFile(url: target, name: "", bytes: bytes))
  }
}
