import Foundation
public import KinoMedia
internal import KinoWorld

extension JudgeReport {
  /// A table: a row an attribute, shares in percent with 95% error bars.
  ///
  /// - Parameters:
  ///   - name: The model's name.
  ///   - others: Another model's name, its report and the differences to it, for further columns.
  /// - Returns: Lines of text.
  public func table(
    name: String, comparedWith others: (name: String, report: JudgeReport, [Difference])? = nil
  ) -> String {
    let otherScores = others.map { $0.report.scores + [$0.report.allRight] }
    var lines = [
      Self.cells(
        ["attribute", "clips", name, "chance", "restored", "rendered"]
          + (others.map { [$0.name, "difference"] } ?? []))
    ]
    for (index, score) in (scores + [allRight]).enumerated() {
      var row = [
        score.attribute == "all" ? "all of it" : score.attribute, "\(score.model.count)",
        Self.percent(score.model), Self.percent(score.chance),
        score.restored.map { Self.percent($0.share) } ?? "-",
        score.rendered.map { Self.percent($0.share) } ?? "-",
      ]
      if let others, let otherScores {
        let difference = others.2[index]
        row += [
          Self.percent(otherScores[index].model),
          String(format: "%+.1f +-%.1f", difference.value * 100, difference.error * 100),
        ]
      }
      lines.append(Self.cells(row))
    }
    return lines.joined(separator: "\n")
  }

  private static func cells(_ texts: [String]) -> String {
    let widths = [16, 6, 20, 8, 9, 9, 20, 14]
    return zip(texts, widths).enumerated().map { column, cell in
      let space = String(repeating: " ", count: max(0, cell.1 - cell.0.count))
      return column == 0 ? cell.0 + space : space + cell.0
    }.joined(separator: " ")
  }

  private static func percent(_ share: Double) -> String { String(format: "%.1f", share * 100) }

  private static func percent(_ proportion: Proportion) -> String {
    let interval = proportion.interval
    return String(
      format: "%.1f (%.0f-%.0f)", proportion.share * 100, interval.lowerBound * 100,
      interval.upperBound * 100)
  }

  /// One line of JSON for each attribute and one for all of it together.
  ///
  /// - Parameters:
  ///   - model: The model's name.
  ///   - differences: To another model, in the order of the scores, the last for all of it.
  /// - Returns: Lines, keys sorted.
  public func jsonLines(model: String, differences: [Difference]? = nil) -> [String] {
    struct Line: Encodable {
      var event, model, attribute: String
      var clips, right: Int
      var share, low, high, chance: Double
      var restored, rendered, difference, differenceError: Double?

      enum CodingKeys: String, CodingKey {
        case event, model, attribute, clips, right, share, low, high, chance, restored, rendered
        case difference
        case differenceError = "difference_error"
      }
    }
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys]
    return (scores + [allRight]).enumerated().compactMap { index, score in
      let interval = score.model.interval
      let line = Line(
        event: score.attribute == "all" ? "summary" : "attribute", model: model,
        attribute: score.attribute, clips: score.model.count, right: score.model.right,
        share: score.model.share, low: interval.lowerBound, high: interval.upperBound,
        chance: score.chance, restored: score.restored?.share, rendered: score.rendered?.share,
        difference: differences?[index].value, differenceError: differences?[index].error)
      return (try? encoder.encode(line)).map { String(decoding: $0, as: UTF8.self) }
    }
  }

  /// A picture of the clips with what was seen in each, the worst first.
  ///
  /// - Parameter limit: The most rows.
  /// - Returns: The picture.
  /// - Throws: `MediaError` if no clip was kept.
  public func sheet(limit: Int = 100) throws -> Frame {
    let sorted = entries.enumerated().sorted {
      ($0.element.shareRight, $0.offset) < ($1.element.shareRight, $1.offset)
    }
    let rows = sorted.prefix(limit).compactMap { _, entry -> ContactSheet.Row? in
      guard let highlights = entry.highlights else { return nil }
      let wrong = entry.judgements.filter { !$0.isRight }.map {
        "\($0.attribute) \($0.seen ?? "none") not \($0.stated)"
      }
      let verdict = wrong.isEmpty ? "all right" : wrong.joined(separator: ", ")
      return ContactSheet.Row(highlights, label: "\(verdict) - \(entry.prompt)")
    }
    return try ContactSheet(rows: rows).render()
  }
}
