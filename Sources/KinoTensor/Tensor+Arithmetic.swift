internal import CKinoTorch

extension Tensor {
  private func unary(_ op: kino_unary_op, _ name: String) -> Tensor {
    Tensor.make(name, [self]) { kino_unary(Int32(op.rawValue), handle.pointer, $0) }
  }

  public func abs() -> Tensor { unary(KINO_ABS, "abs") }
  public func exp() -> Tensor { unary(KINO_EXP, "exp") }
  public func log() -> Tensor { unary(KINO_LOG, "log") }
  public func squareRoot() -> Tensor { unary(KINO_SQRT, "squareRoot") }
  public func reciprocalSquareRoot() -> Tensor { unary(KINO_RSQRT, "reciprocalSquareRoot") }
  public func squared() -> Tensor { unary(KINO_SQUARE, "squared") }
  public func sin() -> Tensor { unary(KINO_SIN, "sin") }
  public func cos() -> Tensor { unary(KINO_COS, "cos") }
  public func tanh() -> Tensor { unary(KINO_TANH, "tanh") }
  public func sigmoid() -> Tensor { unary(KINO_SIGMOID, "sigmoid") }
  public func relu() -> Tensor { unary(KINO_RELU, "relu") }
  /// `x * sigmoid(x)`.
  public func silu() -> Tensor { unary(KINO_SILU, "silu") }
  /// Gaussian error linear unit, by the error function.
  public func gelu() -> Tensor { unary(KINO_GELU, "gelu") }
  /// Gaussian error linear unit, by the tanh approximation.
  public func geluTanh() -> Tensor { unary(KINO_GELU_TANH, "geluTanh") }
  public func reciprocal() -> Tensor { unary(KINO_RECIPROCAL, "reciprocal") }
  public func floor() -> Tensor { unary(KINO_FLOOR, "floor") }
  public func rounded() -> Tensor { unary(KINO_ROUND, "rounded") }
  /// `log(1 + exp(x))`.
  public func softplus() -> Tensor { unary(KINO_SOFTPLUS, "softplus") }
  /// True where an element is neither infinite nor NaN.
  public func isFinite() -> Tensor { unary(KINO_IS_FINITE, "isFinite") }
  public static prefix func - (x: Tensor) -> Tensor { x.unary(KINO_NEG, "negated") }
  /// The logical complement of a boolean tensor.
  public static prefix func ! (x: Tensor) -> Tensor { x.unary(KINO_LOGICAL_NOT, "not") }

  private static func binary(_ op: kino_binary_op, _ name: String, _ a: Tensor, _ b: Tensor) -> Tensor {
    make(name, [a, b]) { kino_binary(Int32(op.rawValue), a.handle.pointer, b.handle.pointer, $0) }
  }

  private static func scalar(
    _ op: kino_binary_op, _ name: String, _ x: Tensor, _ value: Double, reversed: Bool = false
  ) -> Tensor {
    make(name, [x]) {
      kino_binary_scalar(Int32(op.rawValue), x.handle.pointer, value, reversed, $0)
    }
  }

  public static func + (a: Tensor, b: Tensor) -> Tensor { binary(KINO_ADD, "+", a, b) }
  public static func - (a: Tensor, b: Tensor) -> Tensor { binary(KINO_SUB, "-", a, b) }
  public static func * (a: Tensor, b: Tensor) -> Tensor { binary(KINO_MUL, "*", a, b) }
  public static func / (a: Tensor, b: Tensor) -> Tensor { binary(KINO_DIV, "/", a, b) }
  public static func + (a: Tensor, b: Double) -> Tensor { scalar(KINO_ADD, "+", a, b) }
  public static func - (a: Tensor, b: Double) -> Tensor { scalar(KINO_SUB, "-", a, b) }
  public static func * (a: Tensor, b: Double) -> Tensor { scalar(KINO_MUL, "*", a, b) }
  public static func / (a: Tensor, b: Double) -> Tensor { scalar(KINO_DIV, "/", a, b) }
  public static func + (a: Double, b: Tensor) -> Tensor { scalar(KINO_ADD, "+", b, a) }
  public static func - (a: Double, b: Tensor) -> Tensor { scalar(KINO_SUB, "-", b, a, reversed: true) }
  public static func * (a: Double, b: Tensor) -> Tensor { scalar(KINO_MUL, "*", b, a) }
  public static func / (a: Double, b: Tensor) -> Tensor { scalar(KINO_DIV, "/", b, a, reversed: true) }

