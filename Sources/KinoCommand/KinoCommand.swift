import ArgumentParser
import Foundation
import Kino

/// The `kino` command.
@main
struct KinoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kino",
    abstract: "Makes video from words, pictures and other video.",
    version: kinoVersion,
    subcommands: Verbs.commands + [
      PlanCommand.self, Inspect.self, Serve.self, Keys.self, Sign.self, Models.self, Pull.self,
      Convert.self, World.self, Prepare.self, Train.self,
      Evaluate.self, Probe.self, Bench.self,
    ])

  /// Parses, runs, and ends with the documented codes: 0 done, 1 failed, 2 wrong use, 130 stopped.
  static func main() async {
    StandardStreams.prepare()
    BarrierSpin.restartWithShortSpin()
    ExitStatus.requireReadableArguments()
    let work = Task { () -> Int32 in
      do {
        var command = try parseAsRoot()
        if var command = command as? any AsyncParsableCommand {
          try await command.run()
        } else {
          try command.run()
        }
        return ExitStatus.done
      } catch {
        return ExitStatus.report(error)
      }
    }
    let signals = StopSignals { work.cancel() }
    let status = await work.value
    Foundation.exit(signals.status ?? StandardStreams.status(after: status))
  }
}
