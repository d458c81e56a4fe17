internal import KinoNN
internal import KinoTensor

/// A 3D convolution that sees the present and the past: zero padding in space, history in time.
struct CausalConvolution: Sendable {
  let convolution: Convolution
  let path: String
  let reach: Int  // frames of the past it sees

  init(
    _ scope: ParameterScope, inputs: Int, outputs: Int, kernel: Int = 3,
    initializer: Initializer? = nil
  ) {
    path = scope.path
    reach = kernel - 1
    convolution = Convolution(
      scope, inputs: inputs, outputs: outputs, kernel: [kernel, kernel, kernel],
      padding: [0, kernel / 2, kernel / 2], initializer: initializer)
  }

  func callAsFunction(_ x: Tensor, _ stream: inout CausalStream) -> Tensor {
    if reach == 0 { return convolution(x) }
    let past = stream.frames(before: path)
    stream.keep(reach, of: x, for: path)
    if x.size(2) == 1 && past == nil { return presentOnly(x) }
    return x.causallyConvolved(
      weight: convolution.weight.cast(to: x.dtype), bias: convolution.bias?.cast(to: x.dtype),
      past: past)
  }

  /// A frame with nothing but zeros before it meets only the kernel's last slice.
  private func presentOnly(_ x: Tensor) -> Tensor {
    let frame = Frames.flattened(x)
    let y = frame.convolved(
      weight: convolution.weight.select(2, reach).cast(to: x.dtype),
      bias: convolution.bias?.cast(to: x.dtype), stride: [1, 1],
      padding: Array(convolution.padding.dropFirst()))
    return Frames.restored(y, batch: x.size(0))
  }
}

/// Moves frames into the batch and back; with channels innermost both are free.
enum Frames {
  /// `[B, C, F, H, W]` to `[B * F, C, H, W]`.
  static func flattened(_ x: Tensor) -> Tensor {
    let (batch, channels, frames, height, width) = x.shape5
    return x.permuted(0, 2, 1, 3, 4).reshaped(to: batch * frames, channels, height, width)
  }

  /// `[B * F, C, H, W]` to `[B, C, F, H, W]`.
  static func restored(_ x: Tensor, batch: Int) -> Tensor {
    let (count, channels, height, width) = x.shape4
    return x.reshaped(to: batch, count / batch, channels, height, width).permuted(0, 2, 1, 3, 4)
  }
}

/// Scales each position's channels to the norm `sqrt(C)`, then by a gain per channel.
struct ChannelNorm: Sendable {
  let gain: Tensor  // [C, 1, 1] or [C, 1, 1, 1]

  init(_ scope: ParameterScope, channels: Int, spatialAxes: Int = 3) {
    gain = scope.parameter(
      "gamma", shape: [channels] + Array(repeating: 1, count: spatialAxes), initializer: .ones,
      precision: .exact)
  }

  func callAsFunction(_ x: Tensor) -> Tensor { x.channelNormalized(gain: gain, appliesSiLU: false) }

  /// `silu(norm(x))` in one pass, in place if `x` is given away.
  func silu(_ x: consuming Tensor) -> Tensor { x.channelNormalized(gain: gain, appliesSiLU: true) }
}

/// Two causal convolutions with a shortcut.
struct ResidualBlock: Sendable {
  let norm1: ChannelNorm
  let conv1: CausalConvolution
  let norm2: ChannelNorm
  let conv2: CausalConvolution
  let shortcut: CausalConvolution?

  init(_ scope: ParameterScope, inputs: Int, outputs: Int) {
    norm1 = ChannelNorm(scope["norm1"], channels: inputs)
    conv1 = CausalConvolution(scope["conv1"], inputs: inputs, outputs: outputs)
    norm2 = ChannelNorm(scope["norm2"], channels: outputs)
    conv2 = CausalConvolution(scope["conv2"], inputs: outputs, outputs: outputs)
    shortcut =
      inputs == outputs
      ? nil : CausalConvolution(scope["conv_shortcut"], inputs: inputs, outputs: outputs, kernel: 1)
  }

  func callAsFunction(_ x: Tensor, _ stream: inout CausalStream) -> Tensor {
    var y = conv1(norm1.silu(x), &stream)
    y = conv2(norm2.silu(consume y), &stream)
    y += shortcut?(x, &stream) ?? x
    return y
  }
}

/// Self-attention with one head among the positions of each frame.
struct FrameAttention: Sendable {
  let norm: ChannelNorm
  let project: Convolution
  let output: Convolution

  init(_ scope: ParameterScope, channels: Int) {
    norm = ChannelNorm(scope["norm"], channels: channels, spatialAxes: 2)
    project = Convolution(scope["to_qkv"], inputs: channels, outputs: channels * 3, kernel: [1, 1])
    output = Convolution(scope["proj"], inputs: channels, outputs: channels, kernel: [1, 1])
  }

  func callAsFunction(_ x: Tensor) -> Tensor {
    let frames = Frames.flattened(x)
    let (count, channels, height, width) = frames.shape4
    let heads = project(norm(frames))  // [B * F, 3C, H, W]
      .permuted(0, 2, 3, 1).reshaped(to: count, 1, height * width, channels * 3).chunked(
        3, along: -1)
    let y = scaledDotProductAttention(queries: heads[0], keys: heads[1], values: heads[2])
      .reshaped(to: count, height, width, channels).permuted(0, 3, 1, 2)  // [B * F, C, H, W]
    return x + Frames.restored(output(y), batch: x.size(0))
  }
}

/// The bottom of either half: block, attention, block.
struct MiddleBlock: Sendable {
  let first: ResidualBlock
  let attention: FrameAttention
  let second: ResidualBlock

  init(_ scope: ParameterScope, channels: Int) {
    first = ResidualBlock(scope["resnets"][0], inputs: channels, outputs: channels)
    attention = FrameAttention(scope["attentions"][0], channels: channels)
    second = ResidualBlock(scope["resnets"][1], inputs: channels, outputs: channels)
  }

  func callAsFunction(_ x: Tensor, _ stream: inout CausalStream) -> Tensor {
    second(attention(first(x, &stream)), &stream)
  }
}
