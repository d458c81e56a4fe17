internal import KinoNN
internal import KinoTensor

/// Pixels to latent moments.
struct VideoEncoder: Sendable {
  private enum Stage: Sendable {
    case block(ResidualBlock)
    case down(Downsampler)
    case level([ResidualBlock], Downsampler?, AveragingShortcut)
  }

  private let input: CausalConvolution
  private let stages: [Stage]
  private let middle: MiddleBlock
  private let norm: ChannelNorm
  private let output: CausalConvolution

  init(_ scope: ParameterScope, configuration: VideoAutoencoder.Configuration) {
    let widths = ([1] + configuration.widthMultipliers).map { $0 * configuration.baseWidth }
    input = CausalConvolution(
      scope["conv_in"], inputs: configuration.inputChannels, outputs: widths[0])
    stages =
      configuration.isResidual
      ? VideoEncoder.residualStages(scope["down_blocks"], widths, configuration)
      : VideoEncoder.plainStages(scope["down_blocks"], widths, configuration)
    let deepest = widths[widths.count - 1]
    middle = MiddleBlock(scope["mid_block"], channels: deepest)
    norm = ChannelNorm(scope["norm_out"], channels: deepest)
    output = CausalConvolution(
      scope["conv_out"], inputs: deepest, outputs: configuration.latentChannels * 2)
  }

  private static func plainStages(
    _ scope: ParameterScope, _ widths: [Int], _ configuration: VideoAutoencoder.Configuration
  ) -> [Stage] {
    var stages: [Stage] = []
    for level in 0..<widths.count - 1 {
      for index in 0..<configuration.residualBlockCount {
        let inputs = index == 0 ? widths[level] : widths[level + 1]
        stages.append(
          .block(ResidualBlock(scope[stages.count], inputs: inputs, outputs: widths[level + 1])))
      }
      guard level < widths.count - 2 else { continue }
      let isTemporal = configuration.temporalDownsampling[level]
      stages.append(
        .down(Downsampler(scope[stages.count], channels: widths[level + 1], isTemporal: isTemporal))
      )
    }
    return stages
  }

  private static func residualStages(
    _ scope: ParameterScope, _ widths: [Int], _ configuration: VideoAutoencoder.Configuration
  ) -> [Stage] {
    (0..<widths.count - 1).map { level in
      let (inputs, outputs) = (widths[level], widths[level + 1])
      let blocks = (0..<configuration.residualBlockCount).map {
        ResidualBlock(
          scope[level]["resnets"][$0], inputs: $0 == 0 ? inputs : outputs, outputs: outputs)
      }
      let isDown = level < widths.count - 2
      let isTemporal = isDown && configuration.temporalDownsampling[level]
      let down =
        isDown
        ? Downsampler(scope[level]["downsampler"], channels: outputs, isTemporal: isTemporal) : nil
      return .level(
        blocks, down,
        AveragingShortcut(
          inputs: inputs, outputs: outputs, time: isTemporal ? 2 : 1, space: isDown ? 2 : 1))
    }
  }

  /// Maps patched pixels `[B, C, F, H, W]` to moments `[B, 2Z, f, h, w]`.
  func callAsFunction(_ pixels: Tensor, _ stream: inout CausalStream) -> Tensor {
    moments(features(pixels, &stream), &stream)
  }

  /// The levels, to `[B, D, f, h, w]`, in which a place sees only what is around it.
  func features(_ pixels: Tensor, _ stream: inout CausalStream) -> Tensor {
    var x = input(pixels, &stream)
    for stage in stages {
      switch stage {
      case .block(let block): x = block(x, &stream)
      case .down(let down): x = down(x, &stream)
      case .level(let blocks, let down, let shortcut):
        var y = x
        for block in blocks { y = block(y, &stream) }
        if let down { y = down(y, &stream) }
        y += shortcut(x, isAtStart: stream.isAtStart)
        x = y
      }
    }
    return x
  }

  /// The deepest level, in which every place of a frame sees every other.
  func moments(_ features: Tensor, _ stream: inout CausalStream) -> Tensor {
    output(norm.silu(middle(features, &stream)), &stream)
  }
}

/// Latents to pixels.
struct VideoDecoder: Sendable {
  private struct Level: Sendable {
    let blocks: [ResidualBlock]
    let up: Upsampler?
    let shortcut: RepeatingShortcut?
  }

  private let input: CausalConvolution
  private let middle: MiddleBlock
  private let levels: [Level]
  private let norm: ChannelNorm
  private let output: CausalConvolution

  init(_ scope: ParameterScope, configuration: VideoAutoencoder.Configuration) {
    let multipliers = Array(configuration.widthMultipliers.reversed())
    let widths = ([multipliers[0]] + multipliers).map { $0 * configuration.decoderWidth }
    input = CausalConvolution(
      scope["conv_in"], inputs: configuration.latentChannels, outputs: widths[0])
    middle = MiddleBlock(scope["mid_block"], channels: widths[0])
    levels = (0..<multipliers.count).map {
      VideoDecoder.level(scope["up_blocks"][$0], index: $0, widths, configuration)
    }
    norm = ChannelNorm(scope["norm_out"], channels: widths[widths.count - 1])
    output = CausalConvolution(
      scope["conv_out"], inputs: widths[widths.count - 1], outputs: configuration.outputChannels)
  }

  private static func level(
    _ scope: ParameterScope, index: Int, _ widths: [Int],
    _ configuration: VideoAutoencoder.Configuration
  ) -> Level {
    let isResidual = configuration.isResidual
    // The 2.1 form's upsampler halves the channels on the way.
    let inputs = isResidual || index == 0 ? widths[index] : widths[index] / 2
    let outputs = widths[index + 1]
    let blocks = (0...configuration.residualBlockCount).map {
      ResidualBlock(scope["resnets"][$0], inputs: $0 == 0 ? inputs : outputs, outputs: outputs)
    }
    guard index < widths.count - 2 else { return Level(blocks: blocks, up: nil, shortcut: nil) }
    let isTemporal = configuration.temporalDownsampling[widths.count - 3 - index]
    let up = Upsampler(
      isResidual ? scope["upsampler"] : scope["upsamplers"][0], channels: outputs,
      outputs: isResidual ? outputs : outputs / 2, isTemporal: isTemporal)
    let shortcut =
      isResidual
      ? RepeatingShortcut(inputs: inputs, outputs: outputs, time: isTemporal ? 2 : 1, space: 2)
      : nil
    return Level(blocks: blocks, up: up, shortcut: shortcut)
  }

  /// Maps latents `[B, Z, f, h, w]` to patched pixels `[B, C, F, H, W]`.
  func callAsFunction(_ latents: Tensor, _ stream: inout CausalStream) -> Tensor {
    enlarged(features(latents, &stream), &stream)
  }

  /// The deepest level, `[B, D, f, h, w]`, in which every place of a frame sees every other.
  func features(_ latents: Tensor, _ stream: inout CausalStream) -> Tensor {
    middle(input(latents, &stream), &stream)
  }

  /// Maps ``features(_:_:)``, or a part of their rows and columns, to patched pixels.
  func enlarged(_ features: Tensor, _ stream: inout CausalStream) -> Tensor {
    var x = features
    for level in levels {
      var y = x
      for block in level.blocks { y = block(y, &stream) }
      if let up = level.up { y = up(y, &stream) }
      if let shortcut = level.shortcut { y += shortcut(x, isAtStart: stream.isAtStart) }
      x = y
    }
    return output(norm.silu(consume x), &stream)
  }
}
