internal import CKinoTorch

extension Tensor {
  /// Matrix product over the last two axes; leading axes broadcast.
  public func matmul(_ other: Tensor) -> Tensor {
    Tensor.make("matmul", [self, other]) { kino_matmul(handle.pointer, other.handle.pointer, $0) }
  }

  /// The `[K, M]` whose product with this `[N, K]` is nearest to `[N, M]`, in squares.
  public func leastSquares(_ target: Tensor) -> Tensor {
    Tensor.make("leastSquares", [self, target]) {
      kino_least_squares(handle.pointer, target.handle.pointer, $0)
    }
  }

  /// `x W^T + b`: `[..., in]` with weight `[out, in]` to `[..., out]`.
  public func linear(weight: Tensor, bias: Tensor? = nil) -> Tensor {
    Tensor.make("linear", [self, weight]) {
      kino_linear(handle.pointer, weight.handle.pointer, bias?.handle.pointer, $0)
    }
  }

  /// Convolves `[N, C, H, W]` or `[N, C, F, H, W]` with weight `[out, C, ...]`.
  public func convolved(
    weight: Tensor, bias: Tensor? = nil, stride: [Int], padding: [Int]
  ) -> Tensor {
    if handle.isMissing { return self }
    precondition(
      stride.count == rank - 2 && padding.count == rank - 2,
      "convolved: stride \(stride), padding \(padding) for \(summary)")
    let (strides, paddings) = (stride.map(Int64.init), padding.map(Int64.init))
    return Tensor.make("convolved", [self, weight]) {
      kino_convolution(
        handle.pointer, weight.handle.pointer, bias?.handle.pointer, strides, paddings,
        Int32(strides.count), $0)
    }
  }

  /// Convolves frames `[N, C, F, H, W]` so that each sees itself and those before it, and keeps its size.
  ///
  /// - Parameters:
  ///   - weight: `[out, C, reach, h, w]`, `h` and `w` odd.
  ///   - bias: `[out]`.
  ///   - past: Frames before the first, at most `reach - 1`; before them are zeros.
  /// - Returns: `[N, out, F, H, W]`.
  public func causallyConvolved(weight: Tensor, bias: Tensor? = nil, past: Tensor? = nil) -> Tensor
  {
    Tensor.make("causallyConvolved", [self, weight] + (past.map { [$0] } ?? [])) {
      kino_causal_convolution(
        handle.pointer, past?.handle.pointer, weight.handle.pointer, bias?.handle.pointer, $0)
    }
  }

  /// Doubles height and width of `[N, C, H, W]` by repetition, then convolves with weight `[out, C, 3, 3]`.
  ///
  /// - Returns: `[N, out, 2H, 2W]`.
  public func doubledAndConvolved(weight: Tensor, bias: Tensor? = nil) -> Tensor {
    Tensor.make("doubledAndConvolved", [self, weight]) {
      kino_doubled_convolution(handle.pointer, weight.handle.pointer, bias?.handle.pointer, $0)
    }
  }

  /// Layer normalisation over the last axis.
  public func layerNormalized(weight: Tensor? = nil, bias: Tensor? = nil, epsilon: Double) -> Tensor
  {
    Tensor.make("layerNormalized", [self]) {
      kino_layer_norm(handle.pointer, weight?.handle.pointer, bias?.handle.pointer, epsilon, $0)
    }
  }

  /// Root-mean-square normalisation over the last axis.
  public func rmsNormalized(weight: Tensor? = nil, epsilon: Double) -> Tensor {
    Tensor.make("rmsNormalized", [self]) {
      kino_rms_norm(handle.pointer, weight?.handle.pointer, epsilon, $0)
    }
  }

  /// Divides by the Euclidean norm along an axis, at least `epsilon`.
  public func unitNormalized(along axis: Int, epsilon: Double = 1e-12) -> Tensor {
    Tensor.make("unitNormalized", [self]) {
      kino_normalize(handle.pointer, Int64(axis), epsilon, $0)
    }
  }

  /// Scales the channels of `[N, C, (F,) H, W]` to the norm `sqrt(C)` at every position, times a gain
  /// per channel, then applies SiLU if asked.
  ///
  /// - Parameters:
  ///   - gain: `C` numbers, in any shape that broadcasts along the channels.
  ///   - appliesSiLU: Whether `x * sigmoid(x)` follows.
  ///   - isFused: Whether the CPU kernel may be used; `false` composes plain operations.
  /// - Returns: A tensor like this one, computed in float32, with channels innermost if fused. It takes the
  ///   place of one that is given away (`consume`) if nobody else sees that.
  public consuming func channelNormalized(gain: Tensor, appliesSiLU: Bool, isFused: Bool = true)
    -> Tensor
  {
    let isGiven = isAlone()
    let x = self
    return Tensor.make("channelNormalized", [x, gain]) {
      kino_channel_norm(
        x.handle.pointer, gain.handle.pointer, appliesSiLU, isGiven, !isFused, $0)
    }
  }

