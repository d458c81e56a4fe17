import KinoTensor
import KinoTestSupport
import Testing

/// Products with weights that are made row by row, against plain ones.
@Suite(.serialized) struct UnpackedMatrixTests {
  private func operands(
    rows: Int, inputs: Int, outputs: Int
  ) -> (x: Tensor, weight: Tensor, bias: Tensor, matrix: UnpackedMatrix) {
    var source = RandomSource(seed: 5)
    let weight = source.normal([outputs, inputs])
    let values = weight.floats()
    let matrix = UnpackedMatrix(outputs: outputs, inputs: inputs) { rows, target in
      for index in 0..<rows.count * inputs {
        target[index] = values[rows.lowerBound * inputs + index]
      }
    }
    return (source.normal([rows, inputs]), weight, source.normal([outputs]), matrix)
  }

  @Test(arguments: [(1, 1, 1), (3, 40, 191), (33, 64, 192), (40, 130, 500)])
  func `A product is that of the plain matrix`(rows: Int, inputs: Int, outputs: Int) {
    let (x, weight, bias, matrix) = operands(rows: rows, inputs: inputs, outputs: outputs)
    let plain = x.linear(weight: weight, bias: bias)
    expectClose(matrix.linear(x, bias: bias), plain, tolerance: 1e-6)
    expectClose(matrix.linear(x), plain - bias, tolerance: 1e-5)
    expectClose(
      matrix.linear(x, bias: bias, appliesGELU: true), plain.geluTanh(), tolerance: 1e-6)
    let stacked = matrix.linear(x.expandingDimension(at: 0), bias: bias)
    #expect(stacked.shape == [1, rows, outputs])
    let narrow = matrix.linear(x.cast(to: .bfloat16), bias: bias)
    #expect(narrow.dtype == .bfloat16)
    expectClose(narrow.cast(to: .float32), plain, tolerance: 0.02)
  }

  @Test func `A product does not depend on the thread count`() {
    let (x, _, bias, matrix) = operands(rows: 70, inputs: 300, outputs: 1000)
    let results = [1, 2, 5].map { threads in
      withThreads(threads) { matrix.linear(x, bias: bias).floats() }
    }
    #expect(results[0] == results[1] && results[0] == results[2])
  }

  @Test func `Gradients are those of the plain matrix`() {
    let (x, weight, bias, matrix) = operands(rows: 20, inputs: 96, outputs: 450)
    func gradients(_ product: (Tensor, Tensor) -> Tensor) -> [Tensor?] {
      let leaves = [x, bias].map { $0.copied().requiringGradient() }
      product(leaves[0], leaves[1]).squared().sum().backward()
      return leaves.map(\.gradient)
    }
    let own = gradients { matrix.linear($0, bias: $1, appliesGELU: true) }
    let plain = gradients { $0.linear(weight: weight, bias: $1).geluTanh() }
    for (own, plain) in zip(own, plain) {
      guard let own, let plain else {
        Issue.record("no gradient")
        continue
      }
      expectClose(own, plain, tolerance: 1e-5)
    }
  }

  @Test func `Rows are picked by their indices`() {
    let (_, weight, _, matrix) = operands(rows: 1, inputs: 7, outputs: 9)
    let indices = Tensor([Int64(8), 0, 3, 3], shape: [2, 2])
    expectClose(matrix.embedded(indices), weight.embedded(indices), tolerance: 0)
    #expect(matrix.embedded(Tensor([Int64](), shape: [0])).shape == [0, 7])
  }
}
