import Foundation
import KinoWeights
import Testing

struct ModelFolderTests {
  private let index = ModelIndex(
    className: "WanPipeline", diffusersVersion: "0.35.0",
    components: [
      "transformer": .init(library: "diffusers", className: "WanTransformer3DModel"),
      "vae": .init(library: "diffusers", className: "AutoencoderKLWan"),
      "transformer_2": .init(library: nil, className: nil),
    ],
    settings: ["expand_timesteps": .bool(true), "boundary_ratio": .null])

  private func fill(_ folder: URL) throws {
    for component in ["transformer", "vae"] {
      let url = folder.appendingPathComponent(component)
      try ConfigurationFile(encoding: ["width": 8], className: component)
        .write(to: url.appendingPathComponent("config.json"))
      let tensor = StoredTensor(name: component, type: .int8, shape: [2])
      try WeightSet.write([tensor], to: url) { try pattern($0).withUnsafeBytes($1) }
    }
  }

  @Test func `a model comes back as it was written`() throws {
    let folder = try TemporaryFolder()
    try ModelFolder.create(at: folder["model"], index: index, fill: fill)
    let model = try ModelFolder(at: folder["model"])
    #expect(model.index == index)
    #expect(try model.weights(of: "vae").tensors.map(\.name) == ["vae"])
    #expect(try model.configuration(of: "transformer").className == "transformer")
    #expect(try folder.names == ["model"])
  }

  @Test func `an index of diffusers is understood`() throws {
    let folder = try TemporaryFolder()
    try folder.write(
      """
      {"_class_name": "WanPipeline", "_diffusers_version": "0.33.0.dev0", "boundary_ratio": 0.875,
       "scheduler": ["diffusers", "UniPCMultistepScheduler"], "transformer_2": [null, null],
       "text_encoder": ["transformers", "UMT5EncoderModel"], "sizes": [1, 2]}
      """, "model_index.json")
    let index = try ModelFolder(at: folder.url).index
    #expect(index.components.keys.sorted() == ["scheduler", "text_encoder", "transformer_2"])
    #expect(index.components["text_encoder"]?.library == "transformers")
    #expect(
      index.settings == [
        "boundary_ratio": .number(0.875), "sizes": .array([.integer(1), .integer(2)]),
      ])
  }

  @Test func `parts that are not there are named`() throws {
    let folder = try TemporaryFolder()
    let model = try ModelFolder.create(at: folder["model"], index: index, fill: fill)
    for component in ["tokenizer", "transformer_2", "../x"] {
      #expect(weightsError { _ = try model.folder(of: component) }?.code == .missingKey)
    }
    #expect(weightsError { _ = try model.file("spiece.model", of: "vae") }?.code == .notFound)
    try FileManager.default.removeItem(at: folder["model/vae"])
    #expect(weightsError { _ = try model.weights(of: "vae") }?.code == .notFound)
    #expect(weightsError { _ = try ModelFolder(at: folder["none"]) }?.code == .notFound)
  }

  @Test func `an index with a component outside the folder is refused`() throws {
    let folder = try TemporaryFolder()
    for name in ["../vae", "..", "/etc", "a/b", ""] {
      try folder.write(#"{"_class_name": "P", "\#(name)": ["diffusers", "V"]}"#, "model_index.json")
      #expect(weightsError { _ = try ModelFolder(at: folder.url) }?.code == .unsafePath)
    }
    try folder.write("{}", "model_index.json")
    #expect(weightsError { _ = try ModelFolder(at: folder.url) }?.code == .missingKey)
  }

  @Test func `a model that could not be filled leaves the old one, and nothing else`() throws {
    struct Stop: Error {}
    let folder = try TemporaryFolder()
    try ModelFolder.create(at: folder["model"], index: index, fill: fill)
    #expect(
      weightsError {
        try ModelFolder.create(at: folder["model"], index: index, fill: fill)
      }?.code == .cannotWrite)
    #expect(throws: Stop.self) {
      try ModelFolder.create(at: folder["model"], index: index, replacing: true) { _ in throw Stop()
      }
    }
    #expect(try ModelFolder(at: folder["model"]).weights(of: "vae").tensors.count == 1)
    #expect(try folder.names == ["model"])
    #expect(
      weightsError {
        try ModelFolder.create(at: folder["none/model"], index: index, fill: fill)
      }?.code == .cannotWrite)
  }

  @Test func `a model may replace another`() throws {
    let folder = try TemporaryFolder()
    try ModelFolder.create(at: folder["model"], index: index, fill: fill)
    var other = index
    other.className = "Other"
    try ModelFolder.create(at: folder["model"], index: other, replacing: true, fill: fill)
    #expect(try ModelFolder(at: folder["model"]).index.className == "Other")
    #expect(try folder.names == ["model"])
  }
}
