internal import Foundation
internal import KinoSystem

extension FileLock {
  /// Keeps a second run out of an output folder: both would write the same checkpoints and latents.
  ///
  /// - Throws: ``TrainingError`` if another run holds it or the folder can't be written.
  static func ofRun(in folder: URL) throws(TrainingError) -> FileLock {
    let lock: FileLock?
    do throws(FileError) {
      lock = try taken(at: folder.appendingPathComponent(".lock").path)
    } catch {
      throw TrainingError(.cannotWrite, "\(folder.path): can't be written. \(error.details)")
    }
    if let lock { return lock }
    throw TrainingError(
      .alreadyRunning,
      "\(folder.path): another run is training here. Stop it, or give this one another output.")
  }
}
