internal import Dispatch
internal import Synchronization

/// Does numbered work on all cores, and gives the results in order.
///
/// - Parameters:
///   - range: The numbers.
///   - work: Called once for each number, on several threads at a time.
/// - Returns: A result for each number.
/// - Throws: The error of the lowest number whose work failed.
package func onAllCores<Output: Sendable, Failure: Error>(
  _ range: Range<Int>, _ work: @Sendable (_ number: Int) throws(Failure) -> Output
) throws(Failure) -> [Output] {
  let made = Mutex<[Int: Result<Output, Failure>]>([:])
  DispatchQueue.concurrentPerform(iterations: range.count) { offset in
    let number = range.lowerBound + offset
    let result: Result<Output, Failure>
    do throws(Failure) { result = .success(try work(number)) } catch { result = .failure(error) }
    made.withLock { $0[number] = result }
  }
  let results = made.withLock { $0 }
  var outputs: [Output] = []
  for number in range {
    if let output = try results[number]?.get() { outputs.append(output) }
  }
  return outputs
}
