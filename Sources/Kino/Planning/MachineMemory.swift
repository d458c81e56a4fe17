import Foundation

/// What this machine has.
enum MachineMemory {
  /// All bytes of its memory.
  static var physicalBytes: Int { Int(ProcessInfo.processInfo.physicalMemory) }

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
      return physicalBytes / 4 * 3
    #endif
  }
}
