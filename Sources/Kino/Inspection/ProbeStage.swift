public import Foundation
internal import KinoModels
internal import KinoTensor
internal import KinoWeights

/// One stage of a model, to be run on given tensors and compared with a reference.
public enum ProbeStage: String, CaseIterable, Sendable {
  /// A text to `input_ids` `[1, S]`, closed with the end piece.
  case tokenize
  /// `input_ids` and `attention_mask`, `[B, S]`, to `hidden_states` `[B, S, width]`.
  case textEncoder = "text-encoder"
  /// `pixel_values` `[B, 3, side, side]`, as the image encoder takes them, to `image_hidden_states` `[B, S, width]`:
  /// before its last block.
  case imageEncoder = "image-encoder"
  /// `latents` `[B, C, F, H, W]`, `timestep` `[B]` or `[B, L]` and `hidden_states` `[B, S, width]`,
  /// all of whose rows are attended to, and `image_hidden_states` if the model reads pictures, to `velocity`
  /// `[B, C, F, H, W]`.
  case transformer
  /// `pixels` `[B, 3, F, H, W]` in -1...1 to `latents`: the distribution's mean, not normalised.
  case encode
  /// `latents`, not normalised, to `pixels` in -1...1.
  case decode
}

extension Studio {
  /// Runs one stage on the tensors of a file, and writes what it gives to another.
  ///
  /// - Parameters:
  ///   - stage: The stage; it says which tensors it reads and writes.
  ///   - text: The text to tokenize; not read by other stages.
  ///   - input: A safetensors file; not read by ``ProbeStage/tokenize``.
  ///   - output: The safetensors file to write, replaced when complete.
  ///   - precision: The type that the network computes in.
  /// - Throws: ``StudioError`` for tensors that are missing or of the wrong shape.
  public func probe(
    _ stage: ProbeStage, text: String? = nil, input: URL? = nil, output: URL,
    precision: Precision = .f32
  ) async throws {
    try await actor.probe(stage, text: text, input: input, output: output, precision: precision)
  }
}

extension ModelActor {
  func probe(
    _ stage: ProbeStage, text: String?, input: URL?, output: URL, precision: Precision
  ) throws {
    setThreads()
    let model = try model.wan()
    let tensors = try ProbeTensors(input, stage: stage, device: device)
    let result: (name: String, tensor: Tensor)
    switch stage {
    case .tokenize:
      guard let text else { throw StudioError(.invalidTensor, "tokenize needs a text.") }
      let ids = try model.loadTokenizer().encode(text, maximumLength: model.textLength)
      result = ("input_ids", Tensor(ids.map(Int64.init), shape: [1, ids.count]))
    case .textEncoder: result = ("hidden_states", try hiddenStates(tensors, model, precision))
    case .imageEncoder:
      result = ("image_hidden_states", try imageStates(tensors, model, precision))
    case .transformer: result = ("velocity", try velocity(tensors, model, precision))
    case .encode: result = ("latents", try latents(tensors, model, precision))
    case .decode: result = ("pixels", try pixels(tensors, model, precision))
    }
    try Task.checkCancellation()
    try SafetensorsFile.write(
      [(key: result.name, value: result.tensor.moved(to: .cpu).contiguous())], to: output)
  }

  private func hiddenStates(
    _ tensors: ProbeTensors, _ model: WanFamily, _ precision: Precision
  ) throws -> Tensor {
    let ids = try tensors["input_ids", [nil, nil]].cast(to: .int64)
    let mask = try tensors["attention_mask", ids.shape.map(Optional.some)]
    let limit = model.textEncoder.vocabularySize
    guard ids.count == 0 || ids.min().item() >= 0 && ids.max().item() < Double(limit) else {
      throw StudioError(.invalidTensor, "input_ids: expected ids in 0..<\(limit), found others.")
    }
    let network = try model.loadTextEncoder(precision, device)
    return try computing { network(inputIDs: ids, mask: mask, computeType: precision.computeType) }
  }

  private func imageStates(
    _ tensors: ProbeTensors, _ model: WanFamily, _ precision: Precision
  ) throws -> Tensor {
    guard let side = model.imageEncoder?.imageSize,
      let network = try model.loadImageEncoder(precision, device)
    else { throw StudioError(.unsupported, "This model has no image encoder.") }
    let pictures = try tensors["pixel_values", [nil, 3, side, side]].cast(to: .float32)
    return try computing { network(pictures, computeType: precision.computeType) }
  }

