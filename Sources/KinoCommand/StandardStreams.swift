import ArgumentParser
import Foundation
import Kino
import Synchronization

/// The standard streams, any of which may be closed, full, or a pipe that nobody reads.
enum StandardStreams {
  /// Prepares the streams before any file is opened.
  ///
  /// A file opened in place of a closed stream would get its text. A reader of a pipe that goes away is no
  /// reason to leave a result half made.
  static func prepare() {
    signal(SIGPIPE, SIG_IGN)
    for descriptor in STDIN_FILENO...STDERR_FILENO where fcntl(descriptor, F_GETFD) < 0 {
      // For reading only: writing goes on to fail.
      _ = open("/dev/null", O_RDONLY)
    }
  }

  /// Why standard output could not be written, unless nobody reads it.
  private static let fault = Mutex<Int32?>(nil)

  /// Writes to standard output.
  static func output(_ text: String) {
    guard let number = write(Array(text.utf8), to: STDOUT_FILENO) else { return }
    if number != EPIPE && number != EBADF { fault.withLock { $0 = number } }
  }

  /// Writes to standard error, if it can be written.
  static func note(_ text: String) { _ = write(Array(text.utf8), to: STDERR_FILENO) }

  /// Writes bytes that are the result itself.
  ///
  /// - Throws: ``StudioError`` if they can't be written.
  static func send(_ bytes: [UInt8]) throws {
    guard let number = write(bytes, to: STDOUT_FILENO) else { return }
    throw StudioError(.notWritten, unwritable(number))
  }

  /// The status to end with: a failure if results that were to be printed are lost.
  static func status(after status: Int32) -> Int32 {
    let isFlushed = fflush(nil) == 0
    let number = isFlushed ? nil : errno
    guard let lost = fault.withLock({ $0 }) ?? number, lost != EPIPE, lost != EBADF else {
      return status
    }
    note("error: \(unwritable(lost))\n")
    return status == ExitStatus.done ? ExitStatus.failed : status
  }

  private static func unwritable(_ number: Int32) -> String {
    "Standard output can't be written (\(String(cString: strerror(number)))); send it elsewhere."
  }

  /// Writes all bytes; gives the system's number of what went wrong.
  private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32? {
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
      if count < 0 && errno == EINTR { continue }
      if count < 0 && errno == EAGAIN {
        var ready = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        poll(&ready, 1, -1)
        continue
      }
      guard count > 0 else { return count < 0 ? errno : ENOSPC }
      rest = rest.dropFirst(count)
    }
    return nil
  }
}

/// Text that is piped in.
enum StandardInput {
  /// All of it, as UTF-8, up to a prompt's limit.
  static func text() throws -> String {
    let data: Data
    do {
      data = try FileHandle.standardInput.read(upToCount: Limits.promptLength * 4 + 1) ?? Data()
    } catch {
      throw ValidationError("Standard input can't be read; pipe a text into it.")
    }
    guard let text = String(data: data, encoding: .utf8) else {
      throw ValidationError("Standard input is not UTF-8 text.")
    }
    return text
  }
}
