/// Names for files that nobody named.
public enum FileNames {
  /// Makes a file name, without an extension, of a prompt's first words.
  public static func slug(of prompt: String) -> String {
    var words: [Substring] = []
    var count = 0
    for word in prompt.lowercased().split(whereSeparator: { !$0.isLetter && !$0.isNumber }) {
      // In bytes, since that is what file systems limit.
      if count + word.utf8.count > 60 { break }
      words.append(word)
      count += word.utf8.count + 1
    }
    return words.isEmpty ? "kino" : words.joined(separator: "-")
  }
}