  public func power(_ exponent: Double) -> Tensor { Tensor.scalar(KINO_POW, "power", self, exponent) }
  public func maximum(_ other: Tensor) -> Tensor { Tensor.binary(KINO_MAXIMUM, "maximum", self, other) }
  public func minimum(_ other: Tensor) -> Tensor { Tensor.binary(KINO_MINIMUM, "minimum", self, other) }
  /// Element-wise comparisons give boolean tensors.
  public func equals(_ other: Tensor) -> Tensor { Tensor.binary(KINO_EQUAL, "equals", self, other) }
  public func equals(_ value: Double) -> Tensor { Tensor.scalar(KINO_EQUAL, "equals", self, value) }
  public func less(than value: Double) -> Tensor { Tensor.scalar(KINO_LESS, "less", self, value) }
  public func less(than other: Tensor) -> Tensor { Tensor.binary(KINO_LESS, "less", self, other) }
  public func greater(than value: Double) -> Tensor { Tensor.scalar(KINO_GREATER, "greater", self, value) }
  public func greater(than other: Tensor) -> Tensor { Tensor.binary(KINO_GREATER, "greater", self, other) }

  /// Limits every element to the range.
  public func clamped(to range: ClosedRange<Double>) -> Tensor {
    Tensor.make("clamped", [self]) {
      kino_clamp(handle.pointer, range.lowerBound, range.upperBound, $0)
    }
  }

  /// Takes `self` where `condition` holds, `other` elsewhere; shapes broadcast.
  public func replacing(with other: Tensor, where condition: Tensor) -> Tensor {
    Tensor.make("replacing", [condition, other, self]) {
      kino_where(condition.handle.pointer, other.handle.pointer, handle.pointer, $0)
    }
  }

  /// Converts the elements; free if they are of that type already.
  public func cast(to dtype: DType) -> Tensor {
    if self.dtype == dtype { return self }
    return Tensor.make("cast", [self]) { kino_cast(handle.pointer, dtype.rawValue, $0) }
  }

  /// Copies to another device; free if it is there already.
  public func moved(to device: Device) -> Tensor {
    if self.device == device { return self }
    return Tensor.make("moved", [self]) { kino_move(handle.pointer, device.raw, $0) }
  }

  /// Copies the storage.
  public func copied() -> Tensor { Tensor.make("copied", [self]) { kino_clone(handle.pointer, $0) } }
}

// MARK: - Reductions

extension Tensor {
  private func reduce(
    _ op: kino_reduction, _ name: String, _ axes: [Int], _ keeping: Bool
  ) -> Tensor {
    let list = axes.map(Int64.init)
    return Tensor.make(name, [self]) {
      kino_reduce(Int32(op.rawValue), handle.pointer, list, Int32(list.count), keeping, $0)
    }
  }

  /// Without axes, reduces over all of them.
  public func sum(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_SUM, "sum", axes, keepingDimensions)
  }
  public func mean(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_MEAN, "mean", axes, keepingDimensions)
  }
  /// The biased variance: divided by the count.
  public func variance(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_VARIANCE, "variance", axes, keepingDimensions)
  }
  public func max(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_MAX, "max", axes, keepingDimensions)
  }
  public func min(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_MIN, "min", axes, keepingDimensions)
  }
  public func argmax(along axis: Int) -> Tensor { reduce(KINO_ARGMAX, "argmax", [axis], false) }
  /// Whether every element of a boolean tensor holds.
  public func all() -> Bool { reduce(KINO_ALL, "all", [], false).cast(to: .float32).item() == 1 }
  /// Whether any element of a boolean tensor holds.
  public func any() -> Bool { reduce(KINO_ANY, "any", [], false).cast(to: .float32).item() == 1 }

  public func softmax(along axis: Int) -> Tensor {
    Tensor.make("softmax", [self]) { kino_softmax(handle.pointer, Int64(axis), $0) }
  }
  public func cumulativeSum(along axis: Int) -> Tensor {
    Tensor.make("cumulativeSum", [self]) { kino_cumulative_sum(handle.pointer, Int64(axis), $0) }
  }
}
