public import Foundation
public import Kino
internal import KinoMedia
internal import KinoTensor

/// Times named work on this machine.
public struct Benchmark {
  /// What one workload took.
  public struct Result: Codable, Hashable, Sendable {
    /// Its name.
    public var workload: String
    /// `f32`, `bf16` or `int8`.
    public var precision: String
    /// Latent frames, rows and columns.
    public var latents: [Int]
    /// Runs that were timed.
    public var runs: Int
    /// The median of their times, in milliseconds.
    public var medianMilliseconds: Double
    /// The shortest of their times.
    public var bestMilliseconds: Double
    /// Billions of floating-point operations a second at the median; `nil` where they are not counted.
    public var gigaflops: Double?
    /// ``gigaflops`` over the best that a large matrix product reached here just before, in `0...1`.
    public var shareOfPeak: Double?
    /// The most memory that the program held during the runs, in bytes.
    public var peakBytes: Int

    enum CodingKeys: String, CodingKey {
      case workload, precision, latents, runs
      case medianMilliseconds = "median_ms"
      case bestMilliseconds = "best_ms"
      case gigaflops = "gflops"
      case shareOfPeak = "share_of_peak"
      case peakBytes = "peak_bytes"
    }
  }

  private let precision: Precision
  private let runCount: Int
  private let weights: URL?
  private let studio: () async throws -> Studio

  /// Prepares to time.
  ///
  /// - Parameters:
  ///   - precision: What to compute in; int8 concerns the transformer's blocks alone.
  ///   - runCount: Timed runs of each workload, at least 1; one more before them is not timed.
  ///   - weights: A transformer's file for ``Workload/wanStep``, of any form and size; without it, random weights.
  ///   - studio: Opens the model of ``Workload/miniGenerate``.
  public init(
    precision: Precision, runCount: Int = 5, weights: URL? = nil,
    studio: @escaping () async throws -> Studio
  ) {
    precondition(runCount >= 1, "Benchmark: \(runCount) runs")
    self.weights = weights
    self.precision = precision
    self.runCount = runCount
    self.studio = studio
  }

  /// Times one workload.
  ///
  /// - Parameters:
  ///   - workload: What to do.
  ///   - latents: Another size, `[frames, height, width]`, height and width even.
  /// - Returns: Its times and memory.
  /// - Throws: What opening or running the bundled model throws; `CancellationError`.
  public func measure(_ workload: Workload, latents: [Int]? = nil) async throws -> Result {
    let latents = latents ?? workload.defaultLatents
    let work =
      workload == .miniGenerate
      ? try await generation()
      : try WorkloadFactory(latents: latents, precision: precision, weights: weights).make(workload)
    let peak = work.operations.map { _ in matrixPeak() }
    try await work.run()
    PeakMemory.reset()
    var times: [Double] = []
    for _ in 0..<runCount {
      try Task.checkCancellation()
      times.append(try await Self.seconds(work.run))
    }
    times.sort()
    let median = times[times.count / 2]
    let gigaflops = work.operations.map { $0 / median / 1e9 }
    return Result(
      workload: workload.rawValue, precision: precision.rawValue, latents: latents, runs: runCount,
      medianMilliseconds: median * 1000, bestMilliseconds: times[0] * 1000, gigaflops: gigaflops,
      shareOfPeak: peak.flatMap { peak in gigaflops.map { $0 / peak } }, peakBytes: PeakMemory.bytes
    )
  }

  private func generation() async throws -> PreparedWork {
    let studio = try await studio()
    var settings = SamplingSettings(seed: 1)
    settings.precision = precision
    return PreparedWork(operations: nil) { [settings] in
      let composition = Composition.generate("a red ball bounces on green grass")
      for try await _ in studio.events(of: composition, settings) {}
    }
  }

  /// What a product of matrices that fit the caches well reaches here, in GFLOP/s; for int8, that of
  /// bfloat16.
  private func matrixPeak() -> Double {
    let size = 2048
    var source = RandomSource(seed: 2)
    let x = source.normal([size, size]).cast(to: precision == .f32 ? .float32 : .bfloat16)
    let best = withoutGradient {
      (0..<5).map { _ in
        let start = ContinuousClock.now
        _ = x.linear(weight: x)
        return (ContinuousClock.now - start).inSeconds
      }.min() ?? 1
    }
    return 2 * Double(size * size * size) / best / 1e9
  }

  private static func seconds(_ body: () async throws -> Void) async rethrows -> Double {
    let start = ContinuousClock.now
    try await body()
    return (ContinuousClock.now - start).inSeconds
  }
}
