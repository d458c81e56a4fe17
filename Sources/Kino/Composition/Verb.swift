/// What a composition was asked for as.
public enum Verb: String, Codable, CaseIterable, Sendable {
  /// A clip from words.
  case generate
  /// A picture from words.
  case image
  /// A clip from a picture.
  case animate
  /// A clip with more at one end.
  case extend
  /// A clip whose end runs into its start.
  case loop
  /// Two clips made one.
  case connect
  /// A clip changed by words.
  case edit
  /// A clip of several shots.
  case storyboard
  /// A clip backwards.
  case reverse
  /// A clip or picture made larger.
  case upscale

  /// Whether a shot can do without a prompt: what it joins or shows says enough.
  var needsPrompt: Bool { [.generate, .image, .edit, .storyboard].contains(self) }
}
