import Foundation
import KinoModels
import KinoWeights
import Testing

/// Names and shapes of published checkpoints, as their publishers' code makes them.
///
/// Sources: Wan-Video/Wan2.1 and Wan2.2 (`wan/modules/model.py`, `t5.py`, `clip.py`, `vae.py`,
/// `vae2_2.py`), and for TI2V 5B the published index of tensors. The sums are those of the files, or for
/// autoencoders and encoders those of the same classes in diffusers and transformers.
struct PublishedCheckpoint: CustomTestStringConvertible, Sendable {
  let name: String
  let shapes: [String: [Int]]
  let keyCount: Int
  let parameterCount: Int
  var testDescription: String { name }

  static let transformers: [PublishedCheckpoint] = [
    transformer("Wan 2.1 T2V 1.3B", 1536, 16, 30, 8960, keys: 825, sum: 1_418_996_800),
    transformer("Wan 2.2 TI2V 5B", 3072, 48, 30, 14336, keys: 825, sum: 4_999_787_712),
    transformer("Wan 2.1 T2V 14B", 5120, 16, 40, 13824, keys: 1095, sum: 14_288_491_584),
    transformer(
      "Wan 2.2 I2V A14B for high noise", 5120, 36, 40, 13824, keys: 1095, sum: 14_288_901_184),
    transformer(
      "Wan 2.1 I2V 14B 480P", 5120, 36, 40, 13824, image: true, keys: 1303, sum: 16_394_878_784),
    transformer(
      "Wan 2.1 FLF2V 14B", 5120, 36, 40, 13824, image: true, positions: 514, keys: 1304,
      sum: 16_395_536_704),
    transformer(
      "Wan 2.1 Fun InP 1.3B", 1536, 36, 30, 8960, image: true, keys: 983, sum: 1_564_428_608),
  ]

  private static func transformer(
    _ name: String, _ d: Int, _ inputs: Int, _ layers: Int, _ hidden: Int, image: Bool = false,
    positions: Int? = nil, keys: Int, sum: Int
  ) -> PublishedCheckpoint {
    let outputs = inputs == 48 ? 48 : 16
    var shapes: [String: [Int]] = [
      "patch_embedding.weight": [d, inputs, 1, 2, 2], "patch_embedding.bias": [d],
      "head.modulation": [1, 2, d],
    ]
    func linear(_ key: String, _ rows: Int, _ columns: Int) {
      shapes[key + ".weight"] = [rows, columns]
      shapes[key + ".bias"] = [rows]
    }
    linear("text_embedding.0", d, 4096)
    linear("text_embedding.2", d, d)
    linear("time_embedding.0", d, 256)
    linear("time_embedding.2", d, d)
    linear("time_projection.1", 6 * d, d)
    linear("head.head", 4 * outputs, d)
    for block in (0..<layers).map({ "blocks.\($0)" }) {
      shapes[block + ".modulation"] = [1, 6, d]
      shapes[block + ".norm3.weight"] = [d]
      shapes[block + ".norm3.bias"] = [d]
      linear(block + ".ffn.0", hidden, d)
      linear(block + ".ffn.2", d, hidden)
      for attention in [block + ".self_attn", block + ".cross_attn"] {
        for layer in ["q", "k", "v", "o"] { linear("\(attention).\(layer)", d, d) }
        shapes[attention + ".norm_q.weight"] = [d]
        shapes[attention + ".norm_k.weight"] = [d]
      }
      guard image else { continue }
      linear(block + ".cross_attn.k_img", d, d)
      linear(block + ".cross_attn.v_img", d, d)
      shapes[block + ".cross_attn.norm_k_img.weight"] = [d]
    }
    if image {
      for (index, shape) in [(0, [1280]), (1, [1280, 1280]), (3, [d, 1280]), (4, [d])] {
        shapes["img_emb.proj.\(index).weight"] = shape
        shapes["img_emb.proj.\(index).bias"] = [shape[0]]
      }
    }
    shapes["img_emb.emb_pos"] = positions.map { [1, $0, 1280] }
    return .init(name: name, shapes: shapes, keyCount: keys, parameterCount: sum)
  }

