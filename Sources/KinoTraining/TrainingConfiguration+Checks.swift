public import Foundation
internal import Kino
internal import KinoModels

extension TrainingConfiguration {
  /// Throws ``TrainingError`` where a value is out of range or two contradict each other.
  public func validate() throws {
    func require(_ holds: Bool, _ text: @autoclosure () -> String) throws {
      if !holds { throw TrainingError(.invalidConfiguration, "training configuration: \(text())") }
    }
    try require(
      [autoencoder != nil, transformer != nil, judge != nil].count { $0 } == 1,
      "expected one of `autoencoder`, `transformer` and `judge`")
    try require(
      device?.tensorDevice.isAvailable ?? true, "the device \(device?.rawValue ?? "") is not there")
    try require(steps > 0, "steps must be positive, found \(steps)")
    try require(
      1...4096 ~= accumulate ?? 1, "accumulate must be in 1...4096, found \(accumulate ?? 1)")
    let smallest = buckets.map(\.batch).min() ?? 1
    try require(
      1...max(1, smallest) ~= accumulate ?? 1,
      "accumulate cuts a batch into \(accumulate ?? 1) parts, and a bucket has a batch of \(smallest)"
    )
    try require(!buckets.isEmpty, "expected at least one bucket")
    for bucket in buckets {
      try require(
        bucket.width % 32 == 0 && bucket.height % 32 == 0 && 32...2048 ~= bucket.width
          && 32...2048 ~= bucket.height,
        "bucket \(bucket.width)x\(bucket.height): expected multiples of 32 in 32...2048")
      try require(
        bucket.frames >= 1 && bucket.frames % 4 == 1,
        "bucket frames must be 4n + 1, found \(bucket.frames)")
      try require(
        bucket.batch >= 1 && bucket.weight >= 0,
        "bucket batch must be positive and weight not negative")
      try require((1...8).contains(bucket.zoom ?? 1), "bucket zoom must be in 1...8")
      let window = bucket.window ?? 32
      try require(
        window >= 32 && window % 32 == 0 && window <= min(bucket.width, bucket.height),
        "bucket window must be a multiple of 32, no larger than the bucket, found \(window)")
      try require(
        bucket.samples ?? 1 >= 1, "bucket samples must be positive, found \(bucket.samples ?? 1)")
      try require(bucket.captions?.isEmpty != true, "bucket captions must name a length")
    }
    try require(
      buckets.contains { $0.weight > 0 && ($0.after ?? 0) <= 0 },
      "no bucket has a weight from the start")
    try require(
      data.folders.allSatisfy { !$0.path.isEmpty }, "data.folders: the path of one is empty")
    try require(
      data.world >= 0 && data.folders.allSatisfy { $0.weight >= 0 }
        && data.world + data.folders.reduce(0) { $0 + $1.weight } > 0,
      "expected data with a positive weight")
    try require(
      0...1 ~= data.crowding ?? 0 && (data.crowding == nil || transformer != nil),
      "data.crowding must be in 0...1, and is for a transformer")
    try require(
      transformer?.lora != nil || data.folders.allSatisfy { $0.prior != true },
      "data.folders: `prior` needs `lora`, beside which the start model is still there to be asked")
    try require(
      data.framesPerSecond > 0 && data.framesPerSecond <= 120,
      "frames_per_second must be in 0...120")
    try require(
      [optimizer.learningRate, optimizer.matrixRate ?? 0.5].allSatisfy { $0 > 0 && $0 < 1 },
      "learning_rate and matrix_rate must be in 0...1")
    try require(
      0..<1 ~= optimizer.averageDecay && 0...1 ~= optimizer.decayFraction,
      "average_decay and decay_fraction must be in 0...1")
    try require(
      schedule.checkpointMinutes > 0 && schedule.logSteps > 0,
      "checkpoint_minutes and log_steps must be positive")
    if let defaults = transformer?.defaults, let least = defaults.minimumSteps {
      try require(
        1...max(1, defaults.steps) ~= least,
        "minimum_steps must be in 1...\(defaults.steps), the default steps, found \(least)")
    }
    try require(
      [2, 4, 8].contains(autoencoder?.patch ?? 2),
      "an autoencoder's patch must be 2, 4 or 8, found \(autoencoder?.patch ?? 2)")
    try autoencoder?.model.validate()
    try judge?.validate(buckets)
    try require(
      [autoencoder?.movingWeight, autoencoder?.latentNoise].allSatisfy { 0...100 ~= $0 ?? 0 },
      "moving_weight and latent_noise must be in 0...100")
    try require(
      1...100 ~= autoencoder?.showings ?? 1,
      "showings must be in 1...100, found \(autoencoder?.showings ?? 1)")
    if let transformer {
      try require(
        [transformer.objectWeight, transformer.motionWeight, transformer.truth?.weight]
          .allSatisfy { 0...100 ~= $0 ?? 0 },
        "object_weight, motion_weight and the truth's weight must be in 0...100")
      try require(
        0...1 ~= transformer.truth?.until ?? 1
          && 0...transformer.layers ~= transformer.truth?.block ?? 0,
        "the truth's until must be in 0...1 and its block in 0...\(transformer.layers)")
    }
    if let transformer, let lora = transformer.lora {
      try require(
        transformer.start != nil, "a lora needs a model to start from, `transformer.start`")
      try require(
        transformer.truth == nil, "a lora has no truth to learn; leave `transformer.truth` out")
      try require(1...1024 ~= lora.rank, "lora.rank must be in 1...1024, found \(lora.rank)")
      try require(
        lora.alpha > 0 && lora.alpha.isFinite, "lora.alpha must be positive, found \(lora.alpha)")
      try require(
        !lora.targets.isEmpty && lora.targets.allSatisfy { !$0.isEmpty },
        "lora.targets must name layers, such as to_q")
    }
    try require(
      transformer?.freezesText != true || transformer?.start != nil,
      "a frozen_text needs a model to start from, `transformer.start`")
    try require(
      autoencoder?.freezesEncoder != true || autoencoder?.start != nil,
      "a frozen_encoder needs a start")
  }

  /// ``output`` as a folder.
  public var outputFolder: URL {
    URL(fileURLWithPath: output.expandingTilde)
  }
}
