internal import CKinoTorch

extension Tensor {
  private func unary(_ op: kino_unary_op, _ name: String) -> Tensor {
    Tensor.make(name, [self]) { kino_unary(Int32(op.rawValue), handle.pointer, $0) }
  }

  /// The magnitude of every element.
  public func abs() -> Tensor { unary(KINO_ABS, "abs") }

  /// The exponential of every element.
  public func exp() -> Tensor { unary(KINO_EXP, "exp") }

  /// The natural logarithm; NaN below zero.
  public func log() -> Tensor { unary(KINO_LOG, "log") }

  /// The square root; NaN below zero.
  public func squareRoot() -> Tensor { unary(KINO_SQRT, "squareRoot") }

  /// `1 / sqrt(x)`.
  public func reciprocalSquareRoot() -> Tensor { unary(KINO_RSQRT, "reciprocalSquareRoot") }

  /// `x * x`.
  public func squared() -> Tensor { unary(KINO_SQUARE, "squared") }

  /// The sine of every element in radians.
  public func sin() -> Tensor { unary(KINO_SIN, "sin") }

  /// The cosine of every element in radians.
  public func cos() -> Tensor { unary(KINO_COS, "cos") }

  /// The hyperbolic tangent.
  public func tanh() -> Tensor { unary(KINO_TANH, "tanh") }

  /// `1 / (1 + exp(-x))`.
  public func sigmoid() -> Tensor { unary(KINO_SIGMOID, "sigmoid") }

  /// `max(x, 0)`.
  public func relu() -> Tensor { unary(KINO_RELU, "relu") }

  /// `x * sigmoid(x)`.
  public func silu() -> Tensor { unary(KINO_SILU, "silu") }

  /// Gaussian error linear unit, by the error function.
  public func gelu() -> Tensor { unary(KINO_GELU, "gelu") }

  /// Gaussian error linear unit, by the tanh approximation.
  public func geluTanh() -> Tensor { unary(KINO_GELU_TANH, "geluTanh") }

  /// `1 / x`.
  public func reciprocal() -> Tensor { unary(KINO_RECIPROCAL, "reciprocal") }

  /// The next integer below, as a floating-point number.
  public func floor() -> Tensor { unary(KINO_FLOOR, "floor") }

  /// The nearest integer, halves to the even one.
  public func rounded() -> Tensor { unary(KINO_ROUND, "rounded") }

  /// `log(1 + exp(x))`.
  public func softplus() -> Tensor { unary(KINO_SOFTPLUS, "softplus") }

  /// True where an element is neither infinite nor NaN.
  public func isFinite() -> Tensor { unary(KINO_IS_FINITE, "isFinite") }

  /// Changes the sign of every element.
  public static prefix func - (x: Tensor) -> Tensor { x.unary(KINO_NEG, "negated") }

  /// The logical complement of a boolean tensor.
  public static prefix func ! (x: Tensor) -> Tensor { x.unary(KINO_LOGICAL_NOT, "not") }

  private static func binary(_ op: kino_binary_op, _ name: String, _ a: Tensor, _ b: Tensor)
    -> Tensor
  {
    make(name, [a, b]) { kino_binary(Int32(op.rawValue), a.handle.pointer, b.handle.pointer, $0) }
  }

  private static func scalar(
    _ op: kino_binary_op, _ name: String, _ x: Tensor, _ value: Double, reversed: Bool = false
  ) -> Tensor {
    make(name, [x]) {
      kino_binary_scalar(Int32(op.rawValue), x.handle.pointer, value, reversed, $0)
    }
  }

  /// Adds element by element; shapes broadcast.
  public static func + (a: Tensor, b: Tensor) -> Tensor { binary(KINO_ADD, "+", a, b) }

  /// Adds element by element, in place where nobody else sees the numbers and no gradient needs them.
  public static func += (a: inout Tensor, b: Tensor) {
    let fits = a.dtype == b.dtype && a.shape == b.shape
    if fits && a.isAlone() { a.add(inPlace: b) } else { a = a + b }
  }

  /// Subtracts element by element; shapes broadcast.
  public static func - (a: Tensor, b: Tensor) -> Tensor { binary(KINO_SUB, "-", a, b) }

  /// Multiplies element by element; shapes broadcast.
  public static func * (a: Tensor, b: Tensor) -> Tensor { binary(KINO_MUL, "*", a, b) }

  /// Divides element by element; shapes broadcast.
  public static func / (a: Tensor, b: Tensor) -> Tensor { binary(KINO_DIV, "/", a, b) }

  /// Adds a number to every element.
  public static func + (a: Tensor, b: Double) -> Tensor { scalar(KINO_ADD, "+", a, b) }

  /// Subtracts a number from every element.
  public static func - (a: Tensor, b: Double) -> Tensor { scalar(KINO_SUB, "-", a, b) }

