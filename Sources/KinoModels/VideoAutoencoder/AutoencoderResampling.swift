internal import KinoNN
internal import KinoTensor

/// Halves height and width, and for `isTemporal` also the frames after the first.
struct Downsampler: Sendable {
  let spatial: Convolution
  let temporal: Convolution?
  let path: String

  init(_ scope: ParameterScope, channels: Int, isTemporal: Bool) {
    path = scope.path
    spatial = Convolution(
      scope["resample"][1], inputs: channels, outputs: channels, kernel: [3, 3], stride: [2, 2])
    temporal =
      isTemporal
      ? Convolution(
        scope["time_conv"], inputs: channels, outputs: channels, kernel: [3, 1, 1],
        stride: [2, 1, 1])
      : nil
  }

  func callAsFunction(_ x: Tensor, _ stream: inout CausalStream) -> Tensor {
    let padded = Frames.flattened(x).padded([(0, 1), (0, 1)])
    let y = Frames.restored(spatial(padded), batch: x.size(0))
    guard let temporal else { return y }
    defer { stream.keep(1, of: y, for: path) }
    if let last = stream.frames(before: path) { return temporal(concatenate([last, y], along: 2)) }
    // The clip's first frame passes; windows of three then start at it, two apart.
    let first = y.slice(2, 0..<1)
    return y.size(2) == 1 ? first : concatenate([first, temporal(y)], along: 2)
  }
}

/// Doubles height and width, and for `isTemporal` also the frames after the first.
struct Upsampler: Sendable {
  let spatial: Convolution
  let temporal: Convolution?
  let path: String

  init(_ scope: ParameterScope, channels: Int, outputs: Int, isTemporal: Bool) {
    path = scope.path
    spatial = Convolution(
      scope["resample"][1], inputs: channels, outputs: outputs, kernel: [3, 3], padding: [1, 1])
    temporal =
      isTemporal
      ? Convolution(scope["time_conv"], inputs: channels, outputs: channels * 2, kernel: [3, 1, 1])
      : nil
  }

  func callAsFunction(_ x: Tensor, _ stream: inout CausalStream) -> Tensor {
    let frames = Frames.flattened(doubledFrames(x, &stream))
    return Frames.restored(spatial.doubling(frames), batch: x.size(0))
  }

  /// The clip's first frame passes and is not part of the history that the others see.
  private func doubledFrames(_ x: Tensor, _ stream: inout CausalStream) -> Tensor {
    guard let temporal else { return x }
    guard stream.isAtStart else { return doubled(x, temporal, &stream) }
    let first = x.slice(2, 0..<1)
    if x.size(2) == 1 { return first }
    return concatenate([first, doubled(x.slice(2, from: 1), temporal, &stream)], along: 2)
  }

  private func doubled(_ x: Tensor, _ temporal: Convolution, _ stream: inout CausalStream) -> Tensor
  {
    let (batch, channels, frames, height, width) = x.shape5
    return temporal(stream.extend(x, by: 2, for: path))  // [B, 2C, F, H, W]
      .reshaped(to: batch, 2, channels, frames, height, width)
      .permuted(0, 2, 3, 1, 4, 5).reshaped(to: batch, channels, frames * 2, height, width)
      .channelsLast()
  }
}

/// The 2.2 form's shortcut around a downsampling block: averages of neighbouring values.
struct AveragingShortcut: Sendable {
  let inputs: Int
  let outputs: Int
  let time: Int
  let space: Int

  func callAsFunction(_ x: Tensor, isAtStart: Bool) -> Tensor {
    if time == 1 && space == 1 && inputs == outputs { return x }
    let (batch, channels, frames, height, width) = x.shape5
    let missing = isAtStart ? (time - frames % time) % time : 0
    let y = x.padded([(0, 0), (0, 0), (missing, 0)])
    let group = inputs * time * space * space / outputs
    let (steps, rows, columns) = ((frames + missing) / time, height / space, width / space)
    return
      y
      .reshaped(to: [batch, channels, steps, time, rows, space, columns, space])
      .permuted(0, 1, 3, 5, 7, 2, 4, 6)  // [B, C, time, space, space, F, H, W]
      .reshaped(to: [batch, outputs, group, steps, rows, columns])
      .mean(along: 2)
  }
}

/// The 2.2 form's shortcut around an upsampling block: repeated values.
struct RepeatingShortcut: Sendable {
  let inputs: Int
  let outputs: Int
  let time: Int
  let space: Int

  func callAsFunction(_ x: Tensor, isAtStart: Bool) -> Tensor {
    let (batch, _, frames, height, width) = x.shape5
    let y = x.repeated(outputs * time * space * space / inputs, along: 1)
      .reshaped(to: [batch, outputs, time, space, space, frames, height, width])
      .permuted(0, 1, 5, 2, 6, 3, 7, 4)  // [B, C, F, time, H, space, W, space]
      .reshaped(to: [batch, outputs, frames * time, height * space, width * space])
    return isAtStart ? y.slice(2, from: time - 1) : y
  }
}
