internal import Foundation

/// Appends figures to a TensorBoard event file.
///
/// Records are length, checksum, data, checksum; the data is a protocol buffer `Event` with a
/// `Summary` of simple values. Both are so small that they are written out here.
struct EventFile {
  private let url: URL

  /// Starts a new file in `folder`; TensorBoard joins those of one folder by step.
  init(folder: URL) throws {
    let now = Date()
    url = folder.appendingPathComponent(
      "events.out.tfevents.\(Int(now.timeIntervalSince1970)).kino.\(ProcessInfo.processInfo.processIdentifier)"
    )
    var event = Fields()
    event.add(1, double: now.timeIntervalSince1970)
    event.add(3, bytes: Data("brain.Event:2".utf8))
    try Self.record(event.data).write(to: url)
  }

  /// Appends one event with every figure.
  func append(step: Int, time: Double, figures: [String: Double]) throws {
    var summary = Fields()
    for (name, value) in figures.sorted(by: { $0.key < $1.key }) where value.isFinite {
      var one = Fields()
      one.add(1, bytes: Data(name.utf8))
      one.add(2, float: Float(value))
      summary.add(1, bytes: one.data)
    }
    var event = Fields()
    event.add(1, double: time)
    event.add(2, integer: UInt64(step))
    event.add(5, bytes: summary.data)
    let handle = try FileHandle(forWritingTo: url)
    defer { try? handle.close() }
    try handle.seekToEnd()
    try handle.write(contentsOf: Self.record(event.data))
  }

  static func record(_ data: Data) -> Data {
    var length = Data()
    withUnsafeBytes(of: UInt64(data.count).littleEndian) { length.append(contentsOf: $0) }
    return length + checksum(length) + data + checksum(data)
  }

  /// The masked CRC-32C of the format.
  private static func checksum(_ data: Data) -> Data {
    let crc = crc32c(data)
    let masked = (crc >> 15 | crc << 17) &+ 0xA282_EAD8
    return withUnsafeBytes(of: masked.littleEndian) { Data($0) }
  }

  static func crc32c(_ data: Data) -> UInt32 {
    var crc: UInt32 = ~0
    for byte in data {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
    }
    return ~crc
  }
}

/// Fields of a protocol buffer message.
private struct Fields {
  private(set) var data = Data()

  private mutating func add(varint value: UInt64) {
    var value = value
    while value >= 0x80 {
      data.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    data.append(UInt8(value))
  }

  mutating func add(_ field: UInt64, integer value: UInt64) {
    add(varint: field << 3)
    add(varint: value)
  }

  mutating func add(_ field: UInt64, double value: Double) {
    add(varint: field << 3 | 1)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) }
  }

  mutating func add(_ field: UInt64, float value: Float) {
    add(varint: field << 3 | 5)
    withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) }
  }

  mutating func add(_ field: UInt64, bytes: Data) {
    add(varint: field << 3 | 2)
    add(varint: UInt64(bytes.count))
    data.append(bytes)
  }
}
