internal import CKinoTorch

/// A weight matrix in the order in which this processor multiplies it fastest, on the CPU; its numbers and
/// its size stay.
public struct PackedMatrix: Sendable {
  private let packed: Tensor

  /// Copies a matrix `[outputs, inputs]`, float32 or bfloat16; `nil` where packing would win nothing: on
  /// other devices, types and processors.
  public init?(_ weight: Tensor) {
    guard kino_packs_matrix(weight.handle.pointer) else { return nil }
    packed = Tensor.make("PackedMatrix", [weight]) { kino_pack_matrix(weight.handle.pointer, $0) }
  }

  /// Maps `x`, `[..., inputs]`, of the matrix's type, to `[..., outputs]`: `x W^T + b`, and its GELU, in the
  /// tanh form, if asked. No gradient is recorded.
  public func linear(_ x: Tensor, bias: Tensor? = nil, appliesGELU: Bool = false) -> Tensor {
    Tensor.make("PackedMatrix.linear", [x, packed] + (bias.map { [$0] } ?? [])) {
      kino_packed_linear(
        x.handle.pointer, packed.handle.pointer, bias?.handle.pointer, appliesGELU, $0)
    }
  }
}
