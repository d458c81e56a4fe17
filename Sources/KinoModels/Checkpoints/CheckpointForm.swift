internal import Foundation
public import KinoWeights

/// A network found in weights of any form: which it is, of which sizes, and its weights under our names.
///
/// Everything is told by names and shapes of tensors, so that a lone file needs no configuration:
///
/// ```swift
/// for form in try CheckpointForm.recognise(in: WeightSet(at: url)) {
///   if case .transformer(let configuration) = form.network {
///     model = try form.weights.load { DiffusionTransformer($0, configuration: configuration) }
///   }
/// }
/// ```
public struct CheckpointForm: Sendable {
  /// Which network it is, and its sizes.
  public enum Network: Hashable, Sendable {
    case transformer(DiffusionTransformer.Configuration)
    case autoencoder(VideoAutoencoder.Configuration)
    case textEncoder(UMT5Encoder.Configuration)
    case imageEncoder(ImageEncoder.Configuration)
  }

  /// Whose names the parameters have in the file.
  public enum Style: String, Hashable, Sendable {
    /// Those of diffusers and transformers, which are ours.
    case diffusers
    /// Those of the Wan repositories, which ComfyUI and GGUF files share.
    case original
    /// Those of llama.cpp, in GGUF files of text encoders.
    case llama
  }

  /// Which half of the noise levels a transformer of Wan 2.2 A14B is for.
  public enum Expert: String, Hashable, Sendable {
    case highNoise = "high"
    case lowNoise = "low"
  }

  /// The network and its sizes.
  public let network: Network
  /// Whose names the file has.
  public let style: Style
  /// What stands before every name in the file; empty in files of one network.
  public let prefix: String
  /// The published models of these shapes. Where there are several, shapes can't tell which it is: ask.
  public let models: [String]
  /// Which expert the file says it is; nil if it does not say.
  public let expert: Expert?
  /// The weights under our names, ready for `WeightSet.load`.
  public let weights: WeightSet

  /// Finds every network in a set of weights.
  ///
  /// - Parameters:
  ///   - weights: The weights.
  ///   - headDimension: Channels in a transformer's head, which shapes do not tell; 128 in every
  ///     published model.
  /// - Returns: The networks: one, or several for an all-in-one file.
  /// - Throws: ``ModelError`` (`unsupported`) if no network of Kino's is there, or one that it can't run,
  ///   or if sizes contradict each other. `WeightsError` if two tensors have one name.
  public static func recognise(
    in weights: WeightSet, headDimension: Int = 128
  ) throws -> [CheckpointForm] {
    let found = CheckpointSignature.all.compactMap { kind in
      kind.prefix(in: weights).map { (kind: kind, prefix: $0) }
    }
    if found.isEmpty { throw unrecognised(weights) }
    let prefixes = found.map(\.prefix).filter { !$0.isEmpty }
    return try found.map { kind, prefix in
      let part = try weights.renamed { name in
        // A network without a prefix leaves others' tensors to them.
        let isOthers = prefix.isEmpty && prefixes.contains(where: name.hasPrefix)
        return name.hasPrefix(prefix) && !isOthers ? String(name.dropFirst(prefix.count)) : nil
      }
      return try kind.form(
        CheckpointPart(weights: part, prefix: prefix, headDimension: headDimension))
    }
  }

  private static func unrecognised(_ weights: WeightSet) -> ModelError {
    let names = weights.tensors.map(\.name)
    let samples = names.sorted().prefix(3).map(quoted).joined(separator: ", ")
    let kind = weights.metadata["general.architecture"].map { " of the architecture \(quoted($0))" }
    let isAdapter = names.contains { LoRA.isAdapterKey($0) }
    return ModelError(
      .unsupported,
      "\(weights.url.path): expected a transformer, an autoencoder, a text or an image encoder of "
        + "Wan 2.1 or 2.2, found "
        + (names.isEmpty
          ? "no tensors."
          : isAdapter
            ? "a LoRA: give it as one, beside a model."
            : "\(names.count) tensors of other names\(kind ?? ""), such as \(samples)."))
  }
}

/// How a network is told by one of its names.
struct CheckpointSignature: Sendable {
  /// Names that only this network has, in this style.
  let keys: [String]
  /// What may stand before them, most telling first.
  let prefixes: [String]
  let form: @Sendable (CheckpointPart) throws -> CheckpointForm

  /// Returns what stands before the names in a set; nil if the network is not there.
  func prefix(in weights: WeightSet) -> String? {
    prefixes.first { prefix in keys.allSatisfy { weights[prefix + $0] != nil } }
  }

