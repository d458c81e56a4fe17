import Crypto
import Foundation
internal import KinoWeights

extension ResolvedComposition {
  /// The SHA-256 of each source file, by its path as given.
  ///
  /// - Throws: What reading the files throws.
  func sourceHashes() throws -> [String: String] {
    var hashes: [String: String] = [:]
    for part in composition.parts where hashes[part.path] == nil {
      let file = try FileHandle(forReadingFrom: URL(fileURLWithPath: part.path))
      defer { try? file.close() }
      var hash = SHA256()
      while let piece = try file.read(upToCount: 1 << 20), !piece.isEmpty {
        try Task.checkCancellation()
        hash.update(data: piece)
      }
      hashes[part.path] = hash.finalize().hexadecimal
    }
    return hashes
  }
}

extension Composition {
  /// Every part of a file in the composition: those on the timeline, guides, masks.
  var parts: [MediaPart] {
    let media = timeline.compactMap { if case .media(let part) = $0 { part } else { nil } }
    let guides = shots.flatMap(\.guides)
    return media + guides.map(\.part) + guides.compactMap(\.mask)
  }
}
