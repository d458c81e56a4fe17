import KinoTensor
import Testing

struct TensorCreationTests {
  private func roundTrip<Scalar: TensorScalar & Equatable>(_ values: [Scalar]) {
    let tensor = Tensor(values, shape: [2, values.count / 2])
    #expect(tensor.dtype == Scalar.dtype && tensor.shape == [2, values.count / 2])
    #expect(tensor.scalars(Scalar.self) == values)
    #expect(tensor.withUnsafeBytes(\.count) == values.count * Scalar.dtype.byteCount)
    #expect(MemoryLayout<Scalar>.stride == Scalar.dtype.byteCount)
  }

  @Test func `Values of every scalar type come back as they were`() {
    roundTrip([Float(1.5), -0, .greatestFiniteMagnitude, .infinity])
    roundTrip([1 / 3, -2e300])
    roundTrip([Int64.min, .max])
    roundTrip([Int32.min, .max])
    roundTrip([Int16.min, .max])
    roundTrip([Int8.min, .max])
    roundTrip([UInt8.min, .max])
    roundTrip([true, false, false, true])
  }

  @Test(arguments: DType.allCases)
  func `Small integers survive every element type`(dtype: DType) {
    let values: [Float] = dtype == .bool ? [0, 1, 1] : [0, 1, 100]
    let tensor = Tensor(values).cast(to: dtype)
    #expect(tensor.dtype == dtype && tensor.floats() == values)
    #expect(tensor.withUnsafeBytes(\.count) == 3 * dtype.byteCount)
    #expect(Tensor.full(1, shape: [2], dtype: dtype).floats() == [1, 1])
    let copy = tensor.withUnsafeBytes { Tensor(copying: $0, shape: [3], dtype: dtype) }
    #expect(copy.floats() == values)
  }

  @Test func `Rounding to a smaller type goes to the nearest even number`() {
    // 257 and 259 lie halfway between neighbours of bfloat16, 2049 and 2051 of float16.
    #expect(Tensor([Float(257), 259]).cast(to: .bfloat16).floats() == [256, 260])
    #expect(Tensor([Float(2049), 2051]).cast(to: .float16).floats() == [2048, 2052])
    #expect(Tensor([Float(2.9), -2.9]).cast(to: .int32).floats() == [2, -2])
  }

  @Test func `Tensors without elements and without axes have their shape`() {
    let empty = Tensor([Float](), shape: [3, 0, 2])
    #expect(empty.shape == [3, 0, 2] && empty.floats().isEmpty)
    let scalar = Tensor(2.5, dtype: .float64)
    #expect(scalar.rank == 0 && scalar.shape.isEmpty && scalar.count == 1 && scalar.item() == 2.5)
    #expect(scalar.description == "Tensor([] float64, cpu)")
  }

  @Test func `Ranges count up to but not including their end`() {
    #expect(Tensor.range(0, 3).floats() == [0, 1, 2])
    #expect(Tensor.range(1, 2, step: 0.25).floats() == [1, 1.25, 1.5, 1.75])
    #expect(Tensor.range(3, 0, step: -1, dtype: .int64).scalars(Int64.self) == [3, 2, 1])
  }

  @Test func `Borrowed memory is read in place and its owner lives as long as the tensor`() {
    final class Owner {
      let values = UnsafeMutablePointer<Float>.allocate(capacity: 6)
      deinit { values.deallocate() }
    }
    weak var seen: Owner?
    do {
      var tensor: Tensor?
      do {
        let owner = Owner()
        seen = owner
        for index in 0..<6 { owner.values[index] = Float(index) }
        tensor = Tensor(borrowing: owner.values, shape: [2, 3], dtype: .float32, owner: owner)
        owner.values[5] = 50
      }
      #expect(seen != nil)
      let row = tensor?.select(0, 1)
      tensor = nil
      #expect(row?.floats() == [3, 4, 50] && seen != nil)
    }
    #expect(seen == nil)
  }

  @Test func `An owner is let go when borrowing fails`() throws {
    final class Owner {}
    weak var seen: Owner?
    do {
      let (owner, room) = (Owner(), UnsafeMutablePointer<Float>.allocate(capacity: 1))
      defer { room.deallocate() }
      seen = owner
      #expect(throws: TensorError.self) {
        try withTensorErrors {
          _ = Tensor(borrowing: room, shape: [-4], dtype: .float32, owner: owner)
        }
      }
    }
    #expect(seen == nil)
  }

  @Test func `Reading follows the shape, whatever the layout`() {
    let x = Tensor((0..<6).map(Float.init), shape: [2, 3]).transposed(0, 1)
    #expect(!x.isContiguous && x.floats() == [0, 3, 1, 4, 2, 5])
    #expect(x.withUnsafeBytes { Array($0.bindMemory(to: Float.self)) } == [0, 3, 1, 4, 2, 5])
    #expect(x.contiguous().isContiguous && x.contiguous().floats() == x.floats())
  }

  @Test func `Sizes are asked for from either end`() {
    let x = Tensor.zeros([2, 3, 4, 5, 6])
    #expect(x.size(1) == 3 && x.size(-1) == 6 && x.rank == 5)
    #expect(x.shape5 == (2, 3, 4, 5, 6) && x.select(0, 0).shape4 == (3, 4, 5, 6))
    #expect(Tensor.ones([2, 3, 4]).shape3 == (2, 3, 4) && Tensor.ones([2, 3]).shape2 == (2, 3))
  }

  @Test func `The processor is there and names itself`() {
    #expect(Device.cpu.isAvailable && Device.cpu.description == "cpu")
    #expect(Device.cuda(1).description == "cuda:1" && Tensor.ones([1]).device == .cpu)
    #expect(Engine.threadCount >= 1 && Engine.version.hasPrefix("2."))
  }
}
