public import KinoMedia
public import KinoWorld

/// How often a model showed what its prompts stated, attribute by attribute.
public struct JudgeReport: Sendable {
  /// One prompt's clip, and what was seen in it.
  public struct Entry: Sendable {
    /// What the model was given.
    public var prompt: String
    /// What was stated.
    public var stated: SceneAttributes
    /// What the judge said of the model's clip.
    public var verdict: SceneVerdict
    /// What the judge said of a render of the same scene; `nil` where that was left out.
    public var rendered: SceneVerdict?
    /// What the judge said of that render after the model's autoencoder.
    public var restored: SceneVerdict?
    /// Up to six frames of the model's clip, to look at.
    public var highlights: Clip?

    /// Puts together what was said of one prompt.
    public init(
      prompt: String, stated: SceneAttributes, verdict: SceneVerdict,
      rendered: SceneVerdict? = nil, restored: SceneVerdict? = nil, highlights: Clip? = nil
    ) {
      self.prompt = prompt
      self.stated = stated
      self.verdict = verdict
      self.rendered = rendered
      self.restored = restored
      self.highlights = highlights
    }

    /// Every stated attribute beside what was seen.
    public var judgements: [SceneJudgement] { verdict.judgements(of: stated) }
    /// The share of stated attributes that were seen, in `0...1`.
    public var shareRight: Double {
      let judgements = judgements
      return Double(judgements.count { $0.isRight }) / Double(max(1, judgements.count))
    }
    /// Whether all that was stated was seen.
    public var isAllRight: Bool { judgements.allSatisfy(\.isRight) }
  }

  /// One attribute over all prompts that state it.
  public struct Score: Codable, Hashable, Sendable {
    /// For example `shape`, `other colour`, `camera`; `all` for everything stated together.
    public var attribute: String
    /// How often the model's clips were right.
    public var model: Proportion
    /// The share that would be right if every clip were judged by the other prompts.
    public var chance: Double
    /// How often renders of the same scenes were right: the judge's own limit.
    public var rendered: Proportion?
    /// How often those renders were right after the model's autoencoder: the model's limit.
    public var restored: Proportion?
  }

  /// What was said, in the order of the prompts.
  public let entries: [Entry]

  /// Makes a report of judged entries.
  public init(_ entries: [Entry]) { self.entries = entries }

  /// A score for each attribute that any prompt states, in a fixed order.
  public var scores: [Score] {
    let chances = chances
    return SceneJudgement.attributes.compactMap { attribute in
      let model = proportion(attribute) { $0.verdict }
      if model.count == 0 { return nil }
      let isBounded = entries.allSatisfy { $0.rendered != nil && $0.restored != nil }
      return Score(
        attribute: attribute, model: model, chance: chances[attribute]?.share ?? 0,
        rendered: isBounded ? proportion(attribute) { $0.rendered } : nil,
        restored: isBounded ? proportion(attribute) { $0.restored } : nil)
    }
  }

  /// How often everything stated was right at once.
  public var allRight: Score {
    func proportion(_ verdict: (Entry) -> SceneVerdict?) -> Proportion? {
      let said = entries.compactMap { entry in
        verdict(entry).map { $0.judgements(of: entry.stated).allSatisfy(\.isRight) }
      }
      return said.count == entries.count
        ? Proportion(right: said.count { $0 }, of: said.count) : nil
    }
    return Score(
      attribute: "all",
      model: Proportion(right: entries.count { $0.isAllRight }, of: entries.count),
      chance: chances["all"]?.share ?? 0, rendered: proportion { $0.rendered },
      restored: proportion { $0.restored })
  }

  private func proportion(_ attribute: String, _ verdict: (Entry) -> SceneVerdict?) -> Proportion {
    let those = entries.flatMap { entry in
      (verdict(entry)?.judgements(of: entry.stated) ?? []).filter { $0.attribute == attribute }
    }
    return Proportion(right: those.count { $0.isRight }, of: those.count)
  }

  /// How often each attribute, and `all`, is right when prompts are judged by other prompts' entries.
  private var chances: [String: Proportion] {
    var found: [String: Proportion] = [:]
    func add(_ name: String, _ isRight: Bool) {
      let old = found[name] ?? Proportion(right: 0, of: 0)
      found[name] = Proportion(right: old.right + (isRight ? 1 : 0), of: old.count + 1)
    }
    for offset in 1..<max(1, min(entries.count, 41)) {
      for index in entries.indices {
        let other = entries[(index + offset) % entries.count].verdict
        let judgements = other.judgements(of: entries[index].stated)
        for judgement in judgements { add(judgement.attribute, judgement.isRight) }
        add("all", judgements.allSatisfy(\.isRight))
      }
    }
    return found
  }

  /// How much better another model did on the same prompts.
  public struct Difference: Codable, Hashable, Sendable {
    /// The attribute, or `all`.
    public var attribute: String
    /// The other model's share minus this one's, in `-1...1`.
    public var value: Double
    /// Half the width of the 95% interval around it.
    public var error: Double
  }

  /// Compares with another model on the same prompts, each clip with its counterpart.
  ///
  /// - Throws: ``EvaluationError`` if the prompts differ.
  public func difference(to other: JudgeReport) throws -> [Difference] {
    guard entries.map(\.prompt) == other.entries.map(\.prompt) else {
      throw EvaluationError(
        .invalidSetting, "The two models were judged on different prompts; judge both on the same.")
    }
    let pairs = zip(entries, other.entries).map { ($0.judgements, $1.judgements) }
    let single = scores.map { score in
      let difference = Proportion.difference(
        pairs.flatMap { first, second in
          zip(first, second).filter { $0.0.attribute == score.attribute }
            .map { ($0.isRight, $1.isRight) }
        })
      return Difference(
        attribute: score.attribute, value: difference.value, error: difference.error)
    }
    let all = Proportion.difference(
      zip(entries, other.entries).map { ($0.isAllRight, $1.isAllRight) })
    return single + [Difference(attribute: "all", value: all.value, error: all.error)]
  }
}
