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
  private let team: Team
  /// Which process moves a parameter and keeps its moments and average (ZeRO 1, arXiv:1910.02054); the
  /// others have nothing in their places.
  private let owners: [Int]
  private let first: [Tensor]
  private let second: [Tensor]
  /// Whether Muon may move a parameter; AdamW moves the others.
  private let isMatrix: [Bool]
  /// What a parameter's rate is of the configured one.
  private let rateFactors: [Double]
  /// Running averages of the parameters, which samples and exports use.
  private let averages: [Tensor]

  /// - Parameters:
  ///   - parameters: What is trained, by checkpoint key.
  ///   - isMatrix: Whether the parameter of a key is one; vectors never are.
  ///   - rateFactor: What the rate of a key's parameter is of the configured one.
  ///   - team: Who shares the state.
  init(
    parameters: [(key: String, value: Tensor)], isMatrix: (String) -> Bool = { _ in true },
    rateFactor: (String) -> Double = { _ in 1 }, team: Team = .alone
  ) {
    step = 0
    self.team = team
    let owners = Self.owners(of: parameters.map(\.value.count), among: team.size)
    self.owners = owners
    func kept(_ make: (Tensor) -> Tensor) -> [Tensor] {
      zip(parameters, owners).map { $1 == team.rank ? make($0.value) : .zeros([0]) }
    }
    rateFactors = parameters.map { rateFactor($0.key) }
    self.isMatrix = parameters.map { key, value in
      value.rank > 1 && value.size(0) > 1 && value.count > value.size(0) && isMatrix(key)
    }
    self.parameters = parameters
    first = kept { .zeros($0.shape, device: $0.device) }
    second = kept { .zeros($0.shape, device: $0.device) }
    averages = kept { $0.detached().copied() }
  }

  /// Deals parameters out, the largest first, each to who has least.
  static func owners(of counts: [Int], among size: Int) -> [Int] {
    var owners = counts.map { _ in 0 }
    var filled = [Int](repeating: 0, count: size)
    for index in counts.indices.sorted(by: { (counts[$1], $0) < (counts[$0], $1) }) {
      let least = filled.indices.min { (filled[$0], $0) < (filled[$1], $1) } ?? 0
      owners[index] = least
      filled[least] += counts[index]
    }
    return owners
  }

  private var owned: [Int] { owners.indices.filter { owners[$0] == team.rank } }

  /// The averaged parameters by key; all processes ask for them together.
  func averagedParameters() throws -> [(key: String, value: Tensor)] {
    zip(parameters, try whole(averages)).map { ($0.key, $1) }
  }

  private func empty(like index: Int) -> Tensor {
    let value = parameters[index].value
    return .zeros(value.shape, device: value.device)
  }

  /// What the processes keep of a list, whole in each.
  private func whole(_ list: [Tensor]) throws -> [Tensor] {
    guard let group = team.group else { return list }
    let all = list.indices.map { index in
      owners[index] == team.rank ? list[index] : empty(like: index)
    }
    for rank in 0..<team.size {
      try group.broadcast(
        inPlace: all.indices.filter { owners[$0] == rank }.map { all[$0] }, from: rank)
    }
    return all
  }

  /// Applies the gradients that `backward()` left, the same in all processes, and forgets them.
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
    if let group = team.group {
      for rank in 0..<team.size {
        try group.broadcast(
          inPlace: values.indices.filter { owners[$0] == rank }.map { values[$0].detached() },
          from: rank)
      }
    }
    for value in values { value.clearGradient() }
    // Early averages would remember the random start.
    let decay = min(settings.averageDecay, (1 + Double(step)) / (10 + Double(step)))
    let owned = owned
    interpolate(
      owned.map { averages[$0] }, towards: owned.map { values[$0] }, weight: 1 - decay)
    return norm
  }

  private func move(
    _ settings: TrainingConfiguration.OptimizerSettings, scale: Double, norm: Double
  ) {
    let values = parameters.map(\.value)
    let gradientScale = min(1, settings.clipNorm / max(norm, 1e-12))
    let usesMuon = isMatrix.map { $0 && settings.matrixRate != nil }
    for factor in Set(rateFactors).sorted() {
      let group = owned.filter { rateFactors[$0] == factor }
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

  /// Writes `checkpoint-STEP` beside the others, once for all processes; it has its name only when complete.
  /// Older ones but one are removed.
  func write(to folder: URL, configuration: TrainingConfiguration) throws {
    guard team.isFirst else {
      for list in [first, second, averages] {
        for index in writingOrder { _ = try member(index, of: list) }
      }
      return
    }
    let manager = FileManager.default
    let name = "checkpoint-\(step)"
    let partial = folder.appendingPathComponent(".partial-\(name)")
    let target = folder.appendingPathComponent(name)
    do {
      try? manager.removeItem(at: partial)
      try manager.createDirectory(at: partial, withIntermediateDirectories: true)
      let lists = [parameters.map(\.value), first, second, averages]
      let places = Dictionary(uniqueKeysWithValues: parameters.enumerated().map { ($1.key, $0) })
      for (part, list) in zip(Self.parts, lists) {
        try WeightSet.write(
          parameters.map { StoredTensor(name: $0.key, $0.value) }, to: partial, stem: part,
          metadata: ["step": "\(step)"]
        ) { stored, take in
          guard let index = places[stored.name] else { return }
          try member(index, of: list).moved(to: .cpu).withUnsafeBytes(take)
        }
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

  /// The order in which the writer asks for tensors of one type.
  private var writingOrder: [Int] {
    parameters.indices.sorted {
      parameters[$0].key.utf8.lexicographicallyPrecedes(parameters[$1].key.utf8)
    }
  }

  /// A tensor of a list, from the process that keeps it: all ask for it together.
  private func member(_ index: Int, of list: [Tensor]) throws -> Tensor {
    let own = list[index].detached()
    // Parameters are whole everywhere.
    guard let group = team.group, list[index].count == 0 || !list[index].requiresGradient else {
      return own
    }
    let value = owners[index] == team.rank ? own : empty(like: index)
    try group.broadcast(inPlace: [value], from: owners[index])
    return value
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

  /// Takes up the newest checkpoint that can be read, if there is one; the others follow the first process.
  ///
  /// - Returns: Its folder.
  mutating func resume(from folder: URL) throws -> URL? {
    guard team.isFirst else {
      let step = try team.agreed(0)
      guard step > 0 else { return nil }
      let place = folder.appendingPathComponent("checkpoint-\(step)")
      try load(place)
      return place
    }
    let place = try newest(in: folder)
    _ = try team.agreed(place == nil ? 0 : step)
    return place
  }

  private mutating func newest(in folder: URL) throws -> URL? {
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
      let all = zip(parameters, tensors).map { (key: $0.key, value: $1) }
      let isWhole = part == Self.parts[0]
      try weights.copy(into: isWhole ? all : owned.map { all[$0] }, outOf: parameters)
    }
    step = position.step
  }
}

extension WeightSet {
  /// Gives tensors the values stored under their keys, which must be all there are, or all of `others`.
  func copy(
    into tensors: [(key: String, value: Tensor)],
    outOf others: [(key: String, value: Tensor)]? = nil
  ) throws {
    let contract = KeyContract(
      shapes: Dictionary((others ?? tensors).map { ($0.key, $0.value.shape) }) { first, _ in first }
    )
    try contract.check(shapes, at: url.path)
    for (key, value) in tensors { value.assign(inPlace: try tensor(named: key).cast(to: .float32)) }
  }
}
