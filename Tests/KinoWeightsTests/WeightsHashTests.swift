import Foundation
import KinoWeights
import Testing

struct WeightsHashTests {
  private func model(_ folder: TemporaryFolder, _ name: String) throws -> URL {
    try FileManager.default.createDirectory(
      at: folder[name + "/vae"], withIntermediateDirectories: true)
    try folder.write("weights", name + "/vae/model.safetensors")
    try folder.write("{}", name + "/vae/config.json")
    try folder.write("", name + "/model_index.json")
    return folder[name]
  }

  @Test func `the hash depends on names and bytes, not on the place`() throws {
    let folder = try TemporaryFolder()
    let (one, two) = (try model(folder, "one"), try model(folder, "two"))
    let hash = try weightsHash(one)
    #expect(try weightsHash(two) == hash)
    #expect(hash.hexadecimal.count == 64)
    #expect(hash.hexadecimal.hasPrefix(hash.short))
    try folder.write("weightz", "two/vae/model.safetensors")
    #expect(try weightsHash(two) != hash)
  }

  @Test func `moving bytes between names or files changes the hash`() throws {
    let folder = try TemporaryFolder()
    let hash = try weightsHash(model(folder, "one"))
    try folder.write("{", "one/vae/config.json")
    try folder.write("}", "one/model_index.json")
    let moved = try weightsHash(folder["one"])
    #expect(moved != hash)
    try FileManager.default.moveItem(at: folder["one/vae"], to: folder["one/vaf"])
    #expect(try weightsHash(folder["one"]) != moved)
  }

  @Test func `notes and hidden files do not count`() throws {
    let folder = try TemporaryFolder()
    let hash = try weightsHash(model(folder, "one"))
    try folder.write("notes", "one/MODEL_CARD.md")
    try folder.write("junk", "one/.DS_Store")
    #expect(try weightsHash(folder["one"]) == hash)
  }

  @Test func `the hash never changes between versions`() throws {
    let folder = try TemporaryFolder()
    // Computed independently: SHA-256 of the tag, then per file both lengths, name and bytes.
    #expect(
      try weightsHash(model(folder, "one")).hexadecimal
        == "e86dccfae89d189dcabe5e234bbf021948ec2a85bef295c27abc136054671a53")
  }

  @Test func `a cache answers the same until a file changes`() throws {
    let folder = try TemporaryFolder()
    let url = try model(folder, "one")
    let cache = WeightsHashCache()
    let hash = try cache.hash(of: url)
    #expect(try cache.hash(of: url) == hash)
    #expect(try weightsHash(url) == hash)
    try folder.write("other weights", "one/vae/model.safetensors")
    #expect(try cache.hash(of: url) == weightsHash(url))
    #expect(try cache.hash(of: url) != hash)
  }

  @Test func `one file has a hash, a missing one an error, a ring of links too`() throws {
    let folder = try TemporaryFolder()
    let url = try model(folder, "one")
    #expect(try weightsHash(folder["one/vae/config.json"]) != weightsHash(url))
    #expect(weightsError { _ = try weightsHash(folder["none"]) }?.code == .notFound)
    try FileManager.default.createSymbolicLink(at: folder["one/vae/ring"], withDestinationURL: url)
    #expect(weightsError { _ = try weightsHash(url) }?.code == .cannotRead)
  }
}
