import ArgumentParser
import Foundation
import Kino
import KinoSystem

/// The codes that `kino` ends with, and how errors are told.
enum ExitStatus {
  static let done: Int32 = 0
  static let failed: Int32 = 1
  static let wrongUse: Int32 = 2
  static let stopped: Int32 = 130

  /// Tells the user what went wrong, or what help was asked for, and gives the code to end with.
  static func report(_ error: any Error) -> Int32 {
    if error is CancellationError { return stopped }
    // Who threw it has told what there is to tell.
    if let code = error as? ExitCode { return code.rawValue }
    let parserCode = KinoCommand.exitCode(for: error)
    if parserCode == .success {
      print(KinoCommand.fullMessage(for: error))
      return done
    }
    let isParserError = parserCode == .validationFailure
    let message =
      isParserError ? KinoCommand.fullMessage(for: error) : "error: \(describe(error))"
    StandardStreams.note(message + "\n")
    if CommandLine.arguments.contains("--json") {
      let plain = isParserError ? KinoCommand.message(for: error) : describe(error)
      print(
        EventRecord(
          event: "error", message: plain, code: isParserError ? "wrongUse" : code(of: error)
        ).json)
    }
    return isParserError || isWrongUse(error) ? wrongUse : failed
  }

  /// Swift repairs arguments that are not UTF-8; a prompt should rather be refused than altered.
  static func requireReadableArguments() {
    let arguments = CommandLine.unsafeArgv
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = arguments[index], String(validatingCString: argument) == nil else {
        continue
      }
      let message = "error: argument \(index) is not UTF-8 text; check the terminal's encoding.\n"
      StandardStreams.note(message)
      exit(wrongUse)
    }
  }

  private static func isWrongUse(_ error: any Error) -> Bool {
    (error as? any KinoError)?.isWrongUse ?? false
  }

  private static func code(of error: any Error) -> String {
    if let error = error as? any KinoError { return error.kind }
    return KinoCommand.exitCode(for: error) == .validationFailure
      ? "wrongUse" : "\(type(of: error))"
  }

  private static func describe(_ error: any Error) -> String {
    // Errors of the system say more in their localised form.
    error is CocoaError ? error.localizedDescription : "\(error)"
  }
}
