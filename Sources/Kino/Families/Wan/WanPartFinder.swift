package import Foundation
internal import KinoModels
internal import KinoWeights

/// Puts a model of Wan's family together from loose files, each told by its content.
struct WanPartFinder {
  let url: URL
  let files: ModelFiles
  let places: [URL]
  private let near: (networks: [FoundNetwork], failures: [any Error])

  init(at url: URL, _ files: ModelFiles, searching places: [URL]) {
    (self.url, self.files, self.places) = (url, files, places)
    near = FoundNetwork.all(in: PartFolders.around(url))
  }

  func parts() throws -> ModelParts {
    let (transformer, second) = try transformers()
    guard case .transformer(let sizes) = transformer.form.network else {
      preconditionFailure("WanPartFinder: no transformer in \(transformer.url.path)")
    }
    // Of two experts the first, whichever was named.
    let place = url.isFolder ? url : transformer.url
    var parts = ModelParts(at: place, networks: ["transformer": transformer.part])
    parts.files = files
    if let second {
      parts.networks["transformer_2"] = second.part
      if !url.isFolder { parts.files.lowNoise = .file(second.url) }
    }
    let own = try own(transformer)
    let autoencoder = try found(.autoencoder, files.autoencoder, in: own) { network in
      if case .autoencoder(let found) = network {
        found.latentChannels == sizes.outputChannels
      } else {
        false
      }
    }
    let textEncoder = try found(.textEncoder, files.textEncoder, in: own) { network in
      if case .textEncoder(let found) = network { found.width == sizes.textWidth } else { false }
    }
    parts.networks["vae"] = autoencoder.part
    parts.networks["text_encoder"] = textEncoder.part
    parts.files.autoencoder = name(of: autoencoder, in: transformer)
    parts.files.textEncoder = name(of: textEncoder, in: transformer)
    if let width = sizes.imageWidth {
      let encoder = try found(.imageEncoder, files.imageEncoder, in: own) { network in
        if case .imageEncoder(let found) = network { found.width == width } else { false }
      }
      parts.networks["image_encoder"] = encoder.part
      parts.files.imageEncoder = name(of: encoder, in: transformer)
    } else if let file = files.imageEncoder {
      throw StudioError(
        .invalidModel,
        """
        \(file.path): \(transformer.url.lastPathComponent) reads no pictures, so it has no use for an image \
        encoder; leave --clip-vision out.
        """)
    }
    parts.tokenizer = try tokenizer(for: textEncoder)
    parts.files.tokenizer = url.isFolder ? files.tokenizer : parts.tokenizer
    return parts
  }

  /// The networks that are in the transformer's file; of a folder, those in all of it.
  private func own(_ transformer: FoundNetwork) throws -> [FoundNetwork] {
    url.isFolder ? near.networks : try FoundNetwork.all(at: transformer.url)
  }

  /// How a recipe names a part: not at all if it is in what `--model` names.
  private func name(of part: FoundNetwork, in transformer: FoundNetwork) -> URL? {
    let isInside = url.isFolder ? part.url.path.hasPrefix(url.path) : part.url == transformer.url
    return isInside ? nil : part.url
  }

  // MARK: - Transformers

  private func transformers() throws -> (FoundNetwork, FoundNetwork?) {
    let candidates = try (url.isFolder ? near.networks : FoundNetwork.all(at: url))
    let found = candidates.filter(\.isTransformer)
    switch found.count {
    case 0: throw try noTransformer(candidates)
    case 1: return try experts(with: found[0], isWhole: !url.isFolder && candidates.count > 1)
    case 2 where found[0].form.network == found[1].form.network:
      let ordered = found.sorted { $0.expert == .highNoise && $1.expert != .highNoise }
      let roles = ordered.map(\.expert)
      if roles[0] != roles[1], roles[0] == .highNoise || roles[1] == .lowNoise {
        return (ordered[0], ordered[1])
      }
      fallthrough
    default:
      let names = found.map(\.url.lastPathComponent).joined(separator: ", ")
      throw StudioError(
        .invalidModel,
        "\(url.path): found \(found.count) transformers, \(names): give the file of one as --model"
          + ", and of two experts the other as --low-noise.")
    }
  }

  private func noTransformer(_ candidates: [FoundNetwork]) throws -> StudioError {
    if candidates.isEmpty, let failure = near.failures.first, url.isFolder { throw failure }
    let found = candidates.map(\.form.network.name).joined(separator: ", ")
    return StudioError(
      .invalidModel,
      "\(url.path): expected a model, with model_index.json or the file of a transformer, found "
        + (found.isEmpty ? "none of them." : "\(found): give the transformer's file as --model."))
  }

  /// The transformer, or both experts in order, once it is known whether there are two.
  private func experts(
    with first: FoundNetwork, isWhole: Bool
  ) throws -> (FoundNetwork, FoundNetwork?) {
    switch files.lowNoise {
    case .single: return (first, nil)
    case .file(let file):
      let others = try FoundNetwork.all(at: file).filter { $0.form.network == first.form.network }
      guard let second = others.first else {
        throw StudioError(
          .invalidModel,
          "\(file.path): expected a transformer of the same shapes as \(first.url.lastPathComponent)."
        )
      }
      if first.expert == .lowNoise || second.expert == .highNoise {
        throw StudioError(
          .invalidModel,
          """
          \(second.url.lastPathComponent) is the expert for high noise: give it as --model and \
          \(first.url.lastPathComponent) as --low-noise.
          """)
      }
      return (first, second)
    case nil: break
    }
    if isWhole { return (first, nil) }
    if let role = first.expert { return try pair(first, role) }
    // Shapes that one of two experts has too.
    guard first.form.models.contains(where: { $0.hasSuffix(" noise") }) else { return (first, nil) }
    throw StudioError(
      .invalidModel,
      """
      \(first.url.path): shapes can't tell which of these it is: \
      \(first.form.models.joined(separator: ", ")). Of two experts, give the one for high noise as \
      --model and the other as --low-noise FILE; for a model of one transformer say --low-noise none.
      """)
  }

