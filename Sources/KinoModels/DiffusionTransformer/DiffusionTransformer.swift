public import KinoNN
public import KinoTensor

/// Predicts the velocity that turns noise into latents of a clip, given a text and timesteps.
///
/// The Wan 2.x video diffusion transformer (arXiv:2503.20314): tokens are patches of latents with
/// 3D rotary positions; the timestep, one per sample or one per token, modulates every block.
/// Parameters have diffusers' keys (`WanTransformer3DModel`).
///
/// Differs from the reference in precision alone: the residual stream, the norms, the modulation
/// and the timestep's networks are float32 whatever the compute type, where diffusers rounds the
/// stream to the model's type after every branch. In float32 the two agree.
public struct DiffusionTransformer: Sendable {
  /// The sizes it was built with.
  public let configuration: Configuration
  /// Whether the backward pass computes the blocks again instead of keeping their intermediate results:
  /// training of large networks in little memory.
  public var recomputesBlocks = false
  let patchEmbedding: PatchEmbedding
  let timeEmbedder: TimeEmbedder
  let textEmbedder: TextEmbedder
  let imageEmbedder: ImageEmbedder?
  let blocks: [DiffusionBlock]
  let head: VelocityHead

  /// Takes the parameters from `scope`; the configuration must be valid.
  public init(_ scope: ParameterScope, configuration: Configuration) {
    self.configuration = configuration
    let conditions = scope["condition_embedder"]
    patchEmbedding = PatchEmbedding(scope["patch_embedding"], configuration: configuration)
    timeEmbedder = TimeEmbedder(conditions, configuration: configuration)
    textEmbedder = TextEmbedder(conditions["text_embedder"], configuration: configuration)
    imageEmbedder = ImageEmbedder(conditions["image_embedder"], configuration: configuration)
    blocks = (0..<configuration.layerCount).map {
      DiffusionBlock(scope["blocks"][$0], configuration: configuration)
    }
    head = VelocityHead(scope, configuration: configuration)
  }

  /// Projects texts to every block's keys and values.
  ///
  /// - Parameters:
  ///   - hiddenStates: Of the text encoder, `[B, S, textWidth]`.
  ///   - mask: How often each row counts, `[B, S]`: 1 once, 0 not at all, `n` like `n` rows alike.
  ///     `nil` attends to every row once, as published Wan models do with their 512 padded rows.
  ///   - images: Of the image encoder, `[B, S, imageWidth]`, for a model that reads pictures: the first
  ///     picture's states, then the last one's if there are two. `nil` attends to text alone.
  ///   - computeType: The type of the products; that of the forward pass.
  /// - Returns: The context of the `B` texts, for any number of forward passes.
  public func textContext(
    _ hiddenStates: Tensor, mask: Tensor? = nil, images: Tensor? = nil,
    computeType: DType = .float32
  ) -> TextContext {
    let text = textEmbedder(hiddenStates.cast(to: computeType))
    precondition(
      images == nil || imageEmbedder != nil, "textContext: the model has no place for pictures")
    let pictures = images.flatMap { imageEmbedder?($0.cast(to: computeType)) }
    return TextContext(
      memories: blocks.map { $0.crossAttention.memory(text) },
      images: pictures.map { pictures in
        blocks.compactMap { $0.crossAttention.imageMemory(pictures) }
      } ?? [],
      bias: mask.map { TextContext.bias(mask: $0, computeType: computeType) })
  }

  /// Projects texts as published Wan models see them: every row past a text's end is zero, and all
  /// of a fixed number of rows are attended to.
  ///
  /// The zero rows have the same key and value in each block, so one of them stands for all.
  ///
  /// - Parameters:
  ///   - hiddenStates: Of the text encoder, `[B, S, textWidth]`, padded on the right.
  ///   - mask: Which rows are text, `[B, S]`: 1 or true, and 0 or false.
  ///   - rowCount: Rows attended to, text and zeros together; at least `S`.
  ///   - images: As in ``textContext(_:mask:images:computeType:)``.
  ///   - computeType: The type of the products; that of the forward pass.
  /// - Returns: The context of the `B` texts, for any number of forward passes.
  public func textContext(
    _ hiddenStates: Tensor, mask: Tensor, paddedTo rowCount: Int, images: Tensor? = nil,
    computeType: DType = .float32
  ) -> TextContext {
    let (batch, length, width) = hiddenStates.shape3
    precondition(length <= rowCount, "textContext: \(length) rows padded to \(rowCount)")
    let counts = mask.cast(to: .float32)
    let padding = Double(rowCount) - counts.sum(along: 1, keepingDimensions: true)
    let zeros = Tensor.zeros([batch, 1, width], dtype: hiddenStates.dtype)
      .moved(to: hiddenStates.device)
    return textContext(
      concatenate([hiddenStates, zeros], along: 1),
      mask: concatenate([counts, padding], along: 1), images: images, computeType: computeType)
  }

