import Foundation
import Kino
import Testing

@testable import KinoCommand

@Suite struct SixelTests {
  /// Draws what a terminal would, from the characters alone.
  func drawn(_ text: String) throws -> Frame {
    let body = try #require(text.split(separator: "q", maxSplits: 1).last).dropLast(2)
    let size = try #require(body.dropFirst().split(separator: "#").first)
      .split(separator: ";").compactMap { Int($0) }
    var frame = Frame(width: size[2], height: size[3], color: .black)
    var colors: [Int: Color] = [:]
    var (color, x, top) = (0, 0, 0)
    var rest = body.drop { $0 != "#" }
    func number() -> Int {
      let digits = rest.prefix { $0.isNumber }
      rest = rest.dropFirst(digits.count)
      return Int(digits) ?? 0
    }
    while let next = rest.popFirst() {
      var count = 1
      switch next {
      case "#":
        color = number()
        var parts: [Int] = []
        while rest.first == ";" {
          rest = rest.dropFirst()
          parts.append(number())
        }
        if parts.count == 4 {
          let levels = parts.dropFirst().map { UInt8($0 * 255 / 100) }
          colors[color] = Color(red: levels[0], green: levels[1], blue: levels[2])
        }
        continue
      case "$": x = 0
      case "-": (x, top) = (0, top + 6)
      default:
        var character = next
        if next == "!" {
          count = number()
          let following = rest.popFirst()
          character = try #require(following)
        }
        let bits = try #require(character.asciiValue) - 63
        let place = try #require(colors[color])
        for column in x..<x + count {
          for bit in 0..<6 where bits >> UInt8(bit) & 1 == 1 {
            frame[x: column, y: top + bit] = place
          }
        }
        x += count
      }
    }
    return frame
  }

  @Test(arguments: [(48, 30), (7, 13), (1, 1)])
  func `What a terminal draws is the picture, but for its number of colours`(
    width: Int, height: Int
  ) throws {
    var picture = Frame(width: width, height: height, color: .black)
    for y in 0..<height {
      for x in 0..<width {
        picture[x: x, y: y] = Color(
          red: UInt8(x * 255 / width), green: UInt8(y * 255 / height), blue: 200)
      }
    }
    let result = try drawn(SixelPicture(picture).text)
    #expect(result.size == picture.size)
    var sums = (0, 0)
    for (a, b) in zip(result.pixels, picture.pixels) {
      #expect(abs(Int(a) - Int(b)) <= 51)
      sums = (sums.0 + Int(a), sums.1 + Int(b))
    }
    // Dithering keeps the mean.
    if width > 20 { #expect(abs(sums.0 - sums.1) < sums.1 / 50) }
  }

  @Test func `Terminals are told by their names`() {
    func shows(_ environment: [String: String]) -> Bool {
      TerminalPicture(environment: environment) != nil
    }
    #expect(shows(["TERM": "foot"]) && shows(["TERM": "xterm-sixel"]))
    #expect(shows(["TERM": "xterm-kitty"]) && shows(["TERM_PROGRAM": "WezTerm"]))
    #expect(!shows(["TERM": "xterm-256color"]) && !shows(["TERM": "foot", "TMUX": "1"]))
    let picture = Frame(width: 64, height: 32, color: .white)
    #expect(
      TerminalPicture(environment: ["TERM": "foot"])?.text(picture)?.contains("\u{1B}P") == true)
  }
}
