import ArgumentParser
import Foundation
import Kino

/// The words that a verb with a source may do without.
struct PromptArgument: ParsableArguments {
  @Argument(help: "What happens; without it, the source alone says.")
  var prompt: String = ""
}

struct AnimateArguments: VerbArguments {
  static let verb = Verb.animate
  static let abstract = "Make a clip that begins with a picture."

  @Argument(help: "The picture.")
  var picture: String
  @OptionGroup var words: PromptArgument
  @OptionGroup var length: LengthOptions
  @OptionGroup var shared: SharedOptions

  var composition: Composition {
    var composition = Composition.animate(picture, words.prompt, seconds: length.seconds)
    composition.updateShots { $0.frames = length.frames }
    return composition
  }

  var stem: String { FileNames.stem(of: picture, "animated") }
}

struct ExtendArguments: VerbArguments {
  static let verb = Verb.extend
  static let abstract = "Add new frames to one end of a clip."

  @Argument(help: "The clip.")
  var clip: String
  @OptionGroup var words: PromptArgument
  @Option(help: "The length of what is new, in seconds.")
  var seconds: Double
  @Flag(help: "Add the new frames before the first one instead of after the last.")
  var before = false
  @OptionGroup var shared: SharedOptions

  var composition: Composition {
    .extend(clip, by: seconds, before ? .before : .after, words.prompt)
  }

  var stem: String { FileNames.stem(of: clip, "extended") }
}

struct LoopArguments: VerbArguments {
  static let verb = Verb.loop
  static let abstract = "Let the end of a clip run into its start."

  @Argument(help: "The clip.")
  var clip: String
  @OptionGroup var words: PromptArgument
  @Option(help: "The length of the way back to the start, in seconds.")
  var seconds = 1.0
  @OptionGroup var shared: SharedOptions

  var composition: Composition { .loop(clip, by: seconds, words.prompt) }
  var stem: String { FileNames.stem(of: clip, "loop") }
}

struct ConnectArguments: VerbArguments {
  static let verb = Verb.connect
  static let abstract = "Make two clips one, with new frames between them."

  @Argument(help: "The clip that comes first.")
  var first: String
  @Argument(help: "The clip that comes second.")
  var second: String
  @OptionGroup var words: PromptArgument
  @Option(help: "The length of what is new, in seconds.")
  var seconds = 1.0
  @OptionGroup var shared: SharedOptions

  var composition: Composition { .connect(first, second, by: seconds, words.prompt) }
  var stem: String { FileNames.stem(of: first, "connected") }
}

struct EditArguments: VerbArguments {
  static let verb = Verb.edit
  static let abstract = "Change a clip by words."

  @Argument(help: "The clip.")
  var clip: String
  @Argument(help: "What it should show.")
  var prompt: String
  @Option(help: "How much may change: 0 gives the source, 1 ignores it.")
  var strength = 0.6
  @Option(help: "A picture or clip, white where the source may change.")
  var mask: String?
  @Option(help: "Where the change begins, in seconds.")
  var from: Double?
  @Option(help: "Where it ends, in seconds.")
  var to: Double?
  @OptionGroup var shared: SharedOptions

  var composition: Composition {
    .edit(clip, prompt, strength: strength, mask: mask, from: from, to: to)
  }

  var stem: String { FileNames.stem(of: clip, "edited") }
}

struct StoryboardArguments: VerbArguments {
  static let verb = Verb.storyboard
  static let abstract = "Make a clip of several shots, described in a file."

  @Argument(help: "The storyboard, a .yaml file; see docs/storyboard.md.")
  var file: String
  @OptionGroup var shared: SharedOptions

  var composition: Composition {
    get throws { try Storyboard.composition(contentsOf: URL(fileURLWithPath: file)) }
  }

  var stem: String { URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent }
}

struct ReverseArguments: VerbArguments {
  static let verb = Verb.reverse
  static let abstract = "Put the frames of a clip in the opposite order."

  @Argument(help: "The clip.")
  var clip: String
  @OptionGroup var shared: SharedOptions

  var composition: Composition { .reverse(clip) }
  var stem: String { FileNames.stem(of: clip, "reversed") }
}

struct UpscaleArguments: VerbArguments {
  static let verb = Verb.upscale
  static let abstract = "Make a clip or picture larger, with new detail."

  @Argument(help: "The clip or picture.")
  var source: String
  @OptionGroup var words: PromptArgument
  @Option(help: "How much detail may change, 0 to 1.")
  var strength = 0.35
  @OptionGroup var shared: SharedOptions

  var composition: Composition {
    get throws {
      guard let size = shared.size.size else {
        throw ValidationError("Missing expected argument '--size <WxH>'")
      }
      return .upscale(source, to: size, words.prompt, strength: strength)
    }
  }

  var stem: String { FileNames.stem(of: source, "large") }
}

extension FileNames {
  /// A name beside a source: its own without the extension, and what was done to it.
  static func stem(of path: String, _ done: String) -> String {
    URL(fileURLWithPath: path).deletingPathExtension().lastPathComponent + "-" + done
  }
}
