internal import CKinoCollectives
internal import CKinoTorch

/// Processes that work on one thing, on one machine or several, and what they say to each other.
///
/// Every process makes the same calls in the same order; each waits until all have made it. The numbers
/// that a call gives are the same bit for bit in all processes.
///
/// ```swift
/// let group = try ProcessGroup(.init(rank: 0, size: 2, host: "127.0.0.1", port: 29500))
/// let total = Tensor([Float(1)])
/// try group.sum(inPlace: total)  // 2 everywhere
/// ```
public final class ProcessGroup: Sendable {
  /// A process's place among the others.
  public struct Place: Hashable, Sendable {
    /// Its number, in `0..<size`.
    public var rank: Int
    /// How many there are.
    public var size: Int
    /// Its number among those of its machine.
    public var localRank: Int
    /// The machine of rank 0, where processes meet.
    public var host: String
    /// The port there.
    public var port: UInt16
    /// Whether rank 0 opens that port; otherwise somebody else has, as torchrun's agent does.
    public var hostsStore: Bool
    /// Keeps meetings at one place apart, as those of attempts one after another.
    public var name: String

    /// Describes a place.
    public init(
      rank: Int, size: Int, localRank: Int = 0, host: String, port: UInt16, hostsStore: Bool = true,
      name: String = "kino"
    ) {
      (self.rank, self.size, self.localRank) = (rank, size, localRank)
      (self.host, self.port, self.hostsStore, self.name) = (host, port, hostsStore, name)
    }
  }

  /// This process's place.
  public let place: Place
  let pointer: GroupPointer

  /// This process's number.
  public var rank: Int { place.rank }
  /// How many processes there are.
  public var size: Int { place.size }

  /// Bytes that are sent at a time.
  static let pieceBytes = 25 << 20

  /// Waits for the others, and joins them.
  ///
  /// - Parameters:
  ///   - place: This process's.
  ///   - joinSeconds: How long to wait for all to come.
  ///   - answerSeconds: How long a call waits for the others. Longer than anything that one does while the
  ///     others wait; ``watch(silentSeconds:lost:)`` notices sooner when one is gone.
  /// - Throws: ``TensorError`` (`disconnected`) if not all came.
  public init(_ place: Place, joinSeconds: Double = 300, answerSeconds: Double = 3600) throws {
    precondition(0..<max(1, place.size) ~= place.rank, "ProcessGroup: rank \(place.rank)")
    self.place = place
    var found: OpaquePointer?
    let status = place.host.withCString { host in
      place.name.withCString { name in
        kino_group_join(
          kino_group_options(
            host: host, port: place.port, hosts_store: place.hostsStore, name: name,
            rank: Int32(place.rank), size: Int32(place.size), join_seconds: joinSeconds,
            answer_seconds: answerSeconds), &found)
      }
    }
    guard status == KINO_OK, let found else {
      throw TensorError(
        code: .disconnected,
        operation: "process \(place.rank) of \(place.size) at \(place.host):\(place.port)",
        details: String(cString: kino_last_error()))
    }
    pointer = GroupPointer(found)
  }

  deinit { kino_group_leave(pointer.value) }

  /// Calls `lost` once, on another thread, with the number of a process that was silent for so long, or with
  /// 0 when that one's machine can't be reached.
  ///
  /// A call in progress goes on waiting: whoever is told can only end this process.
  public func watch(silentSeconds: Double, lost: @escaping @Sendable (Int) -> Void) {
    let context = Unmanaged.passRetained(LossHandler(lost))
    check(
      "watch",
      kino_group_watch(
        pointer.value, silentSeconds,
        { context, rank in
          if let context {
            Unmanaged<LossHandler>.fromOpaque(context).takeUnretainedValue().call(Int(rank))
          }
        }, context.toOpaque()))
  }

  /// Ends watching, before a process ends as it should.
  public func unwatch() { kino_group_unwatch(pointer.value) }

  /// Waits for all.
  ///
  /// - Throws: ``TensorError`` (`disconnected`), as all calls of a group.
  public func barrier() throws { try require("barrier", kino_group_barrier(pointer.value)) }

  /// Gives a tensor the sum of all processes' tensors.
  public func sum(inPlace x: Tensor) throws {
    try require("sum \(x.summary)", kino_group_all_reduce(pointer.value, x.handle.pointer, false))
  }

  /// Gives a tensor the greatest of all processes' numbers, each by itself.
  public func maximum(inPlace x: Tensor) throws {
    try require(
      "maximum \(x.summary)", kino_group_all_reduce(pointer.value, x.handle.pointer, true))
  }

  /// Gives float32 tensors the numbers that they have in one process.
  public func broadcast(inPlace tensors: [Tensor], from root: Int) throws {
    if tensors.isEmpty { return }
    try require(
      "broadcast",
      kino_group_broadcast(
        pointer.value, tensors.map(\.handle.pointer), Int32(tensors.count), Int32(root),
        Int64(Self.pieceBytes)))
  }

  /// The tensors of all processes, of one shape, along a new first axis, on the CPU.
  public func gathered(_ x: Tensor) throws -> Tensor {
    var found: OpaquePointer?
    try require(
      "gather \(x.summary)", kino_group_all_gather(pointer.value, x.handle.pointer, &found))
    guard let found else { return x }
    return Tensor(TensorHandle(found))
  }

  func require(_ operation: String, _ status: kino_status) throws {
    if status == KINO_OK { return }
    throw TensorError(
      code: .disconnected, operation: "process \(rank) of \(size), \(operation)",
      details: String(cString: kino_last_error()))
  }
}

/// Sums gradients over the processes of a group while the backward pass makes them, in pieces of 25 MB.
public final class GradientReducer {
  private let group: ProcessGroup
  private let pointer: OpaquePointer

  /// - Parameters:
  ///   - group: The processes.
  ///   - parameters: Leaves, in the order of the forward pass, the same in every process.
  public init(_ group: ProcessGroup, parameters: [Tensor]) {
    self.group = group
    var found: OpaquePointer?
    check(
      "GradientReducer",
      kino_reducer_create(
        group.pointer.value, parameters.map(\.handle.pointer), Int32(parameters.count),
        Int64(ProcessGroup.pieceBytes), &found))
    guard let found else { preconditionFailure("GradientReducer: no reducer") }
    pointer = found
  }

  deinit { kino_reducer_free(pointer) }

  /// Tells that the next backward pass is the last one of a step, so that its gradients may go out at once.
  public func begin() { check("begin", kino_reducer_begin(pointer)) }

  /// Waits until every parameter's gradient is the sum of all processes' gradients. One that no process has
  /// a gradient for stays without.
  ///
  /// - Throws: ``TensorError`` (`disconnected`).
  public func finish() throws {
    try group.require("sum of gradients", kino_reducer_finish(pointer))
  }
}

/// `@unchecked Sendable`: the engine may be called from any thread, from one at a time.
struct GroupPointer: @unchecked Sendable {
  let value: OpaquePointer

  init(_ value: OpaquePointer) { self.value = value }
}

/// A closure that the watching thread holds on to.
private final class LossHandler: Sendable {
  let call: @Sendable (Int) -> Void

  init(_ call: @escaping @Sendable (Int) -> Void) { self.call = call }
}
