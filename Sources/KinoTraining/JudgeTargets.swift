internal import Foundation
internal import KinoModels
internal import KinoTensor
internal import KinoWorld

/// What a judge should say of a batch, and the loss where it says otherwise.
///
/// Objects are a set, taught to as many slots from the first on: of all ways to deal them out, the one under which
/// the slots' answers and gazes are least wrong already, where slots prefer the objects' order from the left. So a
/// scene in which "leftmost" is a matter of opinion teaches nothing false, and how many slots hold an object is
/// how many there are.
struct JudgeTargets {
  let configuration: Judge.Configuration
  let samples: [(sample: JudgeSample, coverage: [[Float]])]

  private var width: Int { configuration.objectWidth }
  private var slotCount: Int { configuration.slotCount }
  private var cellCount: Int { configuration.cellCount }
  private var frames: Int { samples[0].sample.frames }

  /// Where the answers of each question about an object lie in a row.
  private var objectRanges: [Range<Int>] {
    Self.ranges(configuration.objectQuestions, from: 1)
  }

  static func ranges(_ questions: [Judge.Question], from start: Int) -> [Range<Int>] {
    var start = start
    return questions.map { question in
      defer { start += question.answers.count }
      return start..<start + question.answers.count
    }
  }

  /// The loss of a judge's answers, and its parts.
  func loss(_ answers: Judge.Answers) -> (loss: Tensor, parts: [String: Tensor]) {
    let slots = slotsOfObjects(answers)
    var objects = [Float](repeating: 0, count: samples.count * slotCount * width)
    var gaze = [Float](repeating: 0, count: samples.count * frames * slotCount * cellCount)
    var cells = [Float](repeating: 0, count: samples.count * frames * cellCount * width)
    var scene = [Float](
      repeating: 0, count: samples.count * configuration.sceneWidth)
    let sceneRanges = Self.ranges(configuration.sceneQuestions, from: 0)
    for (index, (sample, coverage)) in samples.enumerated() {
      for (range, answer) in zip(sceneRanges, sample.attributes.answers) {
        if let answer { scene[index * configuration.sceneWidth + range.lowerBound + answer] = 1 }
      }
      for (number, object) in sample.attributes.objects.enumerated() {
        let slot = slots[index][number]
        mark(object, in: &objects, at: (index * slotCount + slot) * width, weight: 1)
        fillGaze(coverage[number], in: &gaze, sample: index, slot: slot)
      }
      fillCells(sample.attributes.objects, coverage, in: &cells, sample: index)
    }
    let (count, device) = (samples.count, answers.objects.device)
    func target(_ values: [Float], _ shape: [Int]) -> Tensor {
      Tensor(values, shape: [count] + shape).moved(to: device)
    }
    let objectTargets = target(objects, [slotCount, width])
    let cellTargets = target(cells, [frames, cellCount, width])
    let sceneTargets = target(scene, [configuration.sceneWidth])
    let gazeTargets = target(gaze, [frames, slotCount, cellCount])
    let parts: [String: Tensor] = [
      "objects": entropy(answers.objects, objectTargets, objectRanges),
      "presence": presence(answers.objects, objectTargets) * 4,
      "scene": entropy(answers.scene, sceneTargets, sceneRanges),
      "gaze": -((answers.gaze + 1e-4).log() * gazeTargets).sum()
        / max(1, gaze.reduce(0, { $0 + Double($1) })) * 0.3,
      "cells": entropy(answers.cells, cellTargets, objectRanges) * 0.5,
      "cell_presence": presence(answers.cells, cellTargets) * 4,
    ]
    let zero = Tensor(0).moved(to: device)
    return (parts.sorted { $0.key < $1.key }.reduce(zero) { $0 + $1.value }, parts)
  }

  // MARK: - Parts

  /// The sum over questions of the mean cross-entropy, over the rows that have an answer.
  private func entropy(_ logits: Tensor, _ targets: Tensor, _ ranges: [Range<Int>]) -> Tensor {
    let axis = logits.rank - 1
    return ranges.reduce(Tensor(0).moved(to: logits.device)) { sum, range in
      let (part, target) = (logits.slice(axis, range), targets.slice(axis, range))
      let weight = withoutGradient { target.sum().item() }
      if weight == 0 { return sum }
      let level = part - part.detached().max(along: axis, keepingDimensions: true)
      let logProbabilities = level - level.exp().sum(along: axis, keepingDimensions: true).log()
      return sum - (logProbabilities * target).sum() / weight
    }
  }