  private static let transformerPrefixes = [
    "model.diffusion_model.", "diffusion_model.", "model.", "net.", "transformer.", "",
  ]
  private static let autoencoderPrefixes = ["vae.", "first_stage_model.", ""]
  private static let textPrefixes = [
    "text_encoders.umt5xxl.transformer.", "text_encoders.umt5xxl.", "text_encoder.", "",
  ]
  private static let imagePrefixes = ["clip_vision.", "image_encoder.", ""]

  static let all: [CheckpointSignature] = [
    .init(
      keys: ["head.modulation", "patch_embedding.bias"], prefixes: transformerPrefixes,
      form: { try $0.transformer(.original) }),
    .init(
      keys: ["condition_embedder.time_proj.bias", "patch_embedding.bias"],
      prefixes: transformerPrefixes, form: { try $0.transformer(.diffusers) }),
    .init(
      keys: ["decoder.middle.0.residual.0.gamma"], prefixes: autoencoderPrefixes,
      form: { try $0.autoencoder(.original) }),
    .init(
      keys: ["decoder.mid_block.resnets.0.norm1.gamma"], prefixes: autoencoderPrefixes,
      form: { try $0.autoencoder(.diffusers) }),
    .init(
      keys: ["encoder.block.0.layer.0.SelfAttention.q.weight"], prefixes: textPrefixes,
      form: { try $0.textEncoder(.diffusers) }),
    .init(
      keys: ["blocks.0.attn.q.weight", "token_embedding.weight"], prefixes: textPrefixes,
      form: { try $0.textEncoder(.original) }),
    .init(
      keys: ["enc.blk.0.attn_q.weight"], prefixes: [""], form: { try $0.textEncoder(.llama) }),
    .init(
      keys: ["vision_model.embeddings.class_embedding"], prefixes: imagePrefixes,
      form: { try $0.imageEncoder(.diffusers) }),
    .init(
      keys: ["embeddings.class_embedding", "pre_layrnorm.weight"], prefixes: imagePrefixes,
      form: { try $0.imageEncoder(.diffusers) }),
    .init(
      keys: ["visual.cls_embedding"], prefixes: imagePrefixes,
      form: { try $0.imageEncoder(.original) }),
  ]
}

/// The weights of one network, and how its sizes are read from shapes.
struct CheckpointPart {
  let weights: WeightSet
  let prefix: String
  let headDimension: Int

  /// Renames the tensors to ours; those the rules lack keep their names, for loading to name them.
  func renamed(by rules: KeyRules?) throws -> CheckpointPart {
    guard let rules else { return self }
    return with(try weights.renamed { rules.ours(for: $0) ?? $0 })
  }

  func with(_ weights: WeightSet) -> CheckpointPart {
    CheckpointPart(weights: weights, prefix: prefix, headDimension: headDimension)
  }

  /// The extents of a tensor that must be there with so many axes.
  func shape(_ name: String, rank: Int) throws(ModelError) -> [Int] {
    guard let shape = weights[name]?.shape, shape.count == rank else {
      let found = weights[name].map { "\($0.shape)" } ?? "none"
      throw invalid("expected \(quoted(name)) with \(rank) axes, found \(found)")
    }
    return shape
  }

  /// One more than the highest number that stands behind a path.
  func count(_ path: String) -> Int {
    weights.tensors.reduce(0) { count, tensor in
      guard tensor.name.hasPrefix(path + ".") else { return count }
      let number = tensor.name.dropFirst(path.count + 1).prefix { $0 != "." }
      // Far more than any network has; sums stay small.
      return max(count, min(Int(number) ?? -1, 1 << 20) + 1)
    }
  }

  func invalid(_ details: String) -> ModelError { unsupported(details + ".") }

  /// Throws the faults of a configuration with the file they were read from.
  func check(_ validate: () throws(ModelError) -> Void) throws(ModelError) {
    do throws(ModelError) { try validate() } catch { throw invalid(error.details) }
  }

  func unsupported(_ details: String) -> ModelError {
    ModelError(.unsupported, "\(weights.url.path): \(details)")
  }

  func form(
    _ network: CheckpointForm.Network, _ style: CheckpointForm.Style, models: [String],
    expert: CheckpointForm.Expert? = nil
  ) -> CheckpointForm {
    CheckpointForm(
      network: network, style: style, prefix: prefix, models: models, expert: expert,
      weights: weights)
  }
}
