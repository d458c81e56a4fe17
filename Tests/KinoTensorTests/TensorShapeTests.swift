import KinoTensor
import KinoTestSupport
import Testing

struct TensorShapeTests {
  private let x = Tensor((0..<24).map(Float.init), shape: [2, 3, 4])

  @Test func `Reshaping keeps the order of the elements`() {
    #expect(x.reshaped(to: 4, -1).shape == [4, 6] && x.reshaped(to: 4, -1).floats() == x.floats())
    #expect(x.transposed(1, 2).reshaped(to: 24).floats().prefix(4) == [0, 4, 8, 1])
  }

  @Test func `Axes are reordered, added and removed`() {
    #expect(x.permuted(2, 0, 1).shape == [4, 2, 3])
    #expect(x.permuted(2, 0, 1).select(0, 1).floats() == [1, 5, 9, 13, 17, 21])
    #expect(x.transposed(0, -1).shape == [4, 3, 2])
    #expect(x.expandingDimension(at: 1).shape == [2, 1, 3, 4])
    #expect(x.expandingDimension(at: -1).shape == [2, 3, 4, 1])
    #expect(x.expandingDimension(at: 1).squeezing(1).shape == x.shape)
    #expect(x.expandingDimension(at: 0).squeezing(-4).shape == x.shape)
  }

  @Test func `Slices are views of a range`() {
    #expect(x.slice(1, 1..<3).shape == [2, 2, 4])
    #expect(x.slice(2, 0..<4, step: 2).floats().prefix(4) == [0, 2, 4, 6])
    #expect(x.slice(-1, from: 3).floats() == [3, 7, 11, 15, 19, 23])
    #expect(x.slice(0, from: 2).shape == [0, 3, 4])
    #expect(x.select(0, -1).select(0, 0).floats() == [12, 13, 14, 15])
    let copy = x.copied()
    copy.slice(2, 0..<1).assign(inPlace: .zeros([2, 3, 1]))
    #expect(copy.floats().prefix(5) == [0, 1, 2, 3, 0] && x.floats()[4] == 4)
  }

  @Test func `Chunks joined again are the whole`() {
    let parts = x.chunked(2, along: -1)
    #expect(parts.map(\.shape) == [[2, 3, 2], [2, 3, 2]])
    #expect(concatenate(parts, along: 2).floats() == x.floats())
    #expect(stack(parts, along: 0).shape == [2, 2, 3, 2])
    #expect(stack(parts, along: 3).select(3, 1).floats() == parts[1].floats())
  }

  @Test func `Elements are picked, reversed and repeated`() {
    let row = Tensor([Float(1), 2, 3], shape: [1, 3])
    #expect(row.gathered(Tensor([Int64(2), 0, 2]), along: 1).floats() == [3, 1, 3])
    #expect(row.gathered(Tensor([Int32(1)]), along: 1).floats() == [2])
    #expect(row.flipped(along: 1).floats() == [3, 2, 1])
    #expect(row.repeated(2, along: 1).floats() == [1, 1, 2, 2, 3, 3])
    #expect(row.repeated(2, along: 0).shape == [2, 3])
    #expect(row.expanded(to: 2, -1).floats() == [1, 2, 3, 1, 2, 3])
  }

  @Test func `Padding starts at the last axis`() {
    let row = Tensor([Float(1), 2, 3], shape: [1, 1, 3])
    #expect(row.padded([(1, 2)]).floats() == [0, 1, 2, 3, 0, 0])
    #expect(row.padded([(1, 0)], value: 9).floats() == [9, 1, 2, 3])
    #expect(row.padded([(2, 1)], mode: .replicate).floats() == [1, 1, 1, 2, 3, 3])
    #expect(row.padded([(2, 1)], mode: .reflect).floats() == [3, 2, 1, 2, 3, 2])
    #expect(row.padded([(0, 0), (1, 0)]).floats() == [0, 0, 0, 1, 2, 3])
  }

  @Test func `Channels last changes the layout and nothing else`() {
    let video = Tensor((0..<48).map(Float.init), shape: [1, 3, 2, 2, 4])
    #expect(video.channelsLast().floats() == video.floats())
    #expect(!video.channelsLast().isContiguous && video.channelsLast().shape == video.shape)
    // Rows of channels lie together, so that this order is free of gaps.
    #expect(video.channelsLast().permuted(0, 2, 3, 4, 1).isContiguous)
  }

