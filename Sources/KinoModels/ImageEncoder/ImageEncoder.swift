public import KinoNN
public import KinoTensor

/// Turns pictures into states that say what they show, for transformers that read pictures.
///
/// The vision transformer of CLIP (arXiv:2103.00020), without its last block: Wan 2.1's image to video
/// reads the states before it. Parameters have the keys of transformers (`CLIPVisionModel`).
public struct ImageEncoder: Sendable {
  /// The sizes it was built with.
  public let configuration: Configuration
  let patchEmbedding: Convolution
  let classEmbedding: Tensor  // [D]
  let positions: Tensor  // [tokens, D]
  let inputNorm: LayerNorm
  let blocks: [ImageBlock]
  /// Of the last block and after; not computed, but part of every checkpoint.
  private let unused: [LayerNorm]

  /// Takes the parameters from `scope`; the configuration must be valid.
  public init(_ scope: ParameterScope, configuration: Configuration) {
    self.configuration = configuration
    let (width, epsilon) = (configuration.width, configuration.epsilon)
    let model = scope["vision_model"]
    let embeddings = model["embeddings"]
    patchEmbedding = Convolution(
      embeddings["patch_embedding"], inputs: 3, outputs: width,
      kernel: [configuration.patchSize, configuration.patchSize],
      stride: [configuration.patchSize, configuration.patchSize], bias: false)
    let deviation = 1 / Double(width).squareRoot()
    classEmbedding = embeddings.parameter(
      "class_embedding", shape: [width], initializer: .normal(standardDeviation: deviation),
      precision: .exact)
    positions = embeddings["position_embedding"].parameter(
      "weight", shape: [configuration.tokenCount, width],
      initializer: .normal(standardDeviation: deviation), precision: .exact)
    // The misspelling is the published one.
    inputNorm = LayerNorm(model["pre_layrnorm"], width: width, epsilon: epsilon, isAffine: true)
    blocks = (0..<configuration.layerCount).map {
      ImageBlock(model["encoder"]["layers"][$0], configuration: configuration)
    }
    unused = [
      LayerNorm(model["post_layernorm"], width: width, epsilon: epsilon, isAffine: true)
    ]
  }

  /// Encodes pictures.
  ///
  /// - Parameters:
  ///   - pictures: `[B, 3, imageSize, imageSize]`, 0...1 less ``mean``, over ``standardDeviation``.
  ///   - computeType: The type of the products.
  /// - Returns: States `[B, tokenCount, width]`, float32: of the picture, then of its patches.
  public func callAsFunction(_ pictures: Tensor, computeType: DType = .float32) -> Tensor {
    let (batch, _, height, width) = pictures.shape4
    precondition(
      height == configuration.imageSize && width == configuration.imageSize,
      "ImageEncoder: pictures of \(width)x\(height) for \(configuration.imageSize)")
    let patches = patchEmbedding(pictures.cast(to: computeType)).cast(to: .float32)
      .reshaped(to: batch, configuration.width, -1).transposed(1, 2)
    let start = classEmbedding.reshaped(to: 1, 1, -1)
      .expanded(to: batch, 1, configuration.width)
    var x = inputNorm(concatenate([start, patches], along: 1) + positions)
    for block in blocks.dropLast() { x = block(x, computeType: computeType) }
    return x
  }

  /// What is taken from red, green and blue in 0...1 before encoding.
  public static let mean = [0.48145466, 0.4578275, 0.40821073]
  /// What red, green and blue are then divided by.
  public static let standardDeviation = [0.26862954, 0.26130258, 0.27577711]
}

/// One block: attention among all tokens, then a feed-forward network.
struct ImageBlock: Sendable {
  let headCount: Int
  let attentionNorm: LayerNorm
  let queries: Linear
  let keys: Linear
  let values: Linear
  let output: Linear
  let feedForwardNorm: LayerNorm
  let expansion: Linear
  let contraction: Linear

  init(_ scope: ParameterScope, configuration: ImageEncoder.Configuration) {
    let (width, hidden) = (configuration.width, configuration.feedForwardWidth)
    let attention = scope["self_attn"]
    func linear(_ name: String) -> Linear {
      Linear(attention[name], inputs: width, outputs: width)
    }
    func norm(_ name: String) -> LayerNorm {
      LayerNorm(scope[name], width: width, epsilon: configuration.epsilon, isAffine: true)
    }
    headCount = configuration.headCount
    attentionNorm = norm("layer_norm1")
    queries = linear("q_proj")
    keys = linear("k_proj")
    values = linear("v_proj")
    output = linear("out_proj")
    feedForwardNorm = norm("layer_norm2")
    expansion = Linear(scope["mlp"]["fc1"], inputs: width, outputs: hidden)
    contraction = Linear(scope["mlp"]["fc2"], inputs: hidden, outputs: width)
  }

  /// Maps the residual stream `[B, L, D]`, float32.
  func callAsFunction(_ residual: Tensor, computeType: DType) -> Tensor {
    let (batch, length, width) = residual.shape3
    func heads(_ x: Tensor) -> Tensor {
      x.reshaped(to: batch, length, headCount, width / headCount).transposed(1, 2)
    }
    let input = attentionNorm(residual).cast(to: computeType)
    let attended = scaledDotProductAttention(
      queries: heads(queries(input)), keys: heads(keys(input)), values: heads(values(input)))
    let x = residual + output(attended.transposed(1, 2).reshaped(to: batch, length, width))
    let hidden = expansion(feedForwardNorm(x).cast(to: computeType)).gelu()
    return x + contraction(hidden)
  }
}
