internal import CKinoTorch

/// A weight matrix that stays as its file has it, on the CPU: rows become float32 a few at a time, where they are
/// multiplied, and are forgotten.
///
/// A result does not depend on the thread count.
public struct UnpackedMatrix: Sendable {
  /// Writes some rows, `inputs` numbers each, one after another; called by several threads at once.
  public typealias Rows = @Sendable (Range<Int>, UnsafeMutablePointer<Float>) -> Void

  /// Rows of the matrix.
  public let outputs: Int
  /// Columns of the matrix.
  public let inputs: Int
  private let rows: Rows

  /// A matrix `[outputs, inputs]` whose rows are made by `rows`.
  public init(outputs: Int, inputs: Int, rows: @escaping Rows) {
    precondition(outputs > 0 && inputs > 0, "UnpackedMatrix: [\(outputs), \(inputs)]")
    (self.outputs, self.inputs, self.rows) = (outputs, inputs, rows)
  }

  /// Maps `x`, `[..., inputs]`, float32 or bfloat16, to `[..., outputs]` of the same type: `x W^T + b`, and
  /// its GELU, in the tanh form, if asked. Gradients reach `x` and the bias.
  public func linear(_ x: Tensor, bias: Tensor? = nil, appliesGELU: Bool = false) -> Tensor {
    Tensor.make("UnpackedMatrix.linear", [x] + (bias.map { [$0] } ?? [])) {
      let source = kino_unpacking(
        rows: { context, first, count, target in
          Unmanaged<RowsContext>.fromOpaque(context).takeUnretainedValue()
            .rows(Int(first)..<Int(first + count), target)
        },
        release: { Unmanaged<RowsContext>.fromOpaque($0).release() },
        context: Unmanaged.passRetained(RowsContext(rows)).toOpaque())
      return kino_unpacked_linear(
        x.handle.pointer, source, Int64(inputs), Int64(outputs), bias?.handle.pointer,
        appliesGELU, $0)
    }
  }

  /// The rows of some indices, int64 of any shape, as float32 `[..., inputs]`.
  public func embedded(_ indices: Tensor) -> Tensor {
    let flat = indices.moved(to: .cpu).reshaped(to: -1).scalars(Int64.self)
    let shape = indices.shape + [inputs]
    if flat.isEmpty { return .zeros(shape) }
    let values = [Float](unsafeUninitializedCapacity: flat.count * inputs) { buffer, count in
      for (position, index) in flat.enumerated() {
        precondition(0..<outputs ~= Int(index), "embedded: row \(index) of \(outputs)")
        if let start = buffer.baseAddress {
          rows(Int(index)..<Int(index) + 1, start + position * inputs)
        }
      }
      count = flat.count * inputs
    }
    return Tensor(values, shape: shape)
  }
}

/// Carries a closure through C.
private final class RowsContext: Sendable {
  let rows: UnpackedMatrix.Rows

  init(_ rows: @escaping UnpackedMatrix.Rows) { self.rows = rows }
}
