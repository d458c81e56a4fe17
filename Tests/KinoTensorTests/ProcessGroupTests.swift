import KinoTensor
import KinoTestSupport
import Testing

@Suite(.serialized) struct ProcessGroupTests {
  @Test func `All processes have the same sums, maxima and copies`() throws {
    let found = try ThreadTeam.run(3) { group in
      let rank = Float(group.rank)
      let (sum, greatest) = (Tensor([rank, 1]), Tensor([rank, -rank]))
      try group.sum(inPlace: sum)
      try group.maximum(inPlace: greatest)
      let copies = [Tensor([rank]), Tensor([rank, rank + 10])]
      try group.broadcast(inPlace: copies, from: 2)
      try group.barrier()
      let all = try group.gathered(Tensor([rank, 0]))
      return [sum, greatest, copies[0], copies[1], all.reshaped(to: -1)].map { $0.floats() }
    }
    for values in found {
      #expect(values == [[3, 3], [2, 0], [2], [2, 12], [0, 0, 1, 0, 2, 0]])
    }
  }

  @Test func `Gradients are summed, also where a process has none, and stay away where none has`()
    throws
  {
    let found = try ThreadTeam.run(2) { group in
      let leaves = (0..<4).map { _ in Tensor([Float(2), 3]).requiringGradient() }
      let reducer = GradientReducer(group, parameters: leaves)
      var results: [[[Float]?]] = []
      for step in 0..<2 {
        reducer.begin()
        if group.rank == 0 || step == 1 {
          (leaves[0] * leaves[1] * Double(group.rank + 1)).sum().backward()
        }
        if group.rank == 1 { leaves[2].sum().backward() }
        try reducer.finish()
        results.append(leaves.map { $0.gradient?.floats() })
        for leaf in leaves { leaf.clearGradient() }
      }
      return results
    }
    for results in found {
      #expect(results[0] == [[2, 3], [2, 3], [1, 1], nil])
      #expect(results[1] == [[6, 9], [6, 9], [1, 1], nil])
    }
  }

  @Test func `A process that is gone is an error of those that wait for it`() throws {
    let messages = try ThreadTeam.run(2) { group -> String in
      if group.rank == 1 { return "" }
      do {
        // The other one has left by then, or leaves.
        for _ in 0..<1000 { try group.sum(inPlace: Tensor([Float(1)])) }
      } catch let error as TensorError {
        return error.code == .disconnected ? error.description : ""
      }
      return ""
    }
    #expect(messages[0].contains("process 0 of 2") && messages[0].contains("can't be reached"))
  }

  @Test func `Who waits in vain for the others is told`() {
    let error = #expect(throws: TensorError.self) {
      try ProcessGroup(
        .init(rank: 0, size: 2, host: "127.0.0.1", port: .random(in: 20000..<50000)),
        joinSeconds: 2)
    }
    #expect(error?.code == .disconnected)
  }
}
