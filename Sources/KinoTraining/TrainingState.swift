internal import Foundation
internal import KinoNN
internal import KinoTensor
internal import KinoWeights

/// What a run must keep to go on exactly where it stopped.
///
/// Data and noise are functions of the seed and the step, so the step is their whole position.
struct TrainingState {
  /// Steps done.
  private(set) var step: Int
  let parameters: [(key: String, value: Tensor)]
  private let first: [Tensor]
  private let second: [Tensor]
  /// Whether Muon may move a parameter; AdamW moves the others.
  private let isMatrix: [Bool]
  /// What a parameter's rate is of the configured one.
  private let rateFactors: [Double]
  /// Running averages of the parameters, which samples and exports use.
  let averages: [Tensor]

  /// - Parameters:
  ///   - parameters: What is trained, by checkpoint key.
  ///   - isMatrix: Whether the parameter of a key is one; vectors never are.
  ///   - rateFactor: What the rate of a key's parameter is of the configured one.
  init(
    parameters: [(key: String, value: Tensor)], isMatrix: (String) -> Bool = { _ in true },
    rateFactor: (String) -> Double = { _ in 1 }
  ) {
    step = 0
    rateFactors = parameters.map { rateFactor($0.key) }
    self.isMatrix = parameters.map { key, value in
      value.rank > 1 && value.size(0) > 1 && value.count > value.size(0) && isMatrix(key)
    }
    self.parameters = parameters
    first = parameters.map { .zeros($0.value.shape, device: $0.value.device) }
    second = parameters.map { .zeros($0.value.shape, device: $0.value.device) }
    averages = parameters.map { $0.value.detached().copied() }
  }

  /// The averaged parameters by key.
  var averagedParameters: [(key: String, value: Tensor)] {
    zip(parameters, averages).map { ($0.key, $1) }
  }

  /// Applies the gradients that `backward()` left, and forgets them.
  ///
  /// - Returns: The norm of the gradients before clipping.
  /// - Throws: ``TrainingError`` if the norm is not finite; nothing is changed then.
  mutating func update(_ settings: TrainingConfiguration.OptimizerSettings, of steps: Int) throws
    -> Double
  {
    let values = parameters.map(\.value)
    let norm = gradientNorm(of: values)
    guard norm.isFinite else {
      throw TrainingError(
        .notFinite,
        "step \(step + 1): the gradients are not finite. The last checkpoint is intact; lower learning_rate or clip_norm and start again."
      )
    }
    step += 1
    move(settings, scale: settings.scale(step: step, of: steps), norm: norm)
    for value in values { value.clearGradient() }
    // Early averages would remember the random start.
    let decay = min(settings.averageDecay, (1 + Double(step)) / (10 + Double(step)))
    interpolate(averages, towards: values, weight: 1 - decay)
    return norm
  }

  private func move(
    _ settings: TrainingConfiguration.OptimizerSettings, scale: Double, norm: Double
  ) {
    let values = parameters.map(\.value)
    let gradientScale = min(1, settings.clipNorm / max(norm, 1e-12))
    let usesMuon = isMatrix.map { $0 && settings.matrixRate != nil }
    for factor in Set(rateFactors).sorted() {
      let group = values.indices.filter { rateFactors[$0] == factor }
      let (matrices, others) = (group.filter { usesMuon[$0] }, group.filter { !usesMuon[$0] })
      muon(
        parameters: matrices.map { values[$0] }, momentum: matrices.map { first[$0] },
        options: MuonOptions(
          learningRate: (settings.matrixRate ?? 0) * scale * factor,
          weightDecay: settings.weightDecay),
        gradientScale: gradientScale)
      adamW(
        parameters: others.map { values[$0] }, first: others.map { first[$0] },
        second: others.map { second[$0] }, decays: others.map { values[$0].rank > 1 },
        options: AdamWOptions(
          learningRate: settings.learningRate * scale * factor, beta2: settings.beta2,
          weightDecay: settings.weightDecay),
        gradientScale: gradientScale, step: step)
    }
  }
}