  @Test func `Resizing repeats or averages pixels`() {
    let picture = Tensor([Float(1), 2, 3, 4], shape: [1, 1, 2, 2])
    #expect(
      picture.upsampledNearest(to: [4, 2]).floats() == [1, 2, 1, 2, 3, 4, 3, 4])
    #expect(picture.areaResized(height: 1, width: 1).item() == 2.5)
    #expect(picture.areaResized(height: 1, width: 2).floats() == [2, 3])
    let clip = picture.expandingDimension(at: 2)
    #expect(clip.upsampledNearest(to: [2, 2, 2]).floats() == [1, 2, 3, 4, 1, 2, 3, 4])
  }

  @Test func `Products of matrices broadcast over leading axes`() {
    let a = Tensor([Float(1), 2, 3, 4], shape: [2, 2])
    let b = Tensor([Float(0), 1, 1, 0, 2, 0, 0, 2], shape: [2, 2, 2])
    #expect(a.matmul(b).floats() == [2, 1, 4, 3, 2, 4, 6, 8])
    #expect(
      a.linear(weight: Tensor([Float(1), -1], shape: [1, 2]), bias: Tensor([Float(10)])).floats()
        == [9, 9])
  }

  @Test func `A convolution sums the window below the kernel`() {
    let x = Tensor((1...9).map(Float.init), shape: [1, 1, 3, 3])
    let box = Tensor.ones([1, 1, 2, 2])
    let same = x.convolved(weight: box, stride: [1, 1], padding: [0, 0])
    #expect(same.floats() == [12, 16, 24, 28])
    let strided = x.convolved(
      weight: box, bias: Tensor([Float(1)]), stride: [2, 2], padding: [1, 1])
    #expect(strided.floats() == [2, 6, 12, 29])
    let clip = x.expandingDimension(at: 2)
    let deep = clip.convolved(
      weight: .ones([1, 1, 1, 2, 2]), stride: [1, 1, 1], padding: [0, 0, 0])
    #expect(deep.floats() == same.floats())
  }

  @Test func `Attention weighs values by the similarity of keys, under a bias`() {
    let queries = Tensor([Float(1), 0], shape: [1, 1, 1, 2])
    let keys = Tensor([Float(1), 0, 0, 1], shape: [1, 1, 2, 2])
    let values = Tensor([Float(1), 5], shape: [1, 1, 2, 1])
    let found = scaledDotProductAttention(queries: queries, keys: keys, values: values, scale: 2)
    let weights = Tensor([Float(2), 0]).softmax(along: 0)
    #expect(abs(found.item() - (weights * Tensor([Float(1), 5])).sum().item()) < 1e-6)
    let bias = Tensor([-Float.infinity, 0], shape: [1, 1, 1, 2])
    let masked = scaledDotProductAttention(
      queries: queries, keys: keys, values: values, bias: bias)
    #expect(masked.item() == 5)
  }

  @Test func `Norms give rows of unit variance, unit mean square or unit length`() {
    var source = RandomSource(seed: 3)
    let x = source.normal([5, 8]) * 3 + 1
    let layer = x.layerNormalized(epsilon: 1e-9)
    expectClose(layer.mean(along: 1), .zeros([5]), tolerance: 1e-5)
    expectClose(layer.variance(along: 1), .ones([5]), tolerance: 1e-5)
    let weight = source.normal([8])
    expectClose(
      x.layerNormalized(weight: weight, bias: weight, epsilon: 1e-9), layer * weight + weight,
      tolerance: 1e-6)
    expectClose(
      x.rmsNormalized(weight: weight, epsilon: 0),
      x / x.squared().mean(along: 1, keepingDimensions: true).squareRoot() * weight,
      tolerance: 1e-6)
    expectClose(
      x.unitNormalized(along: 1).squared().sum(along: 1), .ones([5]), tolerance: 1e-6)
  }

  @Test func `Rows of a table are picked by integers of any shape`() {
    let table = Tensor((0..<6).map(Float.init), shape: [3, 2])
    let rows = table.embedded(Tensor([Int64(2), 0], shape: [1, 2]))
    #expect(rows.shape == [1, 2, 2] && rows.floats() == [4, 5, 0, 1])
  }
}
