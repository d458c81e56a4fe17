internal import CKinoTorch

extension Tensor {
  /// Views or copies the elements in another shape; one length may be -1.
  public func reshaped(to shape: [Int]) -> Tensor {
    let sizes = shape.map(Int64.init)
    return Tensor.make("reshaped to \(shape)", [self]) {
      kino_reshape(handle.pointer, sizes, Int32(sizes.count), $0)
    }
  }

  /// Views or copies the elements in another shape; one length may be -1.
  public func reshaped(to shape: Int...) -> Tensor { reshaped(to: shape) }

  /// Reorders all axes.
  public func permuted(_ axes: Int...) -> Tensor {
    let list = axes.map(Int64.init)
    return Tensor.make("permuted \(axes)", [self]) {
      kino_permute(handle.pointer, list, Int32(list.count), $0)
    }
  }

  /// Swaps two axes.
  public func transposed(_ a: Int, _ b: Int) -> Tensor {
    if handle.isMissing { return self }
    let rank = rank
    var axes = (0..<rank).map(Int64.init)
    let (first, second) = (a < 0 ? rank + a : a, b < 0 ? rank + b : b)
    precondition(
      axes.indices.contains(first) && axes.indices.contains(second),
      "transposed \(a), \(b) of \(summary)")
    axes.swapAt(first, second)
    return Tensor.make("transposed", [self]) {
      kino_permute(handle.pointer, axes, Int32(rank), $0)
    }
  }

  /// Lays the elements out in row-major order; free if they are.
  public func contiguous() -> Tensor {
    if isContiguous { return self }
    return Tensor.make("contiguous", [self]) { kino_contiguous(handle.pointer, $0) }
  }

  /// Lays `[N, C, (F,) H, W]` out with channels innermost; the shape stays.
  public func channelsLast() -> Tensor {
    Tensor.make("channelsLast", [self]) { kino_channels_last(handle.pointer, $0) }
  }

  /// Repeats axes of length one without a copy; -1 keeps a length.
  public func expanded(to shape: [Int]) -> Tensor {
    let sizes = shape.map(Int64.init)
    return Tensor.make("expanded to \(shape)", [self]) {
      kino_expand(handle.pointer, sizes, Int32(sizes.count), $0)
    }
  }

  /// Repeats axes of length one without a copy; -1 keeps a length.
  public func expanded(to shape: Int...) -> Tensor { expanded(to: shape) }

  /// Inserts an axis of length one before `axis`; -1 appends it.
  public func expandingDimension(at axis: Int) -> Tensor {
    if handle.isMissing { return self }
    var sizes = shape
    let position = axis < 0 ? sizes.count + 1 + axis : axis
    precondition(0...sizes.count ~= position, "expandingDimension at \(axis) of \(summary)")
    sizes.insert(1, at: position)
    return reshaped(to: sizes)
  }

  /// Removes an axis of length one.
  public func squeezing(_ axis: Int) -> Tensor {
    if handle.isMissing { return self }
    precondition(size(axis) == 1, "squeezing axis \(axis) of \(summary)")
    var sizes = shape
    sizes.remove(at: axis < 0 ? sizes.count + axis : axis)
    return reshaped(to: sizes)
  }

  /// A view of `range` along one axis, as far as the axis goes, every `step`-th index.
  public func slice(_ axis: Int, _ range: Range<Int>, step: Int = 1) -> Tensor {
    Tensor.make("slice axis \(axis) \(range)", [self]) {
      kino_slice(
        handle.pointer, Int64(axis), Int64(range.lowerBound), Int64(range.upperBound), Int64(step),
        $0)
    }
  }

  /// A view from `start` to the end of one axis.
  public func slice(_ axis: Int, from start: Int, step: Int = 1) -> Tensor {
    if handle.isMissing { return self }
    precondition(start <= size(axis), "slice axis \(axis) from \(start) of \(summary)")
    return slice(axis, start..<size(axis), step: step)
  }

  /// A view of one index of one axis, which is removed; negative counts from the last.
  public func select(_ axis: Int, _ index: Int) -> Tensor {
    Tensor.make("select axis \(axis) index \(index)", [self]) {
      kino_select(handle.pointer, Int64(axis), Int64(index), $0)
    }
  }

  /// Splits one axis into equal parts, which are views; the length must divide.
  public func chunked(_ parts: Int, along axis: Int) -> [Tensor] {
    if handle.isMissing { return Array(repeating: self, count: parts) }
    let length = size(axis) / parts
    precondition(
      length * parts == size(axis), "chunked: \(parts) parts of axis \(axis) of \(summary)")
    return (0..<parts).map { slice(axis, $0 * length..<($0 + 1) * length) }
  }

  /// Picks indices (int64 or int32) along one axis.
  public func gathered(_ indices: Tensor, along axis: Int) -> Tensor {
    Tensor.make("gathered", [self, indices]) {
      kino_index_select(handle.pointer, Int64(axis), indices.handle.pointer, $0)
    }
  }

  /// Reverses the order along an axis.
  public func flipped(along axis: Int) -> Tensor {
    Tensor.make("flipped", [self]) { kino_flip(handle.pointer, Int64(axis), $0) }
  }

  /// Repeats every element along an axis: `a b` becomes `a a b b`.
  public func repeated(_ count: Int, along axis: Int) -> Tensor {
    if count == 1 { return self }
    return Tensor.make("repeated", [self]) {
      kino_repeat_interleave(handle.pointer, Int64(count), Int64(axis), $0)
    }
  }

  /// How ``padded(_:mode:value:)`` fills.
  public enum PadMode: Int32, Sendable { case constant, replicate, reflect }

  /// Pads the last axes; `amounts` are (before, after), last axis first.
  public func padded(
    _ amounts: [(before: Int, after: Int)], mode: PadMode = .constant, value: Double = 0
  ) -> Tensor {
    if amounts.allSatisfy({ $0.before == 0 && $0.after == 0 }) { return self }
    let list = amounts.flatMap { [Int64($0.before), Int64($0.after)] }
    return Tensor.make("padded", [self]) {
      kino_pad(handle.pointer, list, Int32(list.count), mode.rawValue, value, $0)
    }
  }
}

/// Joins tensors along an existing axis.
public func concatenate(_ tensors: [Tensor], along axis: Int) -> Tensor {
  if tensors.count == 1 { return tensors[0] }
  let pointers = tensors.map(\.handle.pointer)
  return Tensor.make("concatenate along \(axis)", tensors) {
    kino_concatenate(pointers, Int32(pointers.count), Int64(axis), $0)
  }
}

/// Joins tensors along a new axis.
public func stack(_ tensors: [Tensor], along axis: Int = 0) -> Tensor {
  let pointers = tensors.map(\.handle.pointer)
  return Tensor.make("stack along \(axis)", tensors) {
    kino_stack(pointers, Int32(pointers.count), Int64(axis), $0)
  }
}
