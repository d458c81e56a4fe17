import ArgumentParser
import Foundation
import KinoTensor

extension ProcessGroup.Place {
  /// Reads this process's place from the variables that torchrun, Slurm's and Kubernetes' launchers set; `nil`
  /// if it is alone.
  ///
  /// - Throws: A sentence about the variable at fault.
  init?(environment: [String: String]) throws {
    func number(_ name: String, in range: ClosedRange<Int>) throws -> Int? {
      guard let text = environment[name] else { return nil }
      guard let value = Int(text), range ~= value else {
        throw ValidationError(
          "The variable \(name) is \"\(text.prefix(40))\", expected a number in \(range.lowerBound)...\(range.upperBound)."
        )
      }
      return value
    }
    guard let size = try number("WORLD_SIZE", in: 1...65536), size > 1 else { return nil }
    guard let rank = try number("RANK", in: 0...size - 1) else {
      throw ValidationError(
        "WORLD_SIZE is \(size) and RANK is not set; start the processes with torchrun or --processes."
      )
    }
    guard let host = environment["MASTER_ADDR"], !host.isEmpty,
      let port = try number("MASTER_PORT", in: 1...65535)
    else {
      throw ValidationError(
        "WORLD_SIZE is \(size) and MASTER_ADDR or MASTER_PORT is not set; set both to where rank 0 is."
      )
    }
    self.init(
      rank: rank, size: size, localRank: try number("LOCAL_RANK", in: 0...1023) ?? 0, host: host,
      port: UInt16(port), hostsStore: environment["TORCHELASTIC_USE_AGENT_STORE"] != "True",
      name: "kino/\(environment["TORCHELASTIC_RESTART_COUNT"] ?? "0")")
  }
}