  private func velocity(
    _ tensors: ProbeTensors, _ model: WanFamily, _ precision: Precision
  ) throws -> Tensor {
    let shape = model.transformer
    let latents = try tensors["latents", [nil, shape.inputChannels, nil, nil, nil]]
    let (batch, _, frames, height, width) = latents.shape5
    for (length, patch) in zip([frames, height, width], shape.patchSize) where length % patch != 0 {
      throw StudioError(
        .invalidTensor,
        "latents: expected frames, rows and columns in multiples of \(shape.patchSize), "
          + "found \(latents.shape).")
    }
    let states = try tensors["hidden_states", [batch, nil, shape.textWidth]]
    let images = try shape.imageWidth.map { width in
      try tensors["image_hidden_states", [batch, nil, width]]
    }
    let count = shape.tokenCount(latentFrames: frames, height: height, width: width)
    let times = try tensors.any("timestep")
    let timesteps: Timesteps
    switch times.shape {
    case [batch]: timesteps = .perSample(times.cast(to: .float32))
    case [batch, count]: timesteps = .dense(times.cast(to: .float32))
    default:
      throw StudioError(
        .invalidTensor,
        "timestep: expected [\(batch)] or [\(batch), \(count)], found \(times.shape).")
    }
    let network = try model.loadTransformer(precision, device)
    let type = precision.computeType
    return try computing {
      network(
        latents.cast(to: .float32), timesteps: timesteps,
        text: network.textContext(states, images: images, computeType: type), computeType: type)
    }
  }

  private func latents(
    _ tensors: ProbeTensors, _ model: WanFamily, _ precision: Precision
  ) throws -> Tensor {
    let pixels = try tensors["pixels", [nil, 3, nil, nil, nil]]
    let (_, _, frames, height, width) = pixels.shape5
    let (temporal, spatial) = (model.autoencoder.temporalScale, model.autoencoder.spatialScale)
    guard (frames - 1) % temporal == 0, height % spatial == 0, width % spatial == 0 else {
      throw StudioError(
        .invalidTensor,
        "pixels: expected \(temporal)n + 1 frames, rows and columns in multiples of \(spatial), "
          + "found \(pixels.shape).")
    }
    let network = try model.loadAutoencoder(precision, device)
    return try computing {
      network.encode(pixels.cast(to: .float32), computeType: precision.computeType).mean
    }
  }

  private func pixels(
    _ tensors: ProbeTensors, _ model: WanFamily, _ precision: Precision
  ) throws -> Tensor {
    let latents = try tensors["latents", [nil, model.autoencoder.latentChannels, nil, nil, nil]]
    let network = try model.loadAutoencoder(precision, device)
    let (_, _, frames, height, width) = latents.shape5
    let chunk = Model.decodingChunk(height: height, width: width)
    var stream = network.decodingStream(computeType: precision.computeType)
    var pieces: [Tensor] = []
    for start in stride(from: 0, to: frames, by: chunk) {
      try Task.checkCancellation()
      pieces.append(
        try computing {
          stream(latents.cast(to: .float32).slice(2, start..<min(start + chunk, frames)))
        })
    }
    return concatenate(pieces, along: 2)
  }

  private func computing(_ body: () throws -> Tensor) throws -> Tensor {
    try withTensorErrors { try withoutGradient(body) }
  }
}

/// The tensors that a stage is given.
private struct ProbeTensors {
  let file: SafetensorsFile?
  let stage: ProbeStage
  let device: Device

  init(_ url: URL?, stage: ProbeStage, device: Device) throws {
    self.stage = stage
    self.device = device
    if stage != .tokenize && url == nil {
      throw StudioError(.invalidTensor, "\(stage.rawValue) needs an input file.")
    }
    file = stage == .tokenize ? nil : try url.map { try SafetensorsFile(at: $0) }
  }

  /// A tensor of any shape, with elements in it.
  func any(_ name: String) throws -> Tensor {
    guard let file, let stored = file[name] else {
      throw StudioError(
        .invalidTensor,
        """
        \(file?.url.path ?? "the input"): \(stage.rawValue) reads a tensor \(name), found \
        \(file?.tensors.prefix(8).map(\.name).joined(separator: ", ") ?? "none").
        """)
    }
    guard !stored.shape.contains(0) else {
      throw StudioError(.invalidTensor, "\(name): expected elements, found \(stored.shape).")
    }
    return try file.tensor(named: name).moved(to: device)
  }

  /// A tensor whose lengths are these, where they are given.
  subscript(name: String, shape: [Int?]) -> Tensor {
    get throws {
      let tensor = try any(name)
      let fits =
        tensor.rank == shape.count
        && zip(tensor.shape, shape).allSatisfy { $1 == nil || $0 == $1 }
      guard fits else {
        let wanted = shape.map { $0.map(String.init) ?? "any" }.joined(separator: ", ")
        throw StudioError(
          .invalidTensor, "\(name): expected [\(wanted)], found \(tensor.shape).")
      }
      return tensor
    }
  }
}
