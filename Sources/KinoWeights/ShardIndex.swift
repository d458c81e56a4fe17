import Foundation
internal import KinoSystem

/// The `*.safetensors.index.json` beside a sharded checkpoint: which file holds which tensor.
struct ShardIndex {
  /// Shard file name per tensor name.
  private(set) var shards: [String: String] = [:]

  static let suffix = ".safetensors.index.json"

  init(shards: [String: String]) {
    self.shards = shards
  }

  /// Reads an index; shards may only be named by plain file names, beside it.
  init(at url: URL) throws(WeightsError) {
    let file = try MappedFile(path: url.path)
    guard file.byteCount <= SafetensorsHeader.maximumLength else {
      throw WeightsError(
        .headerTooLarge, at: file.path,
        expected: "an index of at most \(SafetensorsHeader.maximumLength) bytes",
        found: "\(file.byteCount)")
    }
    var scanner = JSONScanner(try file.read(0..<file.byteCount), path: file.path)
    var seen: Set<String> = []
    var shards: [String: String]?
    scanner.skipSpace()
    try scanner.object { (scanner, key) throws(WeightsError) in
      guard seen.insert(key).inserted else { throw scanner.duplicate(key) }
      if key == "weight_map" {
        shards = try Self.weightMap(&scanner)
      } else {
        try scanner.skipValue()
      }
    }
    try scanner.end()
    guard let shards else {
      throw WeightsError(
        .missingKey, at: file.path, expected: "the key 'weight_map'", found: "none")
    }
    self.shards = shards
  }

  func write(to url: URL, totalByteCount: Int) throws(WeightsError) {
    struct Content: Encodable {
      let metadata: [String: Int]
      let shards: [String: String]

      enum CodingKeys: String, CodingKey {
        case metadata
        case shards = "weight_map"
      }
    }
    let content = Content(metadata: ["total_size": totalByteCount], shards: shards)
    let data = try ConfigurationFile.encode(content, path: url.path)
    try WeightsError.writing { () throws(FileError) in try AtomicFile.write(data, to: url) }
  }

  private static func weightMap(
    _ scanner: inout JSONScanner
  ) throws(WeightsError) -> [String: String] {
    var shards: [String: String] = [:]
    try scanner.object { (scanner, key) throws(WeightsError) in
      let shard = try scanner.string()
      try checkPlainName(shard, in: scanner.path)
      guard shards.updateValue(shard, forKey: key) == nil else {
        throw scanner.duplicate(key)
      }
    }
    return shards
  }
}

/// Checks that a name from an untrusted file stays inside its folder.
func checkPlainName(_ name: String, in path: String) throws(WeightsError) {
  let isPlain =
    !name.isEmpty && !name.hasPrefix(".")
    && !name.unicodeScalars.contains { $0 == "/" || $0 == "\\" || $0 == "\0" }
  guard isPlain else {
    throw WeightsError(
      .unsafePath, at: path, expected: "the plain name of a file or folder beside it",
      found: quoted(name), advice: "Do not use this model: its files point outside its folder.")
  }
}
