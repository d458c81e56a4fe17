import Foundation
import Kino

/// Draws pictures on terminals that can show them.
struct TerminalPicture: Sendable {
  private enum Method { case kitty, iTerm, sixel }
  private let method: Method

  /// Finds out what the terminal can do; `nil` if it shows no pictures.
  init?(environment: [String: String]) {
    let (program, term) = (environment["TERM_PROGRAM"] ?? "", environment["TERM"] ?? "")
    // Multiplexers swallow what they do not know.
    if environment["TMUX"] != nil || environment["STY"] != nil { return nil }
    if environment["KITTY_WINDOW_ID"] != nil || term == "xterm-kitty"
      || program == "ghostty"
    {
      method = .kitty
    } else if ["iTerm.app", "WezTerm"].contains(program) {
      method = .iTerm
    } else if ["foot", "mlterm", "yaft", "contour"].contains(where: term.hasPrefix)
      || term.contains("sixel")
    {
      method = .sixel
    } else {
      return nil
    }
  }

  /// The characters that draw a picture at the cursor, and leave the cursor where it was.
  func text(_ picture: Frame) -> String? {
    let rows = max(2, min(10, picture.height / 16))
    let room = String(repeating: "\n", count: rows) + "\u{1B}[\(rows)A"
    if method == .sixel {
      // Rows of text are at least 16 pixels high on all but the smallest fonts.
      let height = rows * 16
      let width = max(1, picture.width * height / picture.height)
      guard let small = try? picture.resized(to: FrameSize(width, height)) else { return nil }
      return room + "\u{1B}7" + SixelPicture(small).text + "\u{1B}8"
    }
    guard let bytes = try? picture.encoded(as: .png) else { return nil }
    let data = Data(bytes).base64EncodedString()
    switch method {
    case .sixel: return nil
    case .kitty: return room + "\u{1B}7" + Self.kitty(data, rows: rows) + "\u{1B}8"
    case .iTerm:
      return room
        + "\u{1B}7\u{1B}]1337;File=inline=1;height=\(rows);preserveAspectRatio=1:\(data)\u{7}"
        + "\u{1B}8"
    }
  }

  /// Kitty's graphics protocol: pieces of 4096 characters; one image, replaced by the next.
  private static func kitty(_ data: String, rows: Int) -> String {
    var rest = Substring(data)
    var text = ""
    var keys = "a=T,f=100,i=7,p=1,q=2,C=1,r=\(rows),"
    while !rest.isEmpty {
      let piece = rest.prefix(4096)
      rest = rest.dropFirst(4096)
      text += "\u{1B}_G\(keys)m=\(rest.isEmpty ? 0 : 1);\(piece)\u{1B}\\"
      keys = ""
    }
    return text
  }
}
