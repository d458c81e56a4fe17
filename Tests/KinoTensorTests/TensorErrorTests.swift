import KinoTensor
import Testing

struct TensorErrorTests {
  /// Fails inside `withTensorErrors`: the shapes do not broadcast.
  private func failed() -> Tensor { Tensor.ones([2, 3]) + Tensor.ones([4]) }

  private func failure(of body: () throws -> Void) throws -> TensorError {
    try #require(throws: TensorError.self) { try withTensorErrors(body) }
  }

  @Test func `A shape mismatch names the operation, the shapes and LibTorch's words`() throws {
    let error = try failure { _ = failed() }
    #expect(error.code == .failed)
    #expect(error.operation == "+ [2, 3] float32, [4] float32")
    #expect(error.description.contains("size of tensor"))
  }

  @Test func `An absurd size is reported as too little memory`() throws {
    let error = try failure { _ = (Tensor.zeros([1 << 50]) + 1).mean() }
    #expect(error.code == .outOfMemory)
    #expect(error.description.hasPrefix("not enough memory for full [1125899906842624]"))
  }

  @Test func `Shape operations go on without their value`() throws {
    let error = try failure {
      let x = failed()
      _ = x.transposed(1, 2).expandingDimension(at: 3).squeezing(2).permuted(0, 2, 1)
      _ = x.chunked(3, along: -1).map { $0.slice(4, 3..<9).slice(1, from: 7) }
      _ = concatenate([x.select(2, 4), x.padded([(1, 2)])], along: 3)
      _ = stack([x.expanded(to: 4, -1), x.reshaped(to: [5, -1])], along: 2).flipped(along: 6)
      _ = x.repeated(3, along: 5).gathered(Tensor([Int64(4)]), along: 2).contiguous().channelsLast()
      let (_, _, frames, height, width) = x.shape5
      #expect([frames, height, width] == [1, 1, 1])
    }
    #expect(error.operation.hasPrefix("+"))
  }

  @Test func `Arithmetic and networks go on without their value`() throws {
    let error = try failure {
      let x = failed()
      let gain = Tensor.ones([16, 1, 1])
      _ = x.cast(to: .bfloat16).moved(to: .cpu).copied().detached().exp() / 2
      _ = x.softmax(along: 3).mean(along: 1, 2).argmax(along: 4).clamped(to: 0...1)
      _ = x.convolved(weight: .ones([8, 4, 3, 3]), stride: [1, 1], padding: [1, 1])
        .channelNormalized(gain: gain, appliesSiLU: true).upsampledNearest(to: [8, 8])
      _ = x.linear(weight: .ones([4, 9]), bias: x).layerNormalized(weight: x, epsilon: 1e-5)
      _ = scaledDotProductAttention(queries: x, keys: x, values: x, bias: x).matmul(x)
      _ = x.rmsNormalized(epsilon: 1e-5).embedded(x).areaResized(height: 4, width: 4)
    }
    #expect(error.operation.hasPrefix("+"))
  }

  @Test func `Reading a missing value gives nothing, or not a number`() throws {
    _ = try failure {
      let x = failed()
      #expect(x.scalars().isEmpty && x.floats().isEmpty && x.item().isNaN)
      #expect(x.withUnsafeBytes(\.count) == 0)
      #expect(!x.isFinite().all() && !x.any())
    }
  }