  /// Makes the rotary table of latents of the given size, which must be a multiple of the patch.
  ///
  /// - Parameters:
  ///   - latentFrames: Latent frames.
  ///   - height: Latent rows.
  ///   - width: Latent columns.
  ///   - frameOffset: The position of the first token along time.
  /// - Returns: The table of all tokens, on the CPU.
  public func rotaryTable(
    latentFrames: Int, height: Int, width: Int, frameOffset: Double = 0
  ) -> RotaryTable {
    let patch = configuration.patchSize
    return RotaryTable(
      frames: latentFrames / patch[0], height: height / patch[1], width: width / patch[2],
      headDimension: configuration.headDimension, frameOffset: frameOffset)
  }

  /// Predicts the velocity, noise minus clean latents.
  ///
  /// - Parameters:
  ///   - latents: Noisy latents `[B, C, F, H, W]`.
  ///   - timesteps: Their noise, in `0...1000`.
  ///   - text: From ``textContext(_:mask:images:computeType:)``, with the same compute type.
  ///   - computeType: The type of the products, float32 or bfloat16.
  ///   - rotary: Positions of the tokens; `nil` counts from zero on each axis.
  ///   - cache: Leaves out blocks that would change little; `nil` computes all.
  /// - Returns: `[B, outputChannels, F, H, W]`, float32.
  public func callAsFunction(
    _ latents: Tensor, timesteps: Timesteps, text: TextContext, computeType: DType = .float32,
    rotary: RotaryTable? = nil, cache: StepCache? = nil
  ) -> Tensor {
    let stream = stream(latents, timesteps, text, computeType, rotary)
    let first = stream.embedded()
    let last =
      cache.map { cache in
        cache.stream(first, first: stream.passed(first, 0..<1)) {
          stream.passed($0, 1..<blocks.count)
        }
      } ?? stream.passed(first, 0..<blocks.count)
    return stream.velocity(last)
  }

  /// Predicts the velocity as ``callAsFunction(_:timesteps:text:computeType:rotary:cache:)`` does, and gives
  /// the tokens that a middle block leaves, for losses on what the network knows by then.
  ///
  /// - Parameters:
  ///   - latents: Noisy latents `[B, C, F, H, W]`.
  ///   - timesteps: Their noise, in `0...1000`.
  ///   - text: From ``textContext(_:mask:images:computeType:)``, with the same compute type.
  ///   - computeType: The type of the products, float32 or bfloat16.
  ///   - count: Blocks before the tokens are taken, in `0...layerCount`.
  /// - Returns: The velocity `[B, outputChannels, F, H, W]` and tokens `[B, L, width]`, both float32.
  public func velocityAndTokens(
    _ latents: Tensor, timesteps: Timesteps, text: TextContext, computeType: DType = .float32,
    after count: Int
  ) -> (velocity: Tensor, tokens: Tensor) {
    precondition(
      0...blocks.count ~= count, "velocityAndTokens: after \(count) of \(blocks.count) blocks")
    let stream = stream(latents, timesteps, text, computeType, nil)
    let tokens = stream.passed(stream.embedded(), 0..<count)
    return (stream.velocity(stream.passed(tokens, count..<blocks.count)), tokens)
  }

  /// The three parts of a forward pass.
  private struct Stream {
    /// Latents to tokens.
    let embedded: () -> Tensor
    /// Tokens through some of the blocks.
    let passed: (Tensor, Range<Int>) -> Tensor
    /// Tokens to the velocity.
    let velocity: (Tensor) -> Tensor
  }

