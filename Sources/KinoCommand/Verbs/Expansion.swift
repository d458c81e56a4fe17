import Foundation
import Kino
import KinoWorld

/// Turns short prompts into descriptions: by the chat endpoint that the user has configured, else by the
/// grammar of the world that kino-mini was trained on.
struct Expansion {
  private let expander: any PromptExpanding

  /// Chooses the expander.
  ///
  /// - Throws: `StudioError` for a bad configuration file, or if there is no expander for the model.
  init(model source: ModelSource, files: ModelFiles) throws {
    let environment = ProcessInfo.processInfo.environment
    let file = ChatSettings.file(environment: environment)
    if FileManager.default.fileExists(atPath: file.path) {
      expander = try ChatExpander(ChatSettings(contentsOf: file), environment: environment)
    } else if try Model(source, files: files).profile.vocabulary != nil {
      expander = WorldExpander()
    } else {
      throw StudioError(
        .unsupported,
        """
        --expand needs a language model for this one: describe a chat endpoint in \(file.path), or \
        leave --expand out.
        """)
    }
  }

  /// Expands every prompt that says something.
  func expanded(
    _ composition: Composition, seed: UInt64
  ) async -> (composition: Composition, warnings: [String]) {
    var descriptions: [String: String] = [:]
    var warnings: [String] = []
    for prompt in composition.shots.flatMap(\.prompts).map(\.text)
    where !prompt.isEmpty && descriptions[prompt] == nil {
      let (text, warning) = await expander.expand(prompt, seed: seed)
      descriptions[prompt] = text
      if let warning { warnings.append(warning) }
    }
    var composition = composition
    composition.updateShots { shot in
      for index in shot.prompts.indices {
        let text = shot.prompts[index].text
        shot.prompts[index].text = descriptions[text] ?? text
      }
    }
    return (composition, warnings)
  }
}

/// The world's grammar as an expander.
private struct WorldExpander: PromptExpanding {
  func expand(_ prompt: String, seed: UInt64) async -> (prompt: String, warning: String?) {
    PromptExpander().expand(prompt, seed: seed)
  }
}
