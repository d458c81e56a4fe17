public import ArgumentParser
import Foundation
import Kino
public import KinoEvaluation
import KinoTensor

extension Workload: ExpressibleByArgument {}

/// Latent frames, rows and columns, as `FxHxW`.
struct LatentSize: ExpressibleByArgument {
  let values: [Int]

  init?(argument: String) {
    let parts = argument.lowercased().split(separator: "x", omittingEmptySubsequences: false)
    let values = parts.compactMap { Int($0) }
    guard parts.count == 3, values.count == 3, values.allSatisfy({ 1...512 ~= $0 }),
      values[1].isMultiple(of: 2), values[2].isMultiple(of: 2)
    else { return nil }
    self.values = values
  }
}

struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Time named work on this machine, most of it with random weights.")

  @Argument(help: "What to time; everything but the end-to-end clip if nothing is named.")
  var workloads: [Workload] = []
  @Option(
    help: ArgumentHelp(
      "Another size of latents: frames, rows and columns, the last two even.", valueName: "FxHxW"))
  var latents: LatentSize?
  @Option(
    help: "The type to compute in: f32, bf16 or int8; without it, the faster of the first two.")
  var precision: Precision?
  @Option(
    help: ArgumentHelp(
      "Weights of a transformer for wan2.1-1.3b-step, of any form; without it, random ones.",
      valueName: "file"))
  var weights: String?
  @Option(help: "Timed runs of each; the median is reported.")
  var runs = 5
  @Option(help: "Threads of one operation; without it, all cores.")
  var threads: Int?
  @Flag(help: "Print JSON lines on standard output.")
  var json = false

  func validate() throws {
    guard 1...1000 ~= runs else { throw ValidationError("--runs must be in 1...1000.") }
    guard 1...1024 ~= threads ?? 1 else { throw ValidationError("--threads must be in 1...1024.") }
  }

  func run() async throws {
    if let threads { Engine.threadCount = threads }
    let precision = precision ?? (Engine.prefersBFloat16 ? .bf16 : .f32)
    let benchmark = Benchmark(
      precision: precision, runCount: runs, weights: weights.map { URL(fileURLWithPath: $0) }
    ) {
      try await Studio(threadCount: threads)
    }
    let chosen = workloads.isEmpty ? Workload.allCases.filter { $0 != .miniGenerate } : workloads
    for workload in chosen {
      show(try await benchmark.measure(workload, latents: latents?.values))
    }
  }

  private func show(_ result: Benchmark.Result) {
    if json {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys]
      if let line = try? encoder.encode(result) {
        StandardStreams.output(String(decoding: line, as: UTF8.self) + "\n")
      }
      return
    }
    let size = result.latents.map(String.init).joined(separator: "x")
    let name = "\(result.workload) \(size) \(result.precision)".padding(
      toLength: 40, withPad: " ", startingAt: 0)
    var line = name + String(format: "%10.1f ms", result.medianMilliseconds)
    if let gigaflops = result.gigaflops, let share = result.shareOfPeak {
      line += String(format: "  %6.0f GFLOP/s  %3.0f%% of peak", gigaflops, share * 100)
    }
    StandardStreams.output(line + String(format: "  %.2f GB\n", Double(result.peakBytes) / 1e9))
  }
}
