internal import Foundation

/// Keeps a second run out of an output folder: both would write the same checkpoints and latents.
///
/// The lock is the system's and goes with the process, however that ends.
final class RunLock {
  private let descriptor: CInt

  /// Takes the lock of a folder.
  ///
  /// - Throws: ``TrainingError`` if another run holds it or the folder can't be written.
  init(folder: URL) throws {
    let path = folder.appendingPathComponent(".lock").path
    descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      throw TrainingError(
        .cannotWrite, "\(folder.path): can't be written. \(String(cString: strerror(errno)))")
    }
    // What is thrown from here on runs `deinit`, which closes the file: closed twice, it might be another's.
    guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
      throw TrainingError(
        .alreadyRunning,
        "\(folder.path): another run is training here. Stop it, or give this one another output.")
    }
  }

  deinit { close(descriptor) }
}
