import Foundation
import KinoSystem
import KinoTestSupport
import Testing

@Suite("Locks of files")
struct FileLockTests {
  @Test func `A lock is held by one at a time, and free when its holder is gone`() throws {
    let folder = try TemporaryFolder()
    let path = folder["lock"].path
    do {
      let first = try FileLock.taken(at: path)
      #expect(first != nil)
      #expect(try FileLock.taken(at: path) == nil)
      withExtendedLifetime(first) {}
    }
    #expect(try FileLock.taken(at: path) != nil)
  }

  @Test func `A lock in a folder that is missing says so`() throws {
    let folder = try TemporaryFolder()
    let path = folder["none/lock"].path
    #expect { try FileLock.taken(at: path) } throws: { ($0 as? FileError)?.code == .fileNotFound }
  }
}
