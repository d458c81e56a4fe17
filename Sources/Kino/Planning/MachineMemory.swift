import Foundation

/// What this machine has.
enum MachineMemory {
  /// Bytes that programs can still take without swapping; `nil` where the system does not tell.
  static var availableBytes: Int? {
    #if os(Linux)
      guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8),
        let line = text.split(separator: "\n").first(where: { $0.hasPrefix("MemAvailable:") }),
        let kilobytes = line.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
      else { return nil }
      return kilobytes * 1024
    #else
      // macOS has no such figure: it compresses and drops memory as needed.
      return Int(ProcessInfo.processInfo.physicalMemory / 4 * 3)
    #endif
  }
}
