import Foundation
internal import KinoTensor

/// Remembers in the user's cache how fast clips were made here, for the next plan.
enum SpeedRecord {
  private static var file: URL? {
    FileManager.default.urls(for: .cachesDirectory, in: .userDomainMask).first?
      .appendingPathComponent("kino/speed.json")
  }

  private static func key(
    _ model: Model, _ precision: Precision, _ threads: Int, _ device: Device
  ) -> String {
    "\(model.name) \(device) \(precision.rawValue) \(threads)"
  }

  private static func read() -> [String: Double] {
    guard let file, let data = try? Data(contentsOf: file) else { return [:] }
    return (try? JSONDecoder().decode([String: Double].self, from: data)) ?? [:]
  }

  /// Operations a second of the clips made with these settings, if any was.
  static func rate(
    _ model: Model, precision: Precision, threads: Int, device: Device
  ) -> Double? {
    read()[key(model, precision, threads, device)].flatMap { $0 > 1e6 && $0.isFinite ? $0 : nil }
  }

  /// Notes a clip's speed; too short ones tell nothing. A cache that can't be written is no error.
  static func note(
    _ model: Model, operations: Double, seconds: Double, precision: Precision, threads: Int,
    device: Device
  ) {
    guard seconds > 2, operations > 1e11, let file else { return }
    var rates = read()
    let name = key(model, precision, threads, device)
    let rate = operations / seconds
    rates[name] = rates[name].map { ($0 + rate) / 2 } ?? rate
    try? FileManager.default.createDirectory(
      at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
    try? JSONEncoder().encode(rates).write(to: file, options: .atomic)
  }
}
