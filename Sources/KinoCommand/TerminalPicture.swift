import Foundation
import Kino

/// Draws pictures on terminals that can show them.
struct TerminalPicture: Sendable {
  private enum Method { case kitty, iTerm }
  private let method: Method

  /// Finds out what the terminal can do; `nil` if it shows no pictures.
  init?(environment: [String: String]) {
    let program = environment["TERM_PROGRAM"] ?? ""
    // Multiplexers swallow what they do not know.
    if environment["TMUX"] != nil || environment["STY"] != nil { return nil }
    if environment["KITTY_WINDOW_ID"] != nil || environment["TERM"] == "xterm-kitty"
      || program == "ghostty"
    {
      method = .kitty
    } else if ["iTerm.app", "WezTerm"].contains(program) {
      method = .iTerm
    } else {
      return nil
    }
  }

  /// The characters that draw a picture at the cursor, and leave the cursor where it was.
  func text(_ picture: Frame) -> String? {
    guard let bytes = try? picture.encoded(as: .png) else { return nil }
    let data = Data(bytes).base64EncodedString()
    let rows = max(2, min(10, picture.height / 16))
    let room = String(repeating: "\n", count: rows) + "\u{1B}[\(rows)A"
    switch method {
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
