/// A list in the header of a GGUF file: where it is, to be read when it is asked for.
struct MetadataList: Sendable {
  let type: GGUFHeader.ValueType
  let count: Int
  /// Where its values lie in the file.
  let range: Range<Int>
}

extension WeightFile {
  /// Reads a list of texts of the header, such as `tokenizer.ggml.tokens`.
  ///
  /// - Returns: The texts, or nil if the header has no list of texts of that name.
  /// - Throws: ``WeightsError`` if a text is not UTF-8 or the file was changed since opening.
  public func texts(_ name: String) throws(WeightsError) -> [String]? {
    guard let list = lists[name], list.type == .string else { return nil }
    var cursor = FileCursor(mapping, from: list.range.lowerBound, to: list.range.upperBound)
    var texts: [String] = []
    texts.reserveCapacity(list.count)
    for _ in 0..<list.count {
      let length = try cursor.count(atMost: list.range.count, "the length of a text")
      texts.append(try cursor.text(length, "a text of \(quoted(name))"))
    }
    return texts
  }

  /// Reads a list of numbers of the header, such as `tokenizer.ggml.scores`.
  ///
  /// - Returns: The numbers, or nil if the header has no list of numbers of that name.
  /// - Throws: ``WeightsError`` if the file was changed since opening.
  public func numbers(_ name: String) throws(WeightsError) -> [Double]? {
    guard let list = lists[name], list.type != .string else { return nil }
    var cursor = FileCursor(mapping, from: list.range.lowerBound, to: list.range.upperBound)
    var numbers: [Double] = []
    numbers.reserveCapacity(list.count)
    for _ in 0..<list.count {
      numbers.append(try GGUFHeader.number(list.type, &cursor))
    }
    return numbers
  }
}
