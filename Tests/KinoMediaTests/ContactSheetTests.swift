import KinoMedia
import Testing

@Suite struct ContactSheetTests {
  @Test func `the sheet has the size its parts add up to`() throws {
    let rows = [
      ContactSheet.Row(Samples.clip(width: 32, height: 20, frameCount: 9), label: "seed 1"),
      ContactSheet.Row(Samples.clip(width: 64, height: 64, frameCount: 3)),
    ]
    let sheet = try ContactSheet(rows: rows, columnCount: 5, spacing: 4).render()
    #expect(sheet.size == FrameSize(width: 5 * 36 + 4, height: 2 * 24 + 4 + 9 + 4))
  }

  @Test func `columns go from the first frame to the last`() throws {
    let frames = (0..<9).map { index in
      Frame(width: 8, height: 8, color: Color(red: UInt8(index * 10), green: 0, blue: 0))
    }
    let clip = Clip(frames: frames, framesPerSecond: 8)
    let sheet = try ContactSheet(rows: [.init(clip)], columnCount: 5, spacing: 0).render()
    #expect((0..<5).map { sheet[x: $0 * 8 + 4, y: 4].red } == [0, 20, 40, 60, 80])
    let single = try ContactSheet(rows: [.init(clip)], columnCount: 1, spacing: 0).render()
    #expect(single == frames[0])
    let more = try ContactSheet(rows: [.init(clip[0..<2])], columnCount: 4, spacing: 0).render()
    #expect((0..<4).map { more[x: $0 * 8 + 4, y: 4].red } == [0, 0, 10, 10])
  }

  @Test func `labels are drawn, and long ones are cut`() throws {
    let clip = Clip(frames: [Frame(width: 60, height: 20, color: .black)], framesPerSecond: 1)
    func sheet(_ label: String) throws -> Frame {
      try ContactSheet(rows: [.init(clip, label: label)], columnCount: 1).render()
    }
    let blank = try sheet(" ")
    let labels = ["red", "Жёлтый", "a much longer label than the sheet is wide", "🎬"]
    let sheets = try labels.map(sheet)
    #expect(Set(sheets + [blank]).count == labels.count + 1)
    #expect(sheets.allSatisfy { $0.size == blank.size })
  }

  @Test func `a sheet without rows or frames is an error`() throws {
    #expect(throws: MediaError.self) { try ContactSheet(rows: []).render() }
    #expect(throws: MediaError.self) {
      try ContactSheet(rows: [.init(Samples.clip(frameCount: 1)[0..<0])]).render()
    }
  }
}
