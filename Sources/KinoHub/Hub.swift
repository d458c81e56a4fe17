import AsyncHTTPClient
public import Foundation
import NIOCore
import NIOHTTP1

/// A hub of models that speaks as Hugging Face's does, and the cache that its clients share.
public struct Hub: Sendable {
  /// Where it is, without a slash at the end.
  public let endpoint: String
  /// Where files are kept.
  public let cache: URL
  private let token: String?
  /// Seconds without a byte after which a hub counts as one that broke off.
  var patienceSeconds: Int64 = 60

  /// How often a transfer that broke off is taken up again, at most, without one byte of progress.
  private static let tries = 3
  private static let redirections = 5
  private static let listingLimit = 64 << 20

  /// Names a hub.
  ///
  /// - Parameters:
  ///   - endpoint: Its address.
  ///   - token: What opens repositories that are not open to everybody; sent to this address alone.
  ///   - cache: The folder that clients share.
  /// - Throws: ``HubError`` if the address is none.
  public init(endpoint: String, token: String? = nil, cache: URL) throws {
    guard let url = URLComponents(string: endpoint), let host = url.host, !host.isEmpty,
      ["http", "https"].contains(url.scheme?.lowercased())
    else {
      throw HubError(
        .invalidRequest,
        "The hub's address is '\(endpoint.prefix(200))'; use one such as https://huggingface.co.")
    }
    self.endpoint = endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint
    self.token = token
    self.cache = cache
  }

  // MARK: - Listing

