import ArgumentParser

@main
struct KinoCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(commandName: "kino")
}
