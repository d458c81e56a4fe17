public import KinoTensor

/// `y = x W^T + b`, computed in the type of `x`, or in 8-bit whole numbers where the scope asks for it.
public struct Linear: Sendable {
  private enum Product {
    case plain(Tensor)
    case packed(PackedMatrix)
    case quantized(QuantizedMatrix)
    case unpacked(UnpackedMatrix)
  }

  private let product: Product
  /// `[outputs]`.
  public let bias: Tensor?
  /// What is learnt, or was, while the weight stays.
  let adapters: [LowRankPair]

  /// `[outputs, inputs]`; `nil` where it is kept in another form.
  public var weight: Tensor? {
    if case .plain(let weight) = product { weight } else { nil }
  }

  /// Takes `weight` and, if it has one, `bias` from `scope`; a bias starts at zero.
  ///
  /// - Parameters:
  ///   - scope: Where they are.
  ///   - inputs: Channels of the input.
  ///   - outputs: Channels of the result.
  ///   - bias: Whether there is a bias.
  ///   - initializer: How `weight` starts.
  ///   - precision: How they may be stored.
  ///   - isLarge: Whether `weight` is kept as the scope says, ``ParameterScope/productWeights``.
  public init(
    _ scope: ParameterScope, inputs: Int, outputs: Int, bias: Bool = true,
    initializer: Initializer = .xavierUniform, precision: ParameterScope.Precision = .compute,
    isLarge: Bool = false
  ) {
    precondition(
      !isLarge || precision == .compute, "only weights of products are packed or rounded")
    func weight(_ precision: ParameterScope.Precision, isKept: Bool) -> Tensor {
      scope.parameter(
        "weight", shape: [outputs, inputs], initializer: initializer, precision: precision,
        isKept: isKept)
    }
    var adapters = [scope.lowRankPair(inputs: inputs, outputs: outputs)].compactMap(\.self)
    switch isLarge ? scope.productWeights : .plain {
    case .plain: product = .plain(weight(precision, isKept: true))
    case .packed:
      let plain = weight(.compute, isKept: false)
      if let packed = PackedMatrix(plain) {
        product = .packed(packed)
        scope.release("weight")
      } else {
        product = .plain(plain)
      }
    case .int8:
      product = .quantized(QuantizedMatrix(weight(.stored, isKept: false)))
      scope.release("weight")
    case .unpacked:
      if let stored = scope.unpackedWeight("weight", shape: [outputs, inputs]) {
        product = .unpacked(stored.matrix)
        adapters += stored.pairs
      } else {
        product = .plain(weight(precision, isKept: true))
      }
    }
    self.adapters = adapters
    self.bias =
      bias
      ? scope.parameter("bias", shape: [outputs], initializer: .zeros, precision: precision) : nil
  }

  /// Maps `[..., inputs]` to `[..., outputs]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    adapters.reduce(multiplied(x)) { $0 + $1(x) }
  }

  private func multiplied(_ x: Tensor) -> Tensor {
    switch product {
    case .plain(let weight):
      x.linear(weight: weight.cast(to: x.dtype), bias: bias?.cast(to: x.dtype))
    case .packed(let matrix): matrix.linear(x, bias: bias?.cast(to: x.dtype))
    case .quantized(let matrix): matrix.linear(x, bias: bias)
    case .unpacked(let matrix): matrix.linear(x, bias: bias)
    }
  }

  /// Maps `[..., inputs]` to the GELU of `[..., outputs]`, in the tanh form.
  public func gelu(_ x: Tensor) -> Tensor {
    guard adapters.isEmpty else { return self(x).geluTanh() }
    return switch product {
    case .plain: self(x).geluTanh()
    case .packed(let matrix): matrix.linear(x, bias: bias?.cast(to: x.dtype), appliesGELU: true)
    case .quantized(let matrix): matrix.linear(x, bias: bias, appliesGELU: true)
    case .unpacked(let matrix): matrix.linear(x, bias: bias, appliesGELU: true)
    }
  }
}

/// A convolution over the two or three trailing axes, computed in the type of `x`.
public struct Convolution: Sendable {
  /// `[outputs, inputs, kernel...]`.
  public let weight: Tensor
  /// `[outputs]`.
  public let bias: Tensor?
  /// Steps between windows, per axis.
  public let stride: [Int]
  /// Zeros on either side, per axis.
  public let padding: [Int]

