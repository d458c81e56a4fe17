internal import Foundation
package import Kino
internal import KinoWorld

extension ModelProfile.Vocabulary {
  /// More words than this are no list that a person could choose from: such data are open.
  private static let wordLimit = 5000

  /// Lists the words of all captions that a configuration trains on: the world's in the languages and
  /// lengths that are drawn, and those of folders as the group `other` of the language `data`.
  ///
  /// It is `nil` for an autoencoder, and where the captions have more words than a list is good for.
  ///
  /// - Parameter configuration: A transformer's; its folders of data must be there.
  /// - Throws: ``TrainingError``, or an error of the files.
  package init?(trainedOn configuration: TrainingConfiguration) throws {
    guard let settings = configuration.transformer else { return nil }
    self.init()
    if configuration.data.world > 0 {
      let buckets = configuration.buckets.filter { $0.weight > 0 }
      let lengths = CaptionLength.allCases.filter { length in
        buckets.contains { $0.captions?.contains(length) ?? true }
      }
      if settings.russian < 1 { add(CaptionWords(.english, lengths: lengths), as: "en") }
      if settings.russian > 0 { add(CaptionWords(.russian, lengths: lengths), as: "ru") }
    }
    for folder in configuration.data.folders where folder.weight > 0 {
      let path = folder.path.expandingTilde
      add(try CaptionedFolder.captions(path: path), to: "other", of: "data")
    }
    if wordCount > Self.wordLimit { return nil }
  }

  private mutating func add(_ captions: CaptionWords, as language: String) {
    for group in captions.groups { add(group.words, to: group.name, of: language) }
  }
}
