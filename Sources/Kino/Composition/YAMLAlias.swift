/// A place in YAML that stands for a text elsewhere: a few lines of these can stand for more than there is
/// memory, so Kino reads none.
package struct YAMLAlias: CustomStringConvertible {
  private let name: String
  private let line: Int

  /// Finds the first alias whose anchor is in the text; `nil` if there is none.
  package init?(firstIn yaml: String) {
    guard yaml.contains("&"), yaml.contains("*") else { return nil }
    let anchors = Set(yaml.matches(of: /&([^\s,\[\]{}&*]+)/).map(\.1))
    for (index, line) in yaml.split(separator: "\n", omittingEmptySubsequences: false).enumerated()
    {
      for match in line.matches(of: /\*([^\s,\[\]{}&*]+)/) where anchors.contains(match.1) {
        (name, self.line) = (String(match.1), index + 1)
        return
      }
    }
    return nil
  }

  /// What is wrong, and what to do.
  package var description: String {
    "line \(line): the alias *\(name) stands for another text; write that out."
  }
}
