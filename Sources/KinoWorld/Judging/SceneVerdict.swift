import Foundation

/// What a judge says of a clip: for each question, how likely each answer is.
public struct SceneVerdict: Hashable, Sendable {
  /// What is said of one object.
  public struct Object: Hashable, Sendable {
    /// How likely it is that there is such an object.
    public var presence: Double
    /// For each of ``SceneAttributes/objectQuestions``, how likely each answer is.
    public var probabilities: [[Double]]

    /// Says how likely an object is, and how likely each answer about it.
    public init(presence: Double, probabilities: [[Double]]) {
      self.presence = presence
      self.probabilities = probabilities
    }
  }

  /// Every candidate; those with a presence above one half are in the clip.
  public var candidates: [Object]
  /// For each of ``SceneAttributes/sceneQuestions``, how likely each answer is.
  public var probabilities: [[Double]]

  /// Makes a verdict of candidates and what is said of the scene.
  public init(candidates: [Object], probabilities: [[Double]]) {
    self.candidates = candidates
    self.probabilities = probabilities
  }

  /// Reads a judge's logits.
  ///
  /// - Parameters:
  ///   - objects: A row a candidate: presence, then the answers of all questions one after the other.
  ///   - scene: The answers of all questions about the scene.
  public init(objectLogits objects: [[Float]], sceneLogits scene: [Float]) {
    self.init(
      candidates: objects.map { row in
        Object(
          presence: 1 / (1 + exp(-Double(row[0]))),
          probabilities: Self.split(row.dropFirst(), SceneAttributes.objectQuestions))
      },
      probabilities: Self.split(scene[...], SceneAttributes.sceneQuestions))
  }

  private static func split(
    _ logits: ArraySlice<Float>, _ questions: [SceneAttributes.Question]
  ) -> [[Double]] {
    precondition(
      logits.count == questions.reduce(0) { $0 + $1.answers.count },
      "SceneVerdict: \(logits.count) logits for the answers of \(questions.map(\.name))")
    var start = logits.startIndex
    return questions.map { question in
      let part = logits[start..<start + question.answers.count]
      start += question.answers.count
      let powers = part.map { exp(Double($0 - (part.max() ?? 0))) }
      let sum = powers.reduce(0, +)
      return powers.map { $0 / sum }
    }
  }

  /// The objects that are in the clip, at least one.
  public var objects: [Object] {
    let present = candidates.filter { $0.presence > 0.5 }
    if !present.isEmpty { return present }
    return candidates.max { $0.presence < $1.presence }.map { [$0] } ?? []
  }

  /// Which of ``objects`` each stated object is: the pairing under which all that is stated is likeliest. `nil`
  /// where there are fewer objects than stated.
  public func pairing(with stated: [SceneAttributes.Object]) -> [Int?] {
    let seen = objects
    func fit(_ object: SceneAttributes.Object, _ index: Int) -> Double {
      zip(object.answers, seen[index].probabilities).reduce(0) { sum, question in
        sum + (question.0.map { log(max(question.1[$0], 1e-6)) } ?? 0)
      }
    }
    var best: (fit: Double, pairing: [Int?]) = (-.infinity, stated.map { _ in nil })
    func extend(_ pairing: [Int?], _ sum: Double) {
      guard pairing.count < stated.count else {
        if sum > best.fit { best = (sum, pairing) }
        return
      }
      for index in seen.indices where !pairing.contains(index) {
        extend(pairing + [index], sum + fit(stated[pairing.count], index))
      }
      // Leaving one out is worth it only where there are too few.
      let missing = pairing.count { $0 == nil }
      if stated.count - missing > seen.count { extend(pairing + [nil], sum) }
    }
    extend([], 0)
    return best.pairing
  }
}

/// One stated attribute beside what a judge saw.
public struct SceneJudgement: Codable, Hashable, Sendable {
  /// For example `shape` for the first stated object, `other shape` for those after it, `ground`.
  public var attribute: String
  /// What was asked for.
  public var stated: String
  /// What the judge saw; `nil` where there was no such object.
  public var seen: String?

  /// Whether the judge saw what was asked for.
  public var isRight: Bool { stated == seen }

  /// Every attribute's name, in the order in which they are told.
  public static let attributes: [String] =
    SceneAttributes.objectQuestions.map(\.name)
    + SceneAttributes.objectQuestions.map { "other " + $0.name }
    + SceneAttributes.sceneQuestions.map(\.name)

  /// Sets a stated attribute beside what was seen.
  public init(attribute: String, stated: String, seen: String?) {
    self.attribute = attribute
    self.stated = stated
    self.seen = seen
  }
}

extension SceneVerdict {
  /// Judges all that is stated, and nothing else.
  public func judgements(of stated: SceneAttributes) -> [SceneJudgement] {
    func judge(
      _ questions: [SceneAttributes.Question], _ answers: [Int?], _ seen: [[Double]]?,
      prefix: String = ""
    ) -> [SceneJudgement] {
      questions.indices.compactMap { index in
        guard let answer = answers[index] else { return nil }
        let question = questions[index]
        return SceneJudgement(
          attribute: prefix + question.name, stated: question.answers[answer],
          seen: (seen?[index]).map { question.answers[Self.likeliest($0)] })
      }
    }
    let seen = objects
    let pairs = pairing(with: stated.objects)
    let ofObjects = stated.objects.indices.flatMap { index in
      judge(
        SceneAttributes.objectQuestions, stated.objects[index].answers,
        pairs[index].map { seen[$0].probabilities }, prefix: index == 0 ? "" : "other ")
    }
    return ofObjects + judge(SceneAttributes.sceneQuestions, stated.answers, probabilities)
  }

  static func likeliest(_ probabilities: [Double]) -> Int {
    probabilities.indices.max { probabilities[$0] < probabilities[$1] } ?? 0
  }
}
