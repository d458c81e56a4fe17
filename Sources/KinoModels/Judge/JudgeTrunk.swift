internal import KinoNN
internal import KinoTensor

/// Normalises channels, then convolves: `SiLU(norm(x)) * kernel`.
struct JudgeConvolution: Sendable {
  let gain: Tensor
  let convolution: Convolution

  /// A 3x3 kernel that steps over every `stride`-th position.
  init(_ scope: ParameterScope, inputs: Int, outputs: Int, stride: Int = 1) {
    gain = scope.parameter(
      "norm.gamma", shape: [inputs, 1, 1], initializer: .ones, precision: .exact)
    convolution = Convolution(
      scope["conv"], inputs: inputs, outputs: outputs, kernel: [3, 3], stride: [stride, stride],
      padding: [1, 1])
  }

  /// Maps `[N, inputs, H, W]` to `[N, outputs, H / stride, W / stride]`.
  func callAsFunction(_ x: Tensor) -> Tensor {
    convolution(x.channelNormalized(gain: gain, appliesSiLU: true))
  }
}

/// Looks at frames, each beside what changed since the one before: pixels to features of 16x16-pixel cells.
struct JudgeTrunk: Sendable {
  let stem: Convolution
  let atQuarter: JudgeConvolution
  let toEighth: JudgeConvolution
  let atEighth: [JudgeConvolution]
  let toSixteenth: JudgeConvolution
  let atSixteenth: [JudgeConvolution]

  init(_ scope: ParameterScope, channels: [Int]) {
    func residual(_ index: Int, _ width: Int) -> JudgeConvolution {
      JudgeConvolution(scope["residual"][index], inputs: width, outputs: width)
    }
    stem = Convolution(
      scope["stem"], inputs: 6, outputs: channels[0], kernel: [8, 8], stride: [4, 4],
      padding: [2, 2])
    atQuarter = residual(0, channels[0])
    toEighth = JudgeConvolution(
      scope["down"][0], inputs: channels[0], outputs: channels[1], stride: 2)
    atEighth = (1...2).map { residual($0, channels[1]) }
    toSixteenth = JudgeConvolution(
      scope["down"][1], inputs: channels[1], outputs: channels[2], stride: 2)
    atSixteenth = (3...4).map { residual($0, channels[2]) }
  }

  /// Maps frames `[B, 3, F, side, side]` to cells `[B, F, cells, channels]`, rows of cells from the top.
  func callAsFunction(_ pixels: Tensor) -> Tensor {
    let (batch, _, frames, height, width) = pixels.shape5
    // A slow pan moves a frame by less than a cell can tell; its pixels tell.
    let first = pixels.slice(2, 0..<1)
    let change = pixels - concatenate([first, pixels.slice(2, 0..<frames - 1)], along: 2)
    let input = concatenate([pixels, change], along: 1)
      .permuted(0, 2, 1, 3, 4).reshaped(to: batch * frames, 6, height, width)
    var x = stem(input.channelsLast())
    x = x + atQuarter(x)
    x = toEighth(x)
    for residual in atEighth { x = x + residual(x) }
    x = toSixteenth(x)
    for residual in atSixteenth { x = x + residual(x) }
    let (_, channels, rows, columns) = x.shape4
    return x.permuted(0, 2, 3, 1).reshaped(to: batch, frames, rows * columns, channels)
  }
}

/// Joins what a cell shows with how it differs from the frames before and after.
struct JudgeTimeMixer: Sendable {
  let mix: Linear
  let norm: LayerNorm
  /// `[1, 1, cells, width]`.
  let places: Tensor

  init(_ scope: ParameterScope, configuration: Judge.Configuration) {
    mix = Linear(
      scope["mix"], inputs: configuration.channels[2] * 3, outputs: configuration.width)
    norm = LayerNorm(scope["norm"], width: configuration.width, epsilon: 1e-5, isAffine: true)
    places = scope.parameter(
      "places", shape: [1, 1, configuration.cellCount, configuration.width],
      initializer: .normal(standardDeviation: 0.5))
  }

  /// Maps cells `[B, F, cells, channels]` to `[B, F, cells, width]`; at a clip's ends, and in pictures, the
  /// differences to what is not there are zero.
  func callAsFunction(_ x: Tensor) -> Tensor {
    let last = x.size(1) - 1
    let isPicture = last == 0
    let before =
      isPicture ? x : concatenate([x.slice(1, 0..<1), x.slice(1, 0..<last)], along: 1)
    let after =
      isPicture ? x : concatenate([x.slice(1, from: 1), x.slice(1, from: last)], along: 1)
    return norm(mix(concatenate([x, x - before, after - x], along: 3))) + places.cast(to: x.dtype)
  }
}
