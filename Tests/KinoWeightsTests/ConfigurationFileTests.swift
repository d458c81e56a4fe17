import Foundation
import KinoWeights
import Testing

struct ConfigurationFileTests {
  struct Example: Codable, Hashable {
    struct Part: Codable, Hashable { var width: Int }

    var layers: Int
    var epsilon: Double
    var patch: [Int]
    var part: Part

    enum CodingKeys: String, CodingKey {
      case layers = "num_layers"
      case epsilon = "eps", patch = "patch_size", part
    }
  }

  private let example = Example(layers: 30, epsilon: 1e-6, patch: [1, 2, 2], part: .init(width: 8))
  private let text = """
    {"_class_name": "WanTransformer3DModel", "_diffusers_version": "0.35.0", "num_layers": 30,
     "eps": 1e-06, "patch_size": [1, 2, 2], "part": {"width": 8}, "unknown": [null, true, 0.5, "x"]}
    """

  @Test func `known keys are decoded, unknown ones tolerated`() throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(text, "config.json")
    #expect(try ConfigurationFile.read(Example.self, at: url) == example)
    let file = try ConfigurationFile(at: url)
    #expect(file.className == "WanTransformer3DModel")
    #expect(file.diffusersVersion == "0.35.0")
    #expect(try file.decode(Example.self) == example)
  }

  @Test func `updating and writing keeps every key`() throws {
    let folder = try TemporaryFolder()
    var file = try ConfigurationFile(at: folder.write(text, "config.json"))
    var changed = example
    changed.layers = 2
    try file.update(with: changed)
    try file.write(to: folder["new.json"])
    let new = try ConfigurationFile(at: folder["new.json"])
    #expect(new.values == file.values)
    #expect(new.values["unknown"] == .array([.null, .bool(true), .number(0.5), .string("x")]))
    #expect(try ConfigurationFile.read(Example.self, at: folder["new.json"]) == changed)
    #expect(new.className == "WanTransformer3DModel")
  }

  @Test func `a configuration is written with its class`() throws {
    let folder = try TemporaryFolder()
    let file = try ConfigurationFile(encoding: example, className: "A/B", diffusersVersion: "1")
    try file.write(to: folder["config.json"])
    let written = try String(contentsOf: folder["config.json"], encoding: .utf8)
    #expect(written.contains("\"_class_name\" : \"A/B\""))
    #expect(written.hasSuffix("}\n"))
    #expect(try ConfigurationFile.read(Example.self, at: folder["config.json"]) == example)
  }

  @Test(arguments: [
    ("\"num_layers\": 30,", "", WeightsError.Code.missingKey, "'num_layers'"),
    ("{\"width\": 8}", "{}", .missingKey, "'part.width'"),
    ("\"num_layers\": 30", "\"num_layers\": \"30\"", .badConfiguration, "'num_layers'"),
    ("\"num_layers\": 30", "\"num_layers\": 1.5", .badConfiguration, "whole number"),
    ("\"num_layers\": 30", "\"num_layers\": null", .badConfiguration, "'num_layers'"),
    ("\"num_layers\": 30", "\"num_layers\": true", .badConfiguration, "'num_layers'"),
    ("[1, 2, 2]", "[1, \"2\"]", .badConfiguration, "'patch_size.[1]'"),
    ("\"eps\"", "\"num_layers\"", .duplicateKey, "'num_layers'"),
    ("1e-06", "NaN", .notJSON, "byte 99"),
    ("\"part\"", "part", .notJSON, "byte 131"),
    ("}", "", .notJSON, "the end"),
  ])
  func `a fault names the key and the file`(
    old: String, new: String, code: WeightsError.Code, name: String
  ) throws {
    let folder = try TemporaryFolder()
    let url = try folder.write(text.replacingOccurrences(of: old, with: new), "config.json")
    let error = try #require(
      weightsError { _ = try ConfigurationFile.read(Example.self, at: url) })
    #expect(error.code == code)
    #expect(error.description.contains(name))
    #expect(error.description.contains("config.json"))
  }

  @Test func `deep nesting, a list, nothing and no file are errors`() throws {
    let folder = try TemporaryFolder()
    let deep = "{\"a\":" + String(repeating: "[", count: 100_000)
    for text in [deep, "[]", "", "null"] {
      #expect(weightsError { _ = try ConfigurationFile(at: folder.write(text, "c.json")) } != nil)
    }
    #expect(weightsError { _ = try ConfigurationFile(at: folder["none.json"]) }?.code == .notFound)
  }

  @Test func `numbers JSON cannot hold are refused and nothing is written`() throws {
    let folder = try TemporaryFolder()
    var bad = example
    bad.epsilon = .infinity
    #expect(
      weightsError {
        try ConfigurationFile(encoding: bad).write(to: folder["config.json"])
      }?.code == .badConfiguration)
    #expect(try folder.names == [])
  }
}
