internal import CKinoTorch

/// A weight matrix as 8-bit whole numbers, one scale per row, on the CPU: a quarter of float32's size.
///
/// The scheme is symmetric: a row's largest magnitude becomes 127. Inputs are rounded likewise, one scale
/// per row, when they are multiplied. Everything between is exact, so that results do not depend on the
/// processor or the thread count.
public struct QuantizedMatrix: Sendable {
  private let packed: Tensor
  /// Rows of the matrix.
  public let outputs: Int
  /// Columns of the matrix.
  public let inputs: Int

  /// Rounds a matrix `[outputs, inputs]`; it has at most 65,536 inputs.
  public init(_ weight: Tensor) {
    (outputs, inputs) = (weight.size(0), weight.size(1))
    packed = Tensor.make("QuantizedMatrix", [weight]) {
      kino_quantize_matrix(weight.handle.pointer, $0)
    }
  }

  /// Maps `x`, `[..., inputs]`, float32 or bfloat16, to `[..., outputs]` of the same type: `x W^T + b`, and
  /// its GELU, in the tanh form, if asked. No gradient is recorded.
  public func linear(_ x: Tensor, bias: Tensor? = nil, appliesGELU: Bool = false) -> Tensor {
    Tensor.make("QuantizedMatrix.linear", [x, packed] + (bias.map { [$0] } ?? [])) {
      kino_quantized_linear(
        x.handle.pointer, packed.handle.pointer, bias?.handle.pointer, Int64(inputs),
        Int64(outputs), appliesGELU, $0)
    }
  }
}