  static let textEncoder: PublishedCheckpoint = {
    var shapes = ["token_embedding.weight": [256_384, 4096], "norm.weight": [4096]]
    for block in (0..<24).map({ "blocks.\($0)" }) {
      for layer in ["q", "k", "v", "o"] { shapes["\(block).attn.\(layer).weight"] = [4096, 4096] }
      shapes["\(block).norm1.weight"] = [4096]
      shapes["\(block).norm2.weight"] = [4096]
      shapes["\(block).ffn.gate.0.weight"] = [10240, 4096]
      shapes["\(block).ffn.fc1.weight"] = [10240, 4096]
      shapes["\(block).ffn.fc2.weight"] = [4096, 10240]
      shapes["\(block).pos_embedding.embedding.weight"] = [32, 64]
    }
    return .init(
      name: "umT5-XXL encoder", shapes: shapes, keyCount: 242, parameterCount: 5_680_910_336)
  }()

  static let imageEncoder: PublishedCheckpoint = {
    let d = 1280
    var shapes: [String: [Int]] = [
      "visual.patch_embedding.weight": [d, 3, 14, 14], "visual.cls_embedding": [1, 1, d],
      "visual.pos_embedding": [1, 257, d], "visual.head": [d, 1024], "log_scale": [],
      "textual.token_embedding.weight": [250_002, 1024],
    ]
    func affine(_ key: String, _ shape: [Int]) {
      shapes[key + ".weight"] = shape
      shapes[key + ".bias"] = [shape[0]]
    }
    affine("visual.pre_norm", [d])
    affine("visual.post_norm", [d])
    for block in (0..<32).map({ "visual.transformer.\($0)" }) {
      affine(block + ".norm1", [d])
      affine(block + ".norm2", [d])
      affine(block + ".attn.to_qkv", [3 * d, d])
      affine(block + ".attn.proj", [d, d])
      affine(block + ".mlp.0", [4 * d, d])
      affine(block + ".mlp.2", [d, 4 * d])
    }
    return .init(
      name: "CLIP ViT-H/14 of Wan 2.1 I2V", shapes: shapes, keyCount: 519,
      parameterCount: 630_766_080)
  }()
}

// MARK: - Autoencoders

extension PublishedCheckpoint {
  static let autoencoders = [
    PublishedCheckpoint(
      name: "Wan 2.1 autoencoder", shapes: AutoencoderShapes.plain(), keyCount: 194,
      parameterCount: 126_892_531),
    PublishedCheckpoint(
      name: "Wan 2.2 autoencoder", shapes: AutoencoderShapes.residual(), keyCount: 196,
      parameterCount: 704_688_668),
  ]
}

/// Collects the shapes of an autoencoder part by part.
private struct AutoencoderShapes {
  var shapes: [String: [Int]] = [:]

  mutating func convolution(_ key: String, _ shape: [Int]) {
    shapes[key + ".weight"] = shape
    shapes[key + ".bias"] = [shape[0]]
  }

  mutating func residual(_ key: String, _ inputs: Int, _ outputs: Int) {
    shapes[key + ".residual.0.gamma"] = [inputs, 1, 1, 1]
    shapes[key + ".residual.3.gamma"] = [outputs, 1, 1, 1]
    convolution(key + ".residual.2", [outputs, inputs, 3, 3, 3])
    convolution(key + ".residual.6", [outputs, outputs, 3, 3, 3])
    if inputs != outputs { convolution(key + ".shortcut", [outputs, inputs, 1, 1, 1]) }
  }

  /// What both halves have but for their levels.
  mutating func half(_ key: String, first: [Int], deepest: Int, end: Int, last: [Int]) {
    convolution(key + ".conv1", first)
    residual(key + ".middle.0", deepest, deepest)
    residual(key + ".middle.2", deepest, deepest)
    shapes[key + ".middle.1.norm.gamma"] = [deepest, 1, 1]
    convolution(key + ".middle.1.to_qkv", [3 * deepest, deepest, 1, 1])
    convolution(key + ".middle.1.proj", [deepest, deepest, 1, 1])
    shapes[key + ".head.0.gamma"] = [end, 1, 1, 1]
    convolution(key + ".head.2", last)
  }

