import Foundation

/// Chooses the quality of a written file and what is stored with it.
public struct WriteOptions: Hashable, Sendable {
  /// The constant rate factor of H.264, 0...51: 0 is lossless, 18 visually so, 23 common. `nil` is 18, and finer
  /// where clips of a source are part of the result: they are to stay as they are, and no seam beside them to show.
  public var crf: Double?
  /// The quality of JPEG and WebP, 1...100. WebP is lossless at 100.
  public var quality: Int
  /// Whether an existing file may be replaced.
  public var overwrite: Bool
  /// How the file was made: a JSON object, stored as the file's comment in every format.
  public var recipe: String?
  /// The title, stored in MP4 and MOV only.
  public var title: String?
  /// The sound, written to MP4 and MOV only; see ``MediaFormat/holdsSound``.
  ///
  /// The result has one AAC track, exactly as long as the pictures, at the rate of the first piece that
  /// has sound, in stereo unless all pieces are mono. Sound and pictures of a file keep their distance by
  /// its timestamps. Where no piece is, and where a piece's file has no sound, there is silence; if no
  /// file has any, no track is written. Pieces that overlap are added. Sound fades in and out within
  /// 5 ms at cuts, where a piece does not go on as it does in its file.
  public var sound: [SoundPiece]
  /// A short text drawn into the lower right corner of every frame, to be seen; ASCII or Cyrillic.
  public var mark: String?
  /// Whether every frame of H.264 is as exact as every other, and the first finer, in a file about half as large
  /// again. Left to itself x264 saves on frames that others do not lean on: where its last one meets a picture that
  /// was stored before, flat ground changes by half a level.
  package var isEven = false

  /// Creates options. Out-of-range numbers are reported when the writer is created.
  public init(
    crf: Double? = nil, quality: Int = 90, overwrite: Bool = false, recipe: String? = nil,
    title: String? = nil, sound: [SoundPiece] = [], mark: String? = nil
  ) {
    self.crf = crf
    self.quality = quality
    self.overwrite = overwrite
    self.recipe = recipe
    self.title = title
    self.sound = sound
    self.mark = mark
  }

  func validate() throws {
    if let crf, !(0...51).contains(crf) {
      throw MediaError(.invalidOption, details: "crf is \(crf); use a number in 0...51.")
    }
    guard (1...100).contains(quality) else {
      throw MediaError(.invalidOption, details: "quality is \(quality); use a number in 1...100.")
    }
    if let recipe, !Self.isRecipe(recipe) {
      throw MediaError(.invalidOption, details: "The recipe is no JSON object.")
    }
    for piece in sound { try piece.validate() }
  }

  static func isRecipe(_ text: String) -> Bool {
    let text = text.trimmingCharacters(in: .whitespacesAndNewlines)
    return text.hasPrefix("{") && text.hasSuffix("}") && !text.utf8.contains(0)
  }
}
