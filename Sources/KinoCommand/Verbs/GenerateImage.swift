import ArgumentParser
import Kino

struct GenerateArguments: VerbArguments {
  static let verb = Verb.generate
  static let abstract = "Make a clip from words."

  @Argument(help: "What the clip shows.")
  var prompt: String
  @OptionGroup var length: LengthOptions
  @Flag(help: "Let the last frame run into the first.")
  var loop = false
  @OptionGroup var shared: SharedOptions

  var composition: Composition {
    get throws {
      if loop {
        guard length.frames == nil else {
          throw ValidationError("With --loop, give the length as --seconds.")
        }
        return .generateLoop(prompt, seconds: length.seconds ?? 2)
      }
      var composition = Composition.generate(prompt, seconds: length.seconds)
      composition.updateShots { $0.frames = length.frames }
      return composition
    }
  }

  var stem: String { FileNames.slug(of: prompt) }
}

struct ImageArguments: VerbArguments {
  static let verb = Verb.image
  static let abstract = "Make a picture from words."

  @Argument(help: "What the picture shows.")
  var prompt: String
  @OptionGroup var shared: SharedOptions

  var composition: Composition { .image(prompt) }
  var stem: String { FileNames.slug(of: prompt) }
}