  static func plain() -> [String: [Int]] {
    var all = AutoencoderShapes()
    all.half("encoder", first: [96, 3, 3, 3, 3], deepest: 384, end: 384, last: [32, 384, 3, 3, 3])
    all.half("decoder", first: [384, 16, 3, 3, 3], deepest: 384, end: 96, last: [3, 96, 3, 3, 3])
    all.convolution("conv1", [32, 32, 1, 1, 1])
    all.convolution("conv2", [16, 16, 1, 1, 1])
    let widths = [96, 96, 192, 384, 384]
    for level in 0..<4 {
      for block in 0..<2 {
        all.residual(
          "encoder.downsamples.\(level * 3 + block)", widths[level + (block == 0 ? 0 : 1)],
          widths[level + 1])
      }
      guard level < 3 else { continue }
      let (key, width) = ("encoder.downsamples.\(level * 3 + 2)", widths[level + 1])
      all.convolution(key + ".resample.1", [width, width, 3, 3])
      if level > 0 { all.convolution(key + ".time_conv", [width, width, 3, 1, 1]) }
    }
    for (level, (inputs, width)) in [(384, 384), (192, 384), (192, 192), (96, 96)].enumerated() {
      for block in 0..<3 {
        all.residual("decoder.upsamples.\(level * 4 + block)", block == 0 ? inputs : width, width)
      }
      guard level < 3 else { continue }
      let key = "decoder.upsamples.\(level * 4 + 3)"
      all.convolution(key + ".resample.1", [width / 2, width, 3, 3])
      if level < 2 { all.convolution(key + ".time_conv", [2 * width, width, 3, 1, 1]) }
    }
    return all.shapes
  }

  static func residual() -> [String: [Int]] {
    var all = AutoencoderShapes()
    all.half(
      "encoder", first: [160, 12, 3, 3, 3], deepest: 640, end: 640, last: [96, 640, 3, 3, 3])
    all.half(
      "decoder", first: [1024, 48, 3, 3, 3], deepest: 1024, end: 256, last: [12, 256, 3, 3, 3])
    all.convolution("conv1", [96, 96, 1, 1, 1])
    all.convolution("conv2", [48, 48, 1, 1, 1])
    let widths = [160, 160, 320, 640, 640]
    for level in 0..<4 {
      let key = "encoder.downsamples.\(level).downsamples"
      for block in 0..<2 {
        all.residual("\(key).\(block)", widths[level + (block == 0 ? 0 : 1)], widths[level + 1])
      }
      guard level < 3 else { continue }
      let width = widths[level + 1]
      all.convolution("\(key).2.resample.1", [width, width, 3, 3])
      if level > 0 { all.convolution("\(key).2.time_conv", [width, width, 3, 1, 1]) }
    }
    let up = [1024, 1024, 1024, 512, 256]
    for level in 0..<4 {
      let (key, width) = ("decoder.upsamples.\(level).upsamples", up[level + 1])
      for block in 0..<3 {
        all.residual("\(key).\(block)", block == 0 ? up[level] : width, width)
      }
      guard level < 3 else { continue }
      all.convolution("\(key).3.resample.1", [width, width, 3, 3])
      if level < 2 { all.convolution("\(key).3.time_conv", [2 * width, width, 3, 1, 1]) }
    }
    return all.shapes
  }
}

/// A file with tensors of these shapes and no data: holes that take no space.
struct SparseCheckpoint {
  let url: URL

  init(_ shapes: [String: [Int]], metadata: [String: String] = [:]) throws {
    url = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-sparse-\(UUID().uuidString)")
    var (members, offset) = ([String](), 0)
    if !metadata.isEmpty {
      let pairs = metadata.map { "\"\($0.key)\":\"\($0.value)\"" }.joined(separator: ",")
      members.append("\"__metadata__\":{\(pairs)}")
    }
    for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) {
      let end = offset + 2 * shape.reduce(1, *)
      members.append(
        "\"\(name)\":{\"dtype\":\"BF16\",\"shape\":\(shape),\"data_offsets\":[\(offset),\(end)]}")
      offset = end
    }
    let header = Array("{\(members.joined(separator: ","))}".utf8)
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> ($0 * 8)) }
    try Data(length + header).write(to: url)
    let handle = try FileHandle(forWritingTo: url)
    try handle.truncate(atOffset: UInt64(8 + header.count + offset))
    try handle.close()
  }

  /// Opens the file and removes its name; the pages stay as long as the set.
  static func open(
    _ shapes: [String: [Int]], metadata: [String: String] = [:]
  ) throws -> WeightSet {
    let file = try SparseCheckpoint(shapes, metadata: metadata)
    defer { try? FileManager.default.removeItem(at: file.url) }
    return try WeightSet(at: file.url)
  }
}
