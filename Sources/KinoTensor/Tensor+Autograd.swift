internal import CKinoTorch

extension Tensor {
  /// Whether operations on this tensor are recorded.
  public var requiresGradient: Bool { kino_requires_gradient(handle.pointer) }

  /// A leaf with this tensor's storage whose gradient ``backward()`` accumulates.
  public func requiringGradient(_ value: Bool = true) -> Tensor {
    if handle.isMissing { return self }
    let leaf = detached()
    if leaf.handle.isMissing { return leaf }
    check("requiringGradient", kino_set_requires_gradient(leaf.handle.pointer, value))
    return leaf
  }

  /// The same storage, cut from the record.
  public func detached() -> Tensor {
    Tensor.make("detached", [self]) { kino_detach(handle.pointer, $0) }
  }

  /// Accumulates the gradient of this single number into every leaf it came from.
  public func backward() {
    if handle.isMissing { return }
    check("backward \(summary)", kino_backward(handle.pointer, nil))
  }

  /// Accumulates `gradient` times the Jacobian of this tensor.
  public func backward(_ gradient: Tensor) {
    if handle.isMissing || gradient.handle.isMissing { return }
    check("backward \(summary)", kino_backward(handle.pointer, gradient.handle.pointer))
  }

  /// The accumulated gradient of a leaf.
  public var gradient: Tensor? {
    if handle.isMissing { return nil }
    var pointer: OpaquePointer?
    guard check("gradient", kino_gradient(handle.pointer, &pointer)), let pointer else {
      return nil
    }
    return Tensor(TensorHandle(pointer))
  }

  /// Forgets the accumulated gradient.
  public func clearGradient() {
    if handle.isMissing { return }
    check("clearGradient", kino_clear_gradient(handle.pointer))
  }

  /// Overwrites the storage, also as seen by every other reader of it.
  public func assign(inPlace value: Tensor) {
    if handle.isMissing || value.handle.isMissing { return }
    check(
      "assign \(summary) from \(value.summary)", kino_assign(handle.pointer, value.handle.pointer))
  }

  /// Adds `other * scale` to the storage.
  public func add(inPlace other: Tensor, scale: Double = 1) {
    if handle.isMissing || other.handle.isMissing { return }
    check("add in place", kino_add_in_place(handle.pointer, other.handle.pointer, scale))
  }

  /// Multiplies the storage.
  public func scale(inPlace factor: Double) {
    if handle.isMissing { return }
    check("scale in place", kino_scale_in_place(handle.pointer, factor))
  }
}

/// Runs `body` without recording operations for the gradient.
public func withoutGradient<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = kino_gradient_enabled()
  kino_set_gradient_enabled(false)
  defer { kino_set_gradient_enabled(before) }
  return try body()
}