  /// Multiplies every element by a number.
  public static func * (a: Tensor, b: Double) -> Tensor { scalar(KINO_MUL, "*", a, b) }

  /// Divides every element by a number.
  public static func / (a: Tensor, b: Double) -> Tensor { scalar(KINO_DIV, "/", a, b) }

  /// Adds every element to a number.
  public static func + (a: Double, b: Tensor) -> Tensor { scalar(KINO_ADD, "+", b, a) }

  /// Subtracts every element from a number.
  public static func - (a: Double, b: Tensor) -> Tensor {
    scalar(KINO_SUB, "-", b, a, reversed: true)
  }

  /// Multiplies a number by every element.
  public static func * (a: Double, b: Tensor) -> Tensor { scalar(KINO_MUL, "*", b, a) }

  /// Divides a number by every element.
  public static func / (a: Double, b: Tensor) -> Tensor {
    scalar(KINO_DIV, "/", b, a, reversed: true)
  }

  /// Raises every element to a power.
  public func power(_ exponent: Double) -> Tensor {
    Tensor.scalar(KINO_POW, "power", self, exponent)
  }

  /// The larger of two elements; NaN wins.
  public func maximum(_ other: Tensor) -> Tensor {
    Tensor.binary(KINO_MAXIMUM, "maximum", self, other)
  }

  /// The smaller of two elements; NaN wins.
  public func minimum(_ other: Tensor) -> Tensor {
    Tensor.binary(KINO_MINIMUM, "minimum", self, other)
  }

  /// Compares element by element: a boolean tensor; shapes broadcast.
  public func equals(_ other: Tensor) -> Tensor { Tensor.binary(KINO_EQUAL, "equals", self, other) }

  /// Tells which elements are a number, as a boolean tensor.
  public func equals(_ value: Double) -> Tensor { Tensor.scalar(KINO_EQUAL, "equals", self, value) }

  /// Tells which elements are below a number, as a boolean tensor.
  public func less(than value: Double) -> Tensor { Tensor.scalar(KINO_LESS, "less", self, value) }

  /// Tells where elements are below the other ones, as a boolean tensor.
  public func less(than other: Tensor) -> Tensor { Tensor.binary(KINO_LESS, "less", self, other) }

  /// Tells which elements are above a number, as a boolean tensor.
  public func greater(than value: Double) -> Tensor {
    Tensor.scalar(KINO_GREATER, "greater", self, value)
  }

  /// Tells where elements are above the other ones, as a boolean tensor.
  public func greater(than other: Tensor) -> Tensor {
    Tensor.binary(KINO_GREATER, "greater", self, other)
  }

  /// Limits every element to the range.
  public func clamped(to range: ClosedRange<Double>) -> Tensor {
    Tensor.make("clamped", [self]) {
      kino_clamp(handle.pointer, range.lowerBound, range.upperBound, $0)
    }
  }

  /// Takes `other` where `condition` holds, `self` elsewhere; shapes broadcast.
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
  public func copied() -> Tensor {
    Tensor.make("copied", [self]) { kino_clone(handle.pointer, $0) }
  }
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

  /// Adds the elements along the axes; without axes, all of them to one number.
  public func sum(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_SUM, "sum", axes, keepingDimensions)
  }

  /// Averages the elements along the axes; without axes, all of them.
  public func mean(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_MEAN, "mean", axes, keepingDimensions)
  }

  /// The variance along the axes, divided by the count; without axes, that of all elements.
  public func variance(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_VARIANCE, "variance", axes, keepingDimensions)
  }

  /// The largest element along the axes; without axes, of all.
  public func max(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_MAX, "max", axes, keepingDimensions)
  }

  /// The smallest element along the axes; without axes, of all.
  public func min(along axes: Int..., keepingDimensions: Bool = false) -> Tensor {
    reduce(KINO_MIN, "min", axes, keepingDimensions)
  }

  /// The index of the largest element along an axis, int64; the axis is removed.
  public func argmax(along axis: Int) -> Tensor { reduce(KINO_ARGMAX, "argmax", [axis], false) }

  /// Whether every element of a boolean tensor holds.
  public func all() -> Bool { reduce(KINO_ALL, "all", [], false).cast(to: .float32).item() == 1 }

  /// Whether any element of a boolean tensor holds.
  public func any() -> Bool { reduce(KINO_ANY, "any", [], false).cast(to: .float32).item() == 1 }

  /// `exp(x) / sum(exp(x))` along an axis.
  public func softmax(along axis: Int) -> Tensor {
    Tensor.make("softmax", [self]) { kino_softmax(handle.pointer, Int64(axis), $0) }
  }

  /// Replaces every element by the sum of those up to it along an axis.
  public func cumulativeSum(along axis: Int) -> Tensor {
    Tensor.make("cumulativeSum", [self]) { kino_cumulative_sum(handle.pointer, Int64(axis), $0) }
  }
}