  /// Layer normalisation of tokens `[B, L, D]`, scaled and shifted as a timestep says:
  /// `norm(x) * (1 + scale) + shift`.
  ///
  /// - Parameters:
  ///   - shift: Rows `[B, K, D]`, or `[1, K, D]` for all samples.
  ///   - scale: As `shift`.
  ///   - index: Which row a token takes, `[B, L]` int64; without it, its own if `K` is `L`, else the
  ///     only one.
  ///   - epsilon: Added to the variance.
  ///   - dtype: Of the result; all is computed in float32.
  ///   - isFused: Whether the CPU kernel may be used; `false` composes plain operations.
  /// - Returns: `[B, L, D]`.
  public func modulatedNorm(
    shift: Tensor, scale: Tensor, index: Tensor? = nil, epsilon: Double, dtype: DType,
    isFused: Bool = true
  ) -> Tensor {
    Tensor.make("modulatedNorm", [self, shift, scale] + (index.map { [$0] } ?? [])) {
      kino_modulated_norm(
        handle.pointer, shift.handle.pointer, scale.handle.pointer, index?.handle.pointer, epsilon,
        dtype.rawValue, !isFused, $0)
    }
  }

  /// Adds `branch * gate` to tokens `[B, L, D]`, in float32.
  ///
  /// - Parameters:
  ///   - branch: Of the same shape, of any type.
  ///   - gate: Rows as in ``modulatedNorm(shift:scale:index:epsilon:dtype:isFused:)``.
  ///   - index: Which row a token takes.
  ///   - isFused: Whether the CPU kernel may be used.
  /// - Returns: `[B, L, D]`, float32.
  public func adding(
    _ branch: Tensor, gate: Tensor, index: Tensor? = nil, isFused: Bool = true
  ) -> Tensor {
    Tensor.make("adding", [self, branch, gate] + (index.map { [$0] } ?? [])) {
      kino_gated_sum(
        handle.pointer, branch.handle.pointer, gate.handle.pointer, index?.handle.pointer, !isFused,
        $0)
    }
  }

  /// Root-mean-square normalisation of `[B, L, D]` over the last axis, then a turn of neighbouring
  /// channels by their token's angles, all in float32; the result has this tensor's type.
  ///
  /// - Parameters:
  ///   - weight: The gain `[D]`.
  ///   - epsilon: Added to the mean square.
  ///   - rotation: Cosines and sines `[L, headDimension / 2]`, the same for every head; `nil` leaves
  ///     the turn out.
  ///   - isFused: Whether the CPU kernel may be used; `false` composes plain operations.
  /// - Returns: `[B, L, D]`.
  public func rmsNormalized(
    weight: Tensor, epsilon: Double, rotation: (cosine: Tensor, sine: Tensor)?, isFused: Bool = true
  ) -> Tensor {
    Tensor.make(
      "rmsNormalized", [self, weight] + (rotation.map { [$0.cosine, $0.sine] } ?? [])
    ) {
      kino_rotary_norm(
        handle.pointer, weight.handle.pointer, rotation?.cosine.handle.pointer,
        rotation?.sine.handle.pointer, epsilon, !isFused, $0)
    }
  }

  /// Rows of this table `[entries, width]` at integer `indices`.
  public func embedded(_ indices: Tensor) -> Tensor {
    Tensor.make("embedded", [self, indices]) {
      kino_embedding(handle.pointer, indices.handle.pointer, $0)
    }
  }

  /// Repeats pixels to the given size of the trailing two or three axes.
  public func upsampledNearest(to size: [Int]) -> Tensor {
    let sizes = size.map(Int64.init)
    return Tensor.make("upsampledNearest", [self]) {
      kino_upsample_nearest(handle.pointer, sizes, Int32(sizes.count), $0)
    }
  }

  /// Averages `[N, C, H, W]` down to the given size.
  public func areaResized(height: Int, width: Int) -> Tensor {
    Tensor.make("areaResized", [self]) {
      kino_resize_area(handle.pointer, Int64(height), Int64(width), $0)
    }
  }
}

/// Softmax attention of every query to all keys.
///
/// - Parameters:
///   - queries: `[B, heads, Lq, D]`.
///   - keys: `[B, heads, Lk, D]`.
///   - values: `[B, heads, Lk, E]`.
///   - bias: Added to the logits; broadcastable to `[B, heads, Lq, Lk]`.
///   - scale: Multiplies the logits; `nil` is `1 / sqrt(D)`.
/// - Returns: `[B, heads, Lq, E]`.
public func scaledDotProductAttention(
  queries: Tensor, keys: Tensor, values: Tensor, bias: Tensor? = nil, scale: Double? = nil
) -> Tensor {
  Tensor.make("scaledDotProductAttention", [queries, keys, values]) {
    kino_attention(
      queries.handle.pointer, keys.handle.pointer, values.handle.pointer, bias?.handle.pointer,
      scale ?? 0, $0)
  }
}
