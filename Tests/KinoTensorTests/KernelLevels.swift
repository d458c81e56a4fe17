import KinoTensor
import Testing

extension Engine.KernelLevel {
  /// Those that this machine can run.
  static let runnable = allCases.filter { $0.rawValue <= Engine.kernelLevel.rawValue }
}

/// Runs `body` with the kernels of one level, on this thread.
func at<Result>(_ level: Engine.KernelLevel, _ body: () throws -> Result) rethrows -> Result {
  let before = Engine.kernelLevel
  defer { Engine.kernelLevel = before }
  Engine.kernelLevel = level
  #expect(Engine.kernelLevel == level)
  return try body()
}

/// Runs `body` with so many threads to an operation.
func withThreads<Result>(_ count: Int, _ body: () throws -> Result) rethrows -> Result {
  let before = Engine.threadCount
  defer { Engine.threadCount = before }
  Engine.threadCount = count
  return try body()
}