  /// Lists a repository's files.
  ///
  /// - Parameters:
  ///   - name: `OWNER/NAME`.
  ///   - revision: A branch, a tag or a commit.
  /// - Returns: What is there, at one commit.
  /// - Throws: ``HubError``, or `CancellationError`.
  public func repository(_ name: String, revision: String = "main") async throws -> HubRepository {
    guard HubRepository.isName(name), HubRepository.isPath(revision) else {
      throw HubError(
        .invalidRequest,
        "'\(name.prefix(200))' is no repository; use OWNER/NAME, or OWNER/NAME:FILE.")
    }
    let path = "/api/models/\(name)/revision/\(Self.escaped(revision, slash: false))?blobs=true"
    return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
      let response: HTTPClientResponse
      do { response = try await answer(to: endpoint + path, by: client) } catch is Unreachable {
        throw HubError(
          .unreachable, "\(endpoint) can't be reached; check the network and the address.")
      }
      guard response.status == .ok else { throw refusal(response, name) }
      let data: Data
      do {
        data = Data(try await response.body.collect(upTo: Self.listingLimit).readableBytesView)
      } catch {
        try Task.checkCancellation()
        throw HubError(.unreachable, "\(endpoint) broke off its list of \(name); try again.")
      }
      guard let listing = try? JSONDecoder().decode(HubRepository.Listing.self, from: data),
        let repository = HubRepository(name, revision: revision, listing)
      else {
        throw HubError(
          .badAnswer, "\(endpoint) gave no list of files for \(name); is it a hub of models?")
      }
      return repository
    }
  }

  // MARK: - Fetching

  /// Fetches files into the cache; those that are there already are not fetched again.
  ///
  /// - Parameters:
  ///   - files: Some of the repository's.
  ///   - repository: The repository.
  ///   - report: Hears of the bytes so far, of all files together, every few megabytes.
  /// - Returns: The folder of the repository's commit in the cache.
  /// - Throws: ``HubError``, or `CancellationError`. What was fetched is kept, and taken up by the next try.
  public func fetch(
    _ files: [HubRepository.File], of repository: HubRepository,
    _ report: @escaping @Sendable (Int) -> Void = { _ in }
  ) async throws -> URL {
    let folder = HubFolder(repository, in: cache)
    try folder.prepare(bytes: files.reduce(0) { $0 + folder.missing($1) })
    return try await HTTPClient.withHTTPClient(configuration: configuration) { client in
      var done = 0
      for file in files {
        try Task.checkCancellation()
        if !folder.has(file) {
          let before = done
          try await fetch(file, of: repository, into: folder, by: client) { report(before + $0) }
        }
        try folder.link(file)
        done += file.bytes
        report(done)
      }
      try folder.noteRevision()
      return folder.snapshot
    }
  }

  private func fetch(
    _ file: HubRepository.File, of repository: HubRepository, into folder: HubFolder,
    by client: HTTPClient, _ report: (Int) -> Void
  ) async throws {
    let part = try folder.open(file)
    var tries = 0
    while part.bytes < file.bytes {
      let start = part.bytes
      do {
        try await transfer(file, of: repository, into: part, by: client, report)
      } catch let error as HubError {
        throw error
      } catch {
        try Task.checkCancellation()
      }
      // Only standing still counts.
      tries = part.bytes > start ? 0 : tries + 1
      guard tries < Self.tries else {
        throw HubError(
          .unreachable,
          """
          \(endpoint) broke off at \(part.bytes) of \(file.bytes) bytes of \(file.path); run the same \
          command again to go on from there.
          """)
      }
    }
    try part.finish()
  }

  /// Takes a file from where its part ends.
  private func transfer(
    _ file: HubRepository.File, of repository: HubRepository, into part: PartialFile,
    by client: HTTPClient, _ report: (Int) -> Void
  ) async throws {
    let path = "/\(repository.name)/resolve/\(repository.commit)/\(Self.escaped(file.path))"
    let response = try await answer(to: endpoint + path, from: part.bytes, by: client)
    switch response.status {
    case .ok: try part.restart()
    case .partialContent: try requireRange(response, part, file)
    case .internalServerError, .badGateway, .serviceUnavailable, .gatewayTimeout, .tooManyRequests:
      try await Task.sleep(for: .milliseconds(200))
      return
    default: throw refusal(response, "\(repository.name)/\(file.path)")
    }
    let length = response.headers.first(name: "Content-Length").flatMap { Int($0) }
    if let length, part.bytes + length != file.bytes {
      throw HubError(
        .badAnswer,
        """
        \(endpoint) lists \(file.path) with \(file.bytes) bytes and sends \(part.bytes + length); try \
        again later.
        """)
    }
    for try await piece in response.body {
      guard part.bytes + piece.readableBytes <= file.bytes else {
        throw HubError(
          .badAnswer,
          "\(endpoint) sends more than the \(file.bytes) bytes that \(file.path) has; try again later."
        )
      }
      let step = part.bytes >> 22
      try part.append(Data(piece.readableBytesView))
      if part.bytes >> 22 > step { report(part.bytes) }
    }
  }

  private func requireRange(
    _ response: HTTPClientResponse, _ part: PartialFile, _ file: HubRepository.File
  ) throws {
    let range = response.headers.first(name: "Content-Range") ?? ""
    guard range.hasPrefix("bytes \(part.bytes)-") else {
      throw HubError(
        .badAnswer,
        "\(endpoint) was asked for \(file.path) from byte \(part.bytes) on, and sends '\(range)'.")
    }
  }

  // MARK: - Requests

  /// Sends a request, and follows where it is led; the token goes to the hub's own address alone.
  private func answer(
    to address: String, from start: Int = 0, by client: HTTPClient
  ) async throws -> HTTPClientResponse {
    var url = URL(string: address)
    for _ in 0...Self.redirections {
      guard let target = url, let host = target.host, ["http", "https"].contains(target.scheme)
      else { break }
      var request = HTTPClientRequest(url: target.absoluteString)
      request.headers.add(name: "User-Agent", value: "kino")
      if let token, isOwn(target, host: host) {
        request.headers.add(name: "Authorization", value: "Bearer \(token)")
      }
      if start > 0 { request.headers.add(name: "Range", value: "bytes=\(start)-") }
      let response: HTTPClientResponse
      do {
        response = try await client.execute(request, timeout: .hours(24))
      } catch {
        try Task.checkCancellation()
        throw Unreachable()
      }
      guard 300..<400 ~= response.status.code,
        let place = response.headers.first(name: "Location")
      else { return response }
      let next = URL(string: place, relativeTo: target)?.absoluteURL
      guard !(target.scheme == "https" && next?.scheme == "http") else { break }
      url = next
    }
    throw HubError(.badAnswer, "\(endpoint) leads on too often, or to no place for files.")
  }

  private func isOwn(_ url: URL, host: String) -> Bool {
    let own = URLComponents(string: endpoint)
    return own?.host == host && own?.port == url.port && own?.scheme == url.scheme
  }

  /// No answer came: for a transfer, one try of several.
  private struct Unreachable: Error {}

  private func refusal(_ response: HTTPClientResponse, _ name: String) -> HubError {
    switch response.status {
    case .unauthorized, .forbidden:
      HubError(
        .notFound,
        """
        \(name) is not open to everybody, or not there; accept its terms at \(endpoint), and name your \
        token in HF_TOKEN.
        """)
    case .notFound: HubError(.notFound, "\(endpoint) has no \(name); check the name.")
    default:
      HubError(
        .badAnswer, "\(endpoint) answers \(response.status.code) for \(name); try again later.")
    }
  }

  private static func escaped(_ path: String, slash: Bool = true) -> String {
    var allowed = CharacterSet.alphanumerics
    allowed.insert(charactersIn: "-._~" + (slash ? "/" : ""))
    return path.addingPercentEncoding(withAllowedCharacters: allowed) ?? path
  }

  private var configuration: HTTPClient.Configuration {
    var configuration = HTTPClient.Configuration(redirectConfiguration: .disallow)
    configuration.timeout = .init(connect: .seconds(20), read: .seconds(patienceSeconds))
    return configuration
  }
}
