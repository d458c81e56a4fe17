import Foundation
import Kino
import KinoWeights
import Testing

@Suite struct InspectionTests {
  @Test func `Inspection of a clip tells what will be seen`() throws {
    let folder = FileManager.default.temporaryDirectory
      .appendingPathComponent("kino-inspection-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: folder) }
    let frames = (0..<7).map { index in
      let level = UInt8(30 * index)
      return Frame(width: 32, height: 16, color: Color(red: level, green: level, blue: level))
    }
    func inspect(_ name: String, rate: Double) throws -> [String: JSONValue] {
      let path = folder.appendingPathComponent(name).path
      try Clip(frames: frames, framesPerSecond: rate).write(to: path)
      return Dictionary(
        uniqueKeysWithValues: try Inspection(path).facts.map { ($0.name, $0.value) })
    }
    let broadcast = try inspect("a.mp4", rate: 29.97)
    #expect(broadcast["frames"] == .integer(7) && broadcast["size"] == .string("32x16"))
    #expect(broadcast["rate"] == .string("30000/1001"))
    #expect(broadcast["colors"] == .string("BT.709, limited range"))
    #expect(broadcast["sound"] == nil && broadcast["rotation"] == nil)
    let animation = try inspect("a.webp", rate: 12)
    #expect(animation["frames"] == .integer(7) && animation["rate"] == nil)
    #expect(animation["frames_per_second"] == .number(12))
    #expect(animation["colors"] == .string("RGB"))
  }
}