  private func stream(
    _ latents: Tensor, _ timesteps: Timesteps, _ text: TextContext, _ computeType: DType,
    _ rotary: RotaryTable?
  ) -> Stream {
    let (_, _, frames, height, width) = latents.shape5
    let grid = PatchGrid(latents, patch: configuration.patchSize)
    let table =
      (rotary ?? rotaryTable(latentFrames: frames, height: height, width: width))
      .moved(to: latents.device)
    let time = timeEmbedder(timesteps)
    func passed(_ x: Tensor, _ range: Range<Int>) -> Tensor {
      range.reduce(x) { x, index in
        let memory = text.memories[index]
        let image = text.images.isEmpty ? nil : text.images[index]
        if !recomputesBlocks {
          return blocks[index](
            x, time: time, memory: memory, image: image, textBias: text.bias, rotary: table,
            computeType: computeType)
        }
        // Only what is a function of recorded inputs is run again. Where the block's own parameters alone
        // learn, as adapters on frozen weights, its input must be recorded for their sake.
        let others = [time.projection, memory.keys, memory.values]
        let inputs =
          [([x] + others).contains(where: \.requiresGradient) ? x : x.requiringGradient()] + others
        return recomputed(inputs + (image.map { [$0.keys, $0.values] } ?? [])) {
          [block = blocks[index]] in
          block(
            $0[0], time: TimeEmbedding(rows: time.rows, projection: $0[1], index: time.index),
            memory: AttentionMemory(keys: $0[2], values: $0[3]),
            image: image == nil ? nil : AttentionMemory(keys: $0[4], values: $0[5]),
            textBias: text.bias, rotary: table, computeType: computeType)
        }
      }
    }
    return Stream(
      embedded: {  // [B, L, D]
        patchEmbedding(grid.patches(of: latents).cast(to: computeType)).cast(to: .float32)
      }, passed: passed,
      velocity: {
        grid.latents(of: head($0, time: time, computeType: computeType).cast(to: .float32))
      })
  }
}

/// Maps patches of latents to tokens.
struct PatchEmbedding: Sendable {
  let weight: Tensor  // [D, C, patch...], since the reference is a convolution
  let bias: Tensor

  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let inputs = configuration.inputChannels * configuration.patchVolume
    // The variance of Glorot's uniform distribution for a linear layer of these sizes.
    let deviation = (2 / Double(inputs + configuration.width)).squareRoot()
    weight = scope.parameter(
      "weight",
      shape: [configuration.width, configuration.inputChannels] + configuration.patchSize,
      initializer: .normal(standardDeviation: deviation))
    bias = scope.parameter("bias", shape: [configuration.width], initializer: .zeros)
  }

  /// Maps `[B, L, C * volume]` to `[B, L, D]`.
  func callAsFunction(_ patches: Tensor) -> Tensor {
    let matrix = weight.reshaped(to: weight.size(0), -1)
    return patches.linear(
      weight: matrix.cast(to: patches.dtype), bias: bias.cast(to: patches.dtype))
  }
}

/// Maps tokens to velocities.
struct VelocityHead: Sendable {
  let modulation: Tensor  // [1, 2, D]
  let epsilon: Double
  let projection: Linear

  // Takes the scope of the model, since the head has none of its own.
  init(_ scope: ParameterScope, configuration: DiffusionTransformer.Configuration) {
    let width = configuration.width
    modulation = scope.parameter(
      "scale_shift_table", shape: [1, 2, width],
      initializer: .normal(standardDeviation: 1 / Double(width).squareRoot()), precision: .exact)
    epsilon = configuration.epsilon
    // Zeros make the first velocity zero.
    projection = Linear(
      scope["proj_out"], inputs: width,
      outputs: configuration.outputChannels * configuration.patchVolume, initializer: .zeros)
  }

  /// Maps `[B, L, D]` to `[B, L, volume * C]`.
  func callAsFunction(_ x: Tensor, time: TimeEmbedding, computeType: DType) -> Tensor {
    let values = time.rows.expandingDimension(at: 2) + modulation  // [B, K, 2, D]
    let tokens = x.modulatedNorm(
      shift: values.select(2, 0), scale: values.select(2, 1), index: time.index, epsilon: epsilon,
      dtype: computeType)
    return projection(tokens)
  }
}