  /// Takes `weight` and, if it has one, `bias` from `scope`.
  ///
  /// By default the stride is 1, there is no padding, and both start uniform within
  /// `±1 / sqrt(inputs * kernel)`.
  public init(
    _ scope: ParameterScope, inputs: Int, outputs: Int, kernel: [Int], stride: [Int]? = nil,
    padding: [Int]? = nil, bias: Bool = true, initializer: Initializer? = nil
  ) {
    let fanIn = inputs * kernel.reduce(1, *)
    weight = scope.parameter(
      "weight", shape: [outputs, inputs] + kernel, initializer: initializer ?? .fanInUniform(fanIn))
    self.bias =
      bias
      ? scope.parameter(
        "bias", shape: [outputs],
        initializer: initializer == .zeros ? .zeros : .fanInUniform(fanIn)) : nil
    self.stride = stride ?? kernel.map { _ in 1 }
    self.padding = padding ?? kernel.map { _ in 0 }
  }

  /// Maps `[N, inputs, ...]` to `[N, outputs, ...]`.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.convolved(
      weight: weight.cast(to: x.dtype), bias: bias?.cast(to: x.dtype), stride: stride,
      padding: padding)
  }

  /// Maps pictures `[N, inputs, H, W]`, doubled by repetition, to `[N, outputs, 2H, 2W]`: for kernels of 3x3
  /// with one zero around.
  public func doubling(_ x: Tensor) -> Tensor {
    precondition(stride == [1, 1] && padding == [1, 1], "doubling: \(stride), \(padding)")
    return x.doubledAndConvolved(weight: weight.cast(to: x.dtype), bias: bias?.cast(to: x.dtype))
  }
}

/// Layer normalisation over the last axis, in float32; the result has the type of `x`.
public struct LayerNorm: Sendable {
  /// The gain `[width]`.
  public let weight: Tensor?
  /// Added last, `[width]`.
  public let bias: Tensor?
  /// Added to the variance.
  public let epsilon: Double

  /// Takes `weight` and `bias` from `scope` if the norm `isAffine`: they start at one and zero.
  public init(_ scope: ParameterScope, width: Int, epsilon: Double, isAffine: Bool) {
    self.epsilon = epsilon
    weight =
      isAffine
      ? scope.parameter("weight", shape: [width], initializer: .ones, precision: .exact) : nil
    bias =
      isAffine
      ? scope.parameter("bias", shape: [width], initializer: .zeros, precision: .exact) : nil
  }

  /// Maps `[..., width]` to the same shape and type.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    x.cast(to: .float32).layerNormalized(weight: weight, bias: bias, epsilon: epsilon)
      .cast(to: x.dtype)
  }

  /// Maps tokens `[B, L, width]`, float32, to another type.
  public func callAsFunction(_ x: Tensor, as dtype: DType) -> Tensor {
    let width = x.size(-1)
    let zeros = Tensor.zeros([1, 1, width]).moved(to: x.device)
    return x.modulatedNorm(
      shift: bias?.reshaped(to: 1, 1, width) ?? zeros,
      scale: weight.map { ($0 - 1).reshaped(to: 1, 1, width) } ?? zeros, epsilon: epsilon,
      dtype: dtype)
  }
}

/// Root-mean-square normalisation over the last axis, in float32; the result has the type of `x`.
public struct RMSNorm: Sendable {
  /// The gain `[width]`.
  public let weight: Tensor
  /// Added to the mean square.
  public let epsilon: Double

  /// Takes `weight` from `scope`; it starts at one.
  public init(_ scope: ParameterScope, width: Int, epsilon: Double) {
    self.epsilon = epsilon
    weight = scope.parameter("weight", shape: [width], initializer: .ones, precision: .exact)
  }

  /// Maps `[..., width]` to the same shape and type.
  public func callAsFunction(_ x: Tensor) -> Tensor {
    if x.rank == 3 { return x.rmsNormalized(weight: weight, epsilon: epsilon, rotation: nil) }
    return x.cast(to: .float32).rmsNormalized(weight: weight, epsilon: epsilon).cast(to: x.dtype)
  }
}

/// A table of rows picked by integers.
public struct Embedding: Sendable {
  private enum Table {
    case plain(Tensor)
    case unpacked(UnpackedMatrix)
  }

  private let table: Table

  /// Takes `weight`, `[entries, width]`, from `scope`.
  public init(
    _ scope: ParameterScope, entries: Int, width: Int,
    initializer: Initializer = .normal(standardDeviation: 1)
  ) {
    let shape = [entries, width]
    if let stored = scope.unpackedWeight("weight", shape: shape, allowsPairs: false) {
      table = .unpacked(stored.matrix)
    } else {
      table = .plain(scope.parameter("weight", shape: shape, initializer: initializer))
    }
  }

  /// Maps integers of any shape to `[..., width]`.
  public func callAsFunction(_ indices: Tensor) -> Tensor {
    switch table {
    case .plain(let weight): weight.embedded(indices)
    case .unpacked(let rows): rows.embedded(indices)
    }
  }
}