  /// Finds the other expert beside one that says which it is.
  private func pair(
    _ first: FoundNetwork, _ role: CheckpointForm.Expert
  ) throws -> (FoundNetwork, FoundNetwork?) {
    let others = near.networks.filter {
      $0.form.network == first.form.network && $0.expert != nil && $0.expert != role
    }
    if others.count == 1 {
      return role == .highNoise ? (first, others[0]) : (others[0], first)
    }
    let names = others.map(\.url.lastPathComponent).joined(separator: ", ")
    throw StudioError(
      .invalidModel,
      """
      \(first.url.path): this is the expert for \(role.rawValue) noise, and \
      \(names.isEmpty ? "the other is not beside it" : "there are several others: \(names)"): give \
      the one for high noise as --model and the other as --low-noise FILE.
      """)
  }

  // MARK: - Other parts

  fileprivate enum Kind {
    case autoencoder, textEncoder, imageEncoder
  }

  /// The named file, or the first that fits: of the model's own, beside it, in the usual places.
  private func found(
    _ kind: Kind, _ file: URL?, in own: [FoundNetwork],
    where fits: (CheckpointForm.Network) -> Bool
  ) throws -> FoundNetwork {
    if let file {
      let networks = try FoundNetwork.all(at: file)
      if let match = networks.first(where: { fits($0.form.network) }) { return match }
      let found = networks.map { "\($0.form.network.name), \($0.form.sizes)" }
      throw StudioError(
        .invalidModel,
        """
        \(file.path): expected \(kind.words) that fits the transformer, found \
        \(found.joined(separator: "; ")). The parts are of different models.
        """)
    }
    for candidate in own + near.networks where fits(candidate.form.network) { return candidate }
    for folder in PartFolders.all(in: places) {
      let networks = FoundNetwork.all(in: [folder]).networks
      if let match = networks.first(where: { fits($0.form.network) }) { return match }
    }
    throw StudioError(
      .invalidModel,
      """
      \(url.path): there is no \(kind.words(withArticle: false)) that fits in it, beside it or among \
      what kino models lists; give one with \(kind.option) FILE, such as \(kind.source).
      """)
  }

  /// Whether a file is a tokenizer with about as many pieces as the text encoder knows; published ones have
  /// some less.
  private func isTokenizer(_ file: URL, of textEncoder: FoundNetwork) -> Bool {
    guard FileManager.default.fileExists(atPath: file.path),
      case .textEncoder(let sizes) = textEncoder.form.network,
      let count = try? SentencePieceTokenizer(contentsOf: file.path).vocabularySize
    else { return false }
    return (sizes.vocabularySize * 9 / 10...sizes.vocabularySize).contains(count)
  }

  private func tokenizer(for textEncoder: FoundNetwork) throws -> URL? {
    if let file = files.tokenizer { return file }
    if try SentencePieceTokenizer(in: textEncoder.weights) != nil { return nil }
    let folders =
      PartFolders.around(textEncoder.url) + PartFolders.around(url) + PartFolders.all(in: places)
    let found = folders.lazy.map { $0.appendingPathComponent("spiece.model") }
      .first { isTokenizer($0, of: textEncoder) }
    if let found { return found }
    throw StudioError(
      .invalidModel,
      """
      \(textEncoder.url.path): this text encoder's file carries no tokenizer, and there is no \
      spiece.model of its pieces beside it; give one with --tokenizer FILE, such as google/umt5-xxl/spiece.model of \
      Wan-AI/Wan2.1-T2V-1.3B.
      """)
  }
}

extension FoundNetwork {
  fileprivate var isTransformer: Bool {
    if case .transformer = form.network { true } else { false }
  }
}

extension WanPartFinder.Kind {
  fileprivate var words: String { words(withArticle: true) }

  fileprivate func words(withArticle: Bool) -> String {
    switch self {
    case .autoencoder: (withArticle ? "an " : "") + "autoencoder"
    case .textEncoder: (withArticle ? "a " : "") + "text encoder"
    case .imageEncoder: (withArticle ? "an " : "") + "image encoder"
    }
  }

  fileprivate var option: String {
    switch self {
    case .autoencoder: "--vae"
    case .textEncoder: "--text-encoder"
    case .imageEncoder: "--clip-vision"
    }
  }

  /// Where people get it.
  fileprivate var source: String {
    switch self {
    case .autoencoder:
      "wan_2.1_vae.safetensors of Comfy-Org/Wan_2.1_ComfyUI_repackaged (wan2.2_vae.safetensors of "
        + "Comfy-Org/Wan_2.2_ComfyUI_Repackaged for TI2V-5B)"
    case .textEncoder:
      "umt5_xxl_fp8_e4m3fn_scaled.safetensors of Comfy-Org/Wan_2.1_ComfyUI_repackaged"
    case .imageEncoder: "clip_vision_h.safetensors of Comfy-Org/Wan_2.1_ComfyUI_repackaged"
    }
  }
}

extension WanFamily {
  package static func parts(
    at url: URL, _ files: ModelFiles, searching places: [URL]
  ) throws -> ModelParts? {
    try WanPartFinder(at: url, files, searching: places).parts()
  }
}
