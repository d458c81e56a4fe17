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

/// Runs `body` without keeping what its gradients need; the backward pass runs it again.
///
/// Memory for time: of a network, one block's intermediate results are kept at a time, for a third more
/// work.
///
/// - Parameters:
///   - inputs: What `body` is a function of, apart from leaves; gradients reach these and leaves alone.
///   - body: Work that gives the same whenever it is run.
/// - Returns: What `body` gives.
public func recomputed(
  _ inputs: [Tensor], _ body: @escaping @Sendable ([Tensor]) -> Tensor
) -> Tensor {
  let context = Unmanaged.passRetained(RecomputedBody(body))
  return Tensor.make("recomputed", inputs) {
    kino_recompute(
      { context, pointers, count, out in
        guard let context else { return }
        let inputs = (0..<Int(count)).map { Tensor(TensorHandle(pointers[$0])) }
        let result = Unmanaged<RecomputedBody>.fromOpaque(context).takeUnretainedValue().run(inputs)
        if !result.handle.isMissing { _ = kino_share(result.handle.pointer, out) }
      }, context.toOpaque(),
      { context in
        if let context { Unmanaged<RecomputedBody>.fromOpaque(context).release() }
      }, inputs.map(\.handle.pointer), Int32(inputs.count), $0)
  }
}

/// A closure that C++ holds on to.
private final class RecomputedBody: Sendable {
  let run: @Sendable ([Tensor]) -> Tensor

  init(_ run: @escaping @Sendable ([Tensor]) -> Tensor) { self.run = run }
}

/// Runs `body` without recording operations for the gradient.
public func withoutGradient<Result>(_ body: () throws -> Result) rethrows -> Result {
  let before = kino_gradient_enabled()
  kino_set_gradient_enabled(false)
  defer { kino_set_gradient_enabled(before) }
  return try body()
}
