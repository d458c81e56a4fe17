import Foundation
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@testable import Kino

/// Models of loose files, as people have them on disk.
@Suite struct LooseModelTests {
  let tiny: TinyFolder
  let folder: TemporaryFolder

  init() throws {
    tiny = try TinyFolder(profile: nil)
    folder = try TemporaryFolder()
  }

  private func weights(_ component: String) -> URL {
    let stem = component == "text_encoder" ? "model" : "diffusion_pytorch_model"
    return tiny.model.appendingPathComponent("\(component)/\(stem).safetensors")
  }

  /// Puts the parts into places of one's own; without names of folders, into one.
  private func lay(
    transformer: String, vae: String?, text: String?, tokenizer: String? = nil
  ) throws -> URL {
    func copy(_ file: URL, _ name: String?) throws {
      guard let name else { return }
      let target = folder[name]
      try FileManager.default.createDirectory(
        at: target.deletingLastPathComponent(), withIntermediateDirectories: true)
      try FileManager.default.copyItem(at: file, to: target)
    }
    try copy(weights("transformer"), transformer)
    // Shapes don't tell how wide heads are.
    let config = folder[transformer].deletingLastPathComponent()
      .appendingPathComponent("config.json")
    try Data(#"{"_class_name": "WanModel", "dim": 32, "num_heads": 2}"#.utf8).write(to: config)
    try copy(weights("vae"), vae)
    try copy(weights("text_encoder"), text)
    try copy(tiny.model.appendingPathComponent("tokenizer/spiece.model"), tokenizer)
    return folder[transformer]
  }

  private func model(_ url: URL, _ files: ModelFiles = ModelFiles()) throws -> Model {
    try Model(at: url, files: files, searching: [])
  }

  private func clip(_ model: Model) async throws -> Clip {
    var small = request()
    (small.size, small.frameCount) = (FrameSize(64, 64), 5)
    return try #require(try await Studio(model).clip(small))
  }

  @Test func `A transformer finds its parts beside it, in any layout, or is in a folder of it`()
    async throws
  {
    let flat = try lay(
      transformer: "flat/wan.gguf", vae: "flat/a.pth", text: "flat/b.bin",
      tokenizer: "flat/spiece.model")
    let comfy = try lay(
      transformer: "comfy/split_files/diffusion_models/wan.safetensors",
      vae: "comfy/split_files/vae/vae.safetensors",
      text: "comfy/split_files/text_encoders/umt5.safetensors",
      tokenizer: "comfy/tokenizer/spiece.model")
    let original = try lay(
      transformer: "repository/diffusion_pytorch_model.safetensors",
      vae: "repository/Wan2.1_VAE.pth", text: "repository/models_t5_umt5-xxl-enc-bf16.pth",
      tokenizer: "repository/google/umt5-xxl/spiece.model")
    var files = ModelFiles()
    files.tokenizer = folder["comfy/tokenizer/spiece.model"]
    let first = try await clip(model(flat))
    for (url, files) in [
      (comfy, files), (original, ModelFiles()), (folder["flat"], ModelFiles()),
      (folder["comfy"], ModelFiles()), (folder["repository"], ModelFiles()),
    ] {
      let found = try model(url, files)
      #expect(found.flowShift == 5 && found.defaults.size == FrameSize(1280, 704))
      #expect(try await clip(found) == first)
      #expect(try found.hash() == model(flat).hash())
    }
  }

  @Test func `A recipe names the parts, and its command's options open the same model`()
    async throws
  {
    let place = try lay(
      transformer: "a/wan.safetensors", vae: "b/vae.safetensors", text: "c/text.safetensors",
      tokenizer: "d/spiece.model")
    var files = ModelFiles()
    files.autoencoder = folder["b/vae.safetensors"]
    files.textEncoder = folder["c/text.safetensors"]
    files.tokenizer = folder["d/spiece.model"]
    files.lowNoise = .single
    let model = try model(place, files)
    let path = folder["x.mp4"].path
    var small = request()
    (small.size, small.frameCount) = (FrameSize(64, 64), 5)
    for try await _ in try Studio(model).events(of: small, writingTo: path) {}
    let recipe = try #require(Recipe(json: MediaInfo.probe(path).recipe ?? ""))
    #expect(recipe.files == files && recipe.model == place.relativePath)
    for option in ["--model", "--vae", "--text-encoder", "--tokenizer", "--low-noise none"] {
      #expect(recipe.command.contains(option))
    }
    #expect(try recipe.modelHash == model.hash().hexadecimal)
    // Another part makes another model.
    let bytes = try folder.bytes("b/vae.safetensors")
    try folder.write(bytes.dropLast() + [bytes[bytes.count - 1] ^ 1], "b/vae.safetensors")
    #expect(try recipe.modelHash != self.model(place, files).hash().hexadecimal)
  }

  @Test func `One file may hold the whole model`() async throws {
    let parts = [
      ("transformer", "model.diffusion_model."), ("vae", "vae."),
      ("text_encoder", "text_encoders.umt5xxl.transformer."),
    ]
    var tensors: [String: Tensor] = [:]
    for (component, prefix) in parts {
      let set = try WeightSet(at: weights(component))
      for tensor in set.tensors {
        tensors[prefix + tensor.name] = try set.tensor(named: tensor.name)
      }
    }
    let pieces = try Data(contentsOf: tiny.model.appendingPathComponent("tokenizer/spiece.model"))
    tensors["text_encoders.umt5xxl.spiece_model"] = Tensor([UInt8](pieces), shape: [pieces.count])
    try SafetensorsFile.write(tensors, to: folder["all.safetensors"])
    try folder.write(#"{"attention_head_dim": 16}"#, "config.json")
    let whole = try model(folder["all.safetensors"])
    #expect(whole.name == "all" && whole.parts.files == ModelFiles())
    let flat = try lay(
      transformer: "flat/wan.safetensors", vae: "flat/a.pth", text: "flat/b.bin",
      tokenizer: "flat/spiece.model")
    #expect(try await clip(whole) == clip(model(flat)))
  }

  @Test func `What is missing is said in a sentence, with the option and where to get it`() throws {
    let file = try lay(transformer: "wan.safetensors", vae: nil, text: nil)
    var files = ModelFiles()
    func expect(_ words: String...) {
      let error = #expect(throws: StudioError.self) { try model(file, files) }
      for word in words { #expect(error?.details.contains(word) == true, "\(word)") }
    }
    expect("--vae", "Comfy-Org")
    files.autoencoder = weights("vae")
    expect("--text-encoder", "Comfy-Org")
    let text = weights("text_encoder")
    try FileManager.default.copyItem(at: text, to: folder["text.safetensors"])
    files.textEncoder = folder["text.safetensors"]
    expect("--tokenizer", "google/umt5-xxl/spiece.model")
    // Beside this one, in the folder of its layout, there is a tokenizer.
    files.textEncoder = text
    #expect(try model(file, files).parts.tokenizer != nil)
  }

  @Test func `Files of other kinds and sizes are named`() throws {
    let file = try lay(transformer: "wan.safetensors", vae: "vae.safetensors", text: nil)
    var files = ModelFiles()
    files.textEncoder = weights("vae")
    var error = #expect(throws: StudioError.self) { try model(file, files) }
    #expect(error?.details.contains("expected a text encoder") == true)
    error = #expect(throws: StudioError.self) { try model(weights("vae")) }
    #expect(error?.details.contains("autoencoder") == true)
    files.textEncoder = folder["nothing"]
    #expect(throws: WeightsError.self) { try model(file, files) }
    files.textEncoder = weights("text_encoder")
    files.tokenizer = weights("vae")
    #expect(throws: (any Error).self) { _ = try model(file, files).family.load(.f32, on: .cpu) }
    files.imageEncoder = weights("vae")
    error = #expect(throws: StudioError.self) { try model(file, files) }
    #expect(error?.details.contains("leave --clip-vision out") == true)
    try folder.write("no weights", "words.safetensors")
    #expect(throws: WeightsError.self) { try model(folder["words.safetensors"]) }
  }

  @Test func `Parts of trained models, and tokenizers of other pieces, are no other model's`()
    throws
  {
    let trained = try TinyFolder()
    let file = try lay(transformer: "wan.safetensors", vae: nil, text: nil)
    var error = #expect(throws: StudioError.self) {
      try Model(at: file, searching: [trained.url], families: Model.families)
    }
    #expect(error?.details.contains("--vae") == true)
    let found = try Model(at: file, searching: [tiny.url], families: Model.families)
    #expect(found.parts.files.autoencoder == weights("vae"))
    // A vocabulary that is far from the text encoder's.
    let text = try WeightSet(at: weights("text_encoder"))
    var tensors: [String: Tensor] = [:]
    for tensor in text.tensors { tensors[tensor.name] = try text.tensor(named: tensor.name) }
    let embedding = try #require(tensors["shared.weight"])
    tensors["shared.weight"] = concatenate([embedding, embedding], along: 0)
    try SafetensorsFile.write(tensors, to: folder["large.safetensors"])
    var files = ModelFiles()
    files.textEncoder = folder["large.safetensors"]
    error = #expect(throws: StudioError.self) {
      try Model(at: file, files: files, searching: [tiny.url], families: Model.families)
    }
    #expect(error?.details.contains("--tokenizer") == true)
  }

  // MARK: - Experts

  /// A file of published shapes, without numbers.
  private func published(_ name: String, inputs: Int = 16, type: String? = nil) throws -> URL {
    let d = 5120
    var shapes: [String: [Int]] = [
      "patch_embedding.weight": [d, inputs, 1, 2, 2], "patch_embedding.bias": [d],
      "head.modulation": [1, 2, d], "head.head.weight": [64, d],
      "time_embedding.0.weight": [d, 256],
      "text_embedding.0.weight": [d, 4096], "blocks.0.ffn.0.weight": [13824, d],
      "blocks.0.norm3.weight": [d], "blocks.39.modulation": [1, 6, d],
    ]
    shapes["blocks.0.modulation"] = [1, 6, d]
    var offset = 0
    var header: [String] = type.map { [#""__metadata__":{"model_type":"\#($0)"}"#] } ?? []
    for (key, shape) in shapes.sorted(by: { $0.key < $1.key }) {
      let end = offset + shape.reduce(2, *)
      header.append(
        #""\#(key)":{"dtype":"BF16","shape":\#(shape),"data_offsets":[\#(offset),\#(end)]}"#)
      offset = end
    }
    let text = Data("{\(header.joined(separator: ","))}".utf8)
    var bytes = Data((0..<8).map { UInt8(truncatingIfNeeded: text.count >> ($0 * 8)) })
    bytes += text
    let url = folder[name]
    try FileManager.default.createDirectory(
      at: url.deletingLastPathComponent(), withIntermediateDirectories: true)
    try bytes.write(to: url)
    let handle = try FileHandle(forWritingTo: url)
    try handle.truncate(atOffset: UInt64(bytes.count + offset))
    try handle.close()
    return url
  }

  @Test func `Where shapes can't tell, it is asked which model it is`() throws {
    let file = try published("14b.safetensors")
    var error = #expect(throws: StudioError.self) { try model(file) }
    #expect(error?.details.contains("--low-noise none") == true)
    #expect(error?.details.contains("Wan 2.1 T2V 14B, Wan 2.2 T2V A14B") == true)
    var files = ModelFiles()
    files.lowNoise = .single
    error = #expect(throws: StudioError.self) { try model(file, files) }
    #expect(error?.details.contains("--vae") == true)
    files.lowNoise = .file(try published("other.safetensors", inputs: 36))
    error = #expect(throws: StudioError.self) { try model(file, files) }
    #expect(error?.details.contains("same shapes") == true)
  }

  @Test func `Experts that say which they are find each other, and are put in order`() throws {
    let high = try published("a/x.safetensors", type: "Wan2_2-T2V-A14B-high")
    var error = #expect(throws: StudioError.self) { try model(high) }
    #expect(error?.details.contains("--low-noise FILE") == true)
    let low = try published("a/y.safetensors", type: "Wan2_2-T2V-A14B-low")
    for file in [high, low, folder["a"]] {
      // Both are found; what is missing now is the autoencoder.
      error = #expect(throws: StudioError.self) { try model(file) }
      #expect(error?.details.contains("--vae") == true)
    }
    var files = ModelFiles()
    files.lowNoise = .file(high)
    error = #expect(throws: StudioError.self) { try model(low, files) }
    #expect(error?.details.contains("give it as --model") == true)
    _ = try published("b/high_noise_model/model.safetensors")
    _ = try published("b/low_noise_model/model.safetensors")
    error = #expect(throws: StudioError.self) { try model(folder["b"]) }
    #expect(error?.details.contains("--vae") == true)
    _ = try published("c/1.safetensors")
    _ = try published("c/2.safetensors")
    error = #expect(throws: StudioError.self) { try model(folder["c"]) }
    #expect(error?.details.contains("found 2 transformers") == true)
  }
}
