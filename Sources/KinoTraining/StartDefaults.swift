internal import Foundation
internal import Kino
internal import KinoDiffusion
internal import KinoModels
internal import Yams

/// What a run that starts from a model takes where its configuration says nothing: sizes from the model, the
/// rest from here.
struct StartDefaults {
  private let start: StartModel
  private let given: Node

  /// Opens the model that a configuration, as it was written, starts from; `nil` if from none.
  ///
  /// - Throws: Errors of the model.
  init?(_ given: Node) throws {
    guard let start = given["transformer"]?["start"]?.string else { return nil }
    self.start = try StartModel(start)
    self.given = given
  }

  /// The configuration with everything that it lacks.
  func completed() throws -> Node {
    guard let defaults = try Yams.compose(yaml: text) else { return given }
    var whole = given.completed(by: defaults)
    guard var transformer = whole["transformer"] else { return whole }
    transformer = transformer.completed(by: [
      "autoencoder": Node(start.autoencoderFolder.path),
      "defaults": ["name": Node(start.model.name)],
    ])
    transformer["lora"] = try transformer["lora"].map(Self.completed(lora:))
    whole["transformer"] = transformer
    whole["buckets"] = whole["buckets"]?.eachCompleted(by: [
      "batch": Node("\(batch)"), "weight": "1",
    ])
    if var data = whole["data"] {
      data["folders"] = data["folders"]?.eachCompleted(by: ["weight": "1"])
      whole["data"] = data
    }
    return whole
  }

  /// `lora:` alone asks for adapters too.
  private static func completed(lora: Node) throws -> Node {
    let own = lora.scalar?.string.isEmpty == true ? Node([(Node, Node)]()) : lora
    return own.completed(by: [
      "rank": "8", "alpha": own["rank"] ?? "8",
      "targets": ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"],
    ])
  }

  private var isLoRA: Bool { given["transformer"]?["lora"] != nil }

  /// Steps are the shorter, the wider the network: what suits width 192 breaks width 5,120.
  private var rate: Double {
    (isLoRA ? 1 : 0.03) / Double(start.family.transformer.width)
  }

  private var size: (width: Int, height: Int, frames: Int) {
    let defaults = start.model.defaults
    func rounded(_ side: Int) -> Int { max(32, (side + 16) / 32 * 32) }
    return (
      rounded(defaults.size.width), rounded(defaults.size.height), (defaults.frames - 1) / 4 * 4 + 1
    )
  }

  private var latentFrames: Int { (size.frames - 1) / start.family.geometry.temporalScale + 1 }

  /// Tokens of a clip of the model's own size.
  private var tokens: Int {
    let geometry = start.family.geometry
    let side = geometry.spatialScale * geometry.patch.height
    return latentFrames * (size.width / side) * (size.height / side)
  }

  private var batch: Int { max(1, min(8, 4096 / max(1, tokens))) }

  /// Latent frames that hold every file of the folders twice, at least 640.
  private var stored: Int {
    let paths = given["data"]?["folders"]?.sequence?.compactMap { $0["path"]?.string } ?? []
    let files = paths.reduce(0) { count, path in
      let own = try? CaptionedFolder.captions(path: path.expandingTilde)
      return count + (own?.count ?? 0)
    }
    return max(640, files * 2 * latentFrames)
  }

  private var text: String {
    let (model, own, texts) = (start.model, start.family.transformer, start.family.textEncoder)
    let (size, defaults, profile) = (size, start.model.defaults, start.model.profile)
    return """
      seed: 1
      steps: 500
      precision: fastest
      optimizer:
        learning_rate: \(rate)
        warmup_steps: 20
        decay_fraction: 0.3
        weight_decay: 0
        beta2: 0.99
        clip_norm: 1
        average_decay: 0.98
      buckets: [{width: \(size.width), height: \(size.height), frames: \(size.frames)}]
      data: {world: 0, folders: [], frames_per_second: \(defaults.framesPerSecond)}
      schedule: {checkpoint_minutes: 5, log_steps: 10, held_out_steps: 0, sample_steps: 250}
      transformer:
        heads: \(own.headCount)
        head_width: \(own.headDimension)
        layers: \(own.layerCount)
        feed_forward_width: \(own.feedForwardWidth)
        patch: \(own.patchSize[1])
        text:
          vocabulary: \(texts.vocabularySize)
          width: \(texts.width)
          heads: \(texts.headCount)
          head_width: \(texts.headDimension)
          layers: \(texts.layerCount)
          feed_forward_width: \(texts.feedForwardWidth)
        latents: {initial: \(stored), per_step: 0, limit: \(stored)}
        caption_dropout: 0.1
        russian: 0
        base_shift: \(profile.baseShift ?? model.flowShift)
        base_tokens: \(profile.baseTokens ?? tokens)
        defaults:
          width: \(defaults.size.width)
          height: \(defaults.size.height)
          frames: \(defaults.frames)
          steps: \(defaults.steps)
          guidance: \(defaults.guidance)
      """
  }
}

extension Node {
  /// This node with what it lacks taken from another, mapping by mapping.
  fileprivate func completed(by other: Node) -> Node {
    guard var own = mapping, let others = other.mapping else { return self }
    for (key, value) in others { own[key] = own[key]?.completed(by: value) ?? value }
    return .mapping(own)
  }

  /// A list with what its members lack.
  fileprivate func eachCompleted(by other: Node) -> Node {
    guard var own = sequence else { return self }
    for index in own.indices { own[index] = own[index].completed(by: other) }
    return .sequence(own)
  }
}
