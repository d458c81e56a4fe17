import ArgumentParser
import Foundation
import Kino
import KinoProvenance

/// `kino sign`.
struct Sign: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Set up who signs what Kino makes (Content Credentials, C2PA), or sign a file.",
    discussion: """
      With an identity, every clip and picture is signed: its recipe, the model's hash, that a model \
      made it, and the files that went into it. `kino inspect` checks and prints that.
      """,
    subcommands: [Init.self, File.self])

  struct Init: ParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Make an identity of this machine's own.",
      discussion: """
        Readers see the name, and that no list of trusted signers has it. To sign by certificates \
        that others trust, put chain.pem and key.pem into the folder instead.
        """)
    @Option(help: "Who signs.")
    var name = "Kino user"

    func run() throws {
      let folder = SigningIdentity.defaultFolder(
        environment: ProcessInfo.processInfo.environment)
      try SigningIdentity.make(named: name, in: folder)
      StandardStreams.output("\(folder.path)\n")
    }
  }

  struct File: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Sign files that Kino made.")
    @Argument(help: "The files, each of which is replaced by its signed form.")
    var files: [String]

    func run() throws {
      guard let signer = try FileSigner(environment: ProcessInfo.processInfo.environment) else {
        throw ValidationError("There is no identity; make one with kino sign init.")
      }
      for file in files {
        guard let recipe = try MediaInfo.probe(file).recipe.flatMap({ Recipe(json: $0) }) else {
          throw ProvenanceError(
            .notSigned, "\(file) has no recipe of Kino's; only what Kino made is signed.")
        }
        try signer.sign(URL(fileURLWithPath: file), .init(recipe))
        StandardStreams.output("\(file)\n")
      }
    }
  }
}

extension FileSigner {
  /// The signer that the user has set up; without the library, says that nothing is signed.
  static func ofUser(warn: (String) -> Void) throws -> FileSigner? {
    do {
      return try FileSigner(environment: ProcessInfo.processInfo.environment)
    } catch let error as ProvenanceError where error.code == .libraryMissing {
      warn("Results are not signed. \(error)")
      return nil
    }
  }
}

extension ContentCredentials.Statement {
  /// What Kino says of a file that it made; sources that are no longer there are left out.
  init(_ recipe: Recipe) {
    let sources = Set(recipe.composition.sourcePaths).sorted()
      .filter { FileManager.default.fileExists(atPath: $0) }
    self.init(
      title: recipe.title, version: kinoVersion, recipe: recipe.json,
      sources: sources.map { URL(fileURLWithPath: $0) })
  }
}