// MARK: - Checkpoints

extension TrainingState {
  private static let parts = ["parameters", "first", "second", "averages"]

  private struct Position: Codable {
    var step: Int
    /// For whoever looks; a run may go on with other settings, so it is not read back.
    var configuration: TrainingConfiguration?

    init(step: Int, configuration: TrainingConfiguration) {
      self.step = step
      self.configuration = configuration
    }

    init(from decoder: any Decoder) throws {
      step = try decoder.container(keyedBy: CodingKeys.self).decode(Int.self, forKey: .step)
    }
  }

  /// Writes `checkpoint-STEP` beside the others; it has its name only when complete. Older ones but
  /// one are removed.
  func write(to folder: URL, configuration: TrainingConfiguration) throws {
    let manager = FileManager.default
    let name = "checkpoint-\(step)"
    let partial = folder.appendingPathComponent(".partial-\(name)")
    let target = folder.appendingPathComponent(name)
    do {
      try? manager.removeItem(at: partial)
      try manager.createDirectory(at: partial, withIntermediateDirectories: true)
      let lists = [parameters.map(\.value), first, second, averages]
      for (part, tensors) in zip(Self.parts, lists) {
        try WeightSet.write(
          zip(parameters, tensors).map { ($0.key, $1.moved(to: .cpu)) }, to: partial, stem: part,
          metadata: ["step": "\(step)"])
      }
      let position = try JSONEncoder().encode(Position(step: step, configuration: configuration))
      try position.write(to: partial.appendingPathComponent("state.json"))
      if manager.fileExists(atPath: target.path) { try manager.removeItem(at: target) }
      try manager.moveItem(at: partial, to: target)
    } catch let error as CocoaError {
      throw TrainingError(
        .cannotWrite,
        "\(target.path): the checkpoint can't be written. \(error.localizedDescription) Free some space and start again."
      )
    }
    for old in Self.checkpoints(in: folder).dropLast(2) { try? manager.removeItem(at: old.url) }
  }

  /// Checkpoints in a folder, oldest first.
  static func checkpoints(in folder: URL) -> [(step: Int, url: URL)] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.compactMap { name in
      guard name.hasPrefix("checkpoint-"), let step = Int(name.dropFirst("checkpoint-".count))
      else { return nil }
      return (step, folder.appendingPathComponent(name))
    }
    .sorted { $0.step < $1.step }
  }

  /// Takes up the newest checkpoint that can be read, if there is one.
  ///
  /// - Returns: Its folder.
  mutating func resume(from folder: URL) throws -> URL? {
    var fault: (any Error)?
    for checkpoint in Self.checkpoints(in: folder).reversed() {
      do {
        try load(checkpoint.url)
        return checkpoint.url
      } catch {
        fault = fault ?? error
      }
    }
    if let fault {
      throw TrainingError(
        .badCheckpoint,
        "\(folder.path): no checkpoint can be read. \(fault) Remove the folder to start anew.")
    }
    return nil
  }

  private mutating func load(_ folder: URL) throws {
    let data = try Data(contentsOf: folder.appendingPathComponent("state.json"))
    let position = try JSONDecoder().decode(Position.self, from: data)
    for (part, tensors) in zip(Self.parts, [parameters.map(\.value), first, second, averages]) {
      let weights = try WeightSet(at: folder.appendingPathComponent("\(part).safetensors"))
      try weights.copy(into: zip(parameters, tensors).map { ($0.key, $1) })
    }
    step = position.step
  }
}

extension WeightSet {
  /// Gives tensors the values stored under their keys, which must be all there are.
  func copy(into tensors: [(key: String, value: Tensor)]) throws {
    let contract = KeyContract(
      shapes: Dictionary(tensors.map { ($0.key, $0.value.shape) }) { first, _ in first })
    try contract.check(shapes, at: url.path)
    for (key, value) in tensors { value.assign(inPlace: try tensor(named: key).cast(to: .float32)) }
  }
}