  /// The mean cross-entropy of whether something is there.
  private func presence(_ logits: Tensor, _ targets: Tensor) -> Tensor {
    let axis = logits.rank - 1
    let (part, target) = (logits.select(axis, 0), targets.select(axis, 0))
    return (part.softplus() - part * target).mean()
  }

  private func mark(
    _ object: SceneAttributes.Object, in values: inout [Float], at start: Int, weight: Float
  ) {
    values[start] = weight
    for (range, answer) in zip(objectRanges, object.answers) {
      if let answer { values[start + range.lowerBound + answer] = weight }
    }
  }

  /// A slot's gaze should spread over what its object covers, in frames that show it.
  private func fillGaze(
    _ coverage: [Float], in values: inout [Float], sample: Int, slot: Int
  ) {
    for frame in 0..<frames {
      let part = coverage[frame * cellCount..<(frame + 1) * cellCount]
      let sum = part.reduce(0, +)
      if sum == 0 { continue }
      let start = ((sample * frames + frame) * slotCount + slot) * cellCount
      for (cell, share) in part.enumerated() { values[start + cell] = share / sum }
    }
  }

  /// A cell should tell of the object that covers most of it, as surely as it is covered.
  private func fillCells(
    _ objects: [SceneAttributes.Object], _ coverage: [[Float]], in values: inout [Float],
    sample: Int
  ) {
    for place in 0..<frames * cellCount {
      guard let most = objects.indices.max(by: { coverage[$0][place] < coverage[$1][place] }),
        coverage[most][place] > 0
      else { continue }
      mark(
        objects[most], in: &values, at: (sample * frames * cellCount + place) * width,
        weight: coverage[most][place])
    }
  }

  // MARK: - Slots

  /// The slot that each object of each sample is taught to.
  private func slotsOfObjects(_ answers: Judge.Answers) -> [[Int]] {
    let (logits, gaze) = withoutGradient {
      (answers.objects.floats(), (answers.gaze + 1e-4).log().floats())
    }
    return samples.indices.map { index in
      let (sample, coverage) = samples[index]
      let verdict = SceneVerdict(
        objectLogits: (0..<slotCount).map { slot in
          let start = (index * slotCount + slot) * width
          return Array(logits[start..<start + width])
        }, sceneLogits: [Float](repeating: 0, count: configuration.sceneWidth))
      let costs = sample.attributes.objects.indices.map { number in
        sample.attributes.objects.indices.map { slot in
          cost(sample.attributes.objects[number], verdict.candidates[slot])
            + gazeCost(coverage[number], gaze, sample: index, slot: slot)
            + 0.5 * Double(abs(slot - number))
        }
      }
      return Self.cheapest(costs)
    }
  }

  private func cost(
    _ object: SceneAttributes.Object, _ candidate: SceneVerdict.Object
  ) -> Double {
    zip(object.answers.prefix(2), candidate.probabilities).reduce(0) { sum, question in
      sum - (question.0.map { max(-4, log(question.1[$0])) } ?? 0)
    }
  }

  private func gazeCost(_ coverage: [Float], _ gaze: [Float], sample: Int, slot: Int) -> Double {
    var (sum, weight) = (0.0, 0.0)
    for frame in 0..<frames {
      let start = ((sample * frames + frame) * slotCount + slot) * cellCount
      for cell in 0..<cellCount where coverage[frame * cellCount + cell] > 0 {
        let share = Double(coverage[frame * cellCount + cell])
        sum -= share * Double(gaze[start + cell])
        weight += share
      }
    }
    return weight == 0 ? 0 : sum / weight
  }

  /// The choice of a different column for each row that costs least.
  static func cheapest(_ costs: [[Double]]) -> [Int] {
    var best: (cost: Double, columns: [Int]) = (.infinity, Array(costs.indices))
    func extend(_ columns: [Int], _ sum: Double) {
      if sum >= best.cost { return }
      guard columns.count < costs.count else {
        best = (sum, columns)
        return
      }
      for column in costs[columns.count].indices where !columns.contains(column) {
        extend(columns + [column], sum + costs[columns.count][column])
      }
    }
    extend([], 0)
    return best.columns
  }
}
