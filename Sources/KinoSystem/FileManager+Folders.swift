package import Foundation

extension FileManager {
  /// Makes a folder, with those above it, unless it is there.
  package func makeFolder(_ url: URL) throws(FileError) {
    do {
      try createDirectory(at: url, withIntermediateDirectories: true)
    } catch {
      let isFile = (error as NSError).code == CocoaError.fileWriteFileExists.rawValue
      throw FileError(
        .unwritable, path: url.path, found: isFile ? "a file" : error.localizedDescription,
        details:
          "The folder can't be made\(isFile ? ", since a file is there" : ""); choose another place."
      )
    }
  }
}