  @Test func `Training steps leave a missing value alone`() throws {
    _ = try failure {
      let (x, y) = (failed(), Tensor.ones([3]))
      let leaf = x.requiringGradient()
      #expect(!leaf.requiresGradient && leaf.gradient == nil)
      x.sum().backward()
      x.backward(y)
      x.clearGradient()
      x.assign(inPlace: y)
      y.add(inPlace: x)
      x.scale(inPlace: 2)
      adamW(
        parameters: [x], first: [y], second: [y], decays: [true],
        options: AdamWOptions(learningRate: 1), gradientScale: 1, step: 1)
      interpolate([y], towards: [x], weight: 0.5)
      #expect(gradientNorm(of: [x]).isNaN)
      #expect(y.floats() == [1, 1, 1])
    }
    // The stand-in is the same for all failures, and is as it was.
    _ = try failure { #expect(failed().item().isNaN && !failed().requiresGradient) }
  }

  @Test func `The first of several failures is the one thrown`() throws {
    let error = try failure {
      _ = Tensor.ones([2]).reshaped(to: 3)
      _ = Tensor.zeros([1 << 50])
    }
    #expect(error.operation.hasPrefix("reshaped to [3]"))
  }

  @Test func `A failed operation goes before what the body throws, which passes otherwise`() throws
  {
    struct Other: Error {}
    #expect(throws: Other.self) { try withTensorErrors { throw Other() } }
    _ = try failure {
      _ = failed()
      throw Other()
    }
    #expect(try withTensorErrors { (Tensor.ones([2]) * 3).floats() } == [3, 3])
  }

  @Test func `An inner scope keeps its failure from the outer one`() throws {
    let sum = try withTensorErrors {
      let inner = try failure { _ = failed() }
      #expect(inner.code == .failed)
      return Tensor.ones([2]).sum().item()
    }
    #expect(sum == 2)
    let outer = try failure {
      _ = Tensor.ones([2]).reshaped(to: 3)
      _ = try failure { _ = failed() }
    }
    #expect(outer.operation.hasPrefix("reshaped"))
  }

  @Test func `Each of many tasks meets its own failure`() async throws {
    let lengths = try await withThrowingTaskGroup(of: (Int, String?).self) { group in
      for length in 2..<40 {
        group.addTask {
          do {
            // Even lengths fail.
            let other = length.isMultiple(of: 2) ? length + 1 : length
            try withTensorErrors { _ = Tensor.ones([length]) + Tensor.ones([other]) }
            return (length, nil)
          } catch let error as TensorError {
            return (length, error.operation)
          }
        }
      }
      return try await group.reduce(into: [:]) { $0[$1.0] = .some($1.1) }
    }
    for (length, operation) in lengths {
      let expected =
        length.isMultiple(of: 2) ? "+ [\(length)] float32, [\(length + 1)] float32" : nil
      #expect(operation == expected)
    }
  }

  @Test func `A task started inside a scope belongs to it`() async throws {
    let task = try withTensorErrors {
      Task { withoutGradient { (Tensor.ones([2, 3]) + Tensor.ones([4])).item().isNaN } }
    }
    #expect(await task.value)
  }

  @Test func `Outside a scope a failure traps with operation and shapes`() async throws {
    let result = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor.ones([2, 3]) + Tensor.ones([4])
    }
    let text = String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
    #expect(text.contains("+ [2, 3] float32, [4] float32 failed"))
  }

  @Test func `Every tensor is freed, those of failed expressions and training steps too`() async {
    await #expect(processExitsWith: .success) {
      func work() {
        try? withTensorErrors { _ = (Tensor.ones([2, 3]) + Tensor.ones([4])).transposed(0, 1) }
        var source = RandomSource(seed: 1)
        let weight = source.normal([4, 4]).requiringGradient()
        let (first, second) = ([Tensor.zeros([4, 4])], [Tensor.zeros([4, 4])])
        for step in 1...3 {
          let y = source.normal([2, 4, 3, 3]).channelsLast()
            .convolved(
              weight: weight.reshaped(to: 4, 4, 1, 1), stride: [1, 1], padding: [0, 0]
            )
            .channelNormalized(gain: .ones([4, 1, 1]), appliesSiLU: true)
          y.squared().mean().backward()
          #expect(gradientNorm(of: [weight]) > 0)
          adamW(
            parameters: [weight], first: first, second: second, decays: [true],
            options: AdamWOptions(learningRate: 0.1), gradientScale: 1, step: step)
          weight.clearGradient()
        }
      }
      // The first round makes what lives as long as the process.
      work()
      let before = Engine.liveTensorCount
      work()
      #expect(Engine.liveTensorCount == before)
    }
  }
}
