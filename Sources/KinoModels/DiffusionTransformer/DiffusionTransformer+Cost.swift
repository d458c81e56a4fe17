extension DiffusionTransformer.Configuration {
  /// Counts the tokens of latents `[frames, height, width]`; what a patch does not fill is left out.
  public func tokenCount(latentFrames: Int, height: Int, width: Int) -> Int {
    zip([latentFrames, height, width], patchSize).map { $0 / $1 }.reduce(1, *)
  }

  /// Counts the numbers in all parameters.
  public var parameterCount: Int {
    func linear(_ inputs: Int, _ outputs: Int) -> Int { (inputs + 1) * outputs }
    let attention = 4 * linear(width, width) + 2 * width
    let feedForward = linear(width, feedForwardWidth) + linear(feedForwardWidth, width)
    let block =
      2 * attention + feedForward + 6 * width + (normalizesCrossAttention ? 2 * width : 0)
    let time =
      linear(frequencyCount, width) + linear(width, width) + linear(width, 6 * width)
    let text = linear(textWidth, width) + linear(width, width)
    let ends =
      linear(inputChannels * patchVolume, width) + linear(width, outputChannels * patchVolume)
    return layerCount * block + time + text + ends + 2 * width + imageParameterCount
  }

  private var imageParameterCount: Int {
    guard let imageWidth else { return 0 }
    let block = 2 * (width + 1) * width + width
    let embedding =
      2 * imageWidth + (imageWidth + 1) * (imageWidth + width) + 2 * width
      + (positionEmbeddingLength ?? 0) * imageWidth
    return layerCount * block + embedding
  }

  /// Counts the floating-point operations of one forward pass over one sample, two to a
  /// multiply-accumulate, products only.
  ///
  /// The text context is not counted, as it is made once per clip: see
  /// ``textFloatingPointOperations(textTokens:)``.
  public func floatingPointOperations(tokens: Int, textTokens: Int) -> Double {
    let (tokens, textTokens) = (Double(tokens), Double(textTokens))
    let (width, hidden) = (Double(width), Double(feedForwardWidth))
    let selfAttention = 4 * tokens * width * width + 2 * tokens * tokens * width
    let crossAttention = 2 * tokens * width * width + 2 * tokens * textTokens * width
    let feedForward = 2 * tokens * width * hidden
    let ends = tokens * width * Double((inputChannels + outputChannels) * patchVolume)
    return 2 * (Double(layerCount) * (selfAttention + crossAttention + feedForward) + ends)
  }

  /// Counts the floating-point operations of one text context.
  public func textFloatingPointOperations(textTokens: Int) -> Double {
    let width = Double(width)
    let embedding = Double(textWidth) * width + width * width
    return 2 * Double(textTokens) * (embedding + Double(layerCount) * 2 * width * width)
  }
}
