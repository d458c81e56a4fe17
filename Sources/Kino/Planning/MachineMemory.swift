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

/// The most memory that this program has held.
package enum PeakMemory {
  /// Forgets the past where the system can, on Linux; elsewhere the peak is that of the whole run.
  package static func reset() {
    #if os(Linux)
      try? Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
    #endif
  }

  /// In bytes.
  package static var bytes: Int {
    #if os(Linux)
      let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
      let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
      return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    #else
      var usage = rusage()
      getrusage(RUSAGE_SELF, &usage)
      return Int(usage.ru_maxrss)
    #endif
  }
}
