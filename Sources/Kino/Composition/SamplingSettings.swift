internal import KinoDiffusion
internal import KinoTensor

/// How shots are sampled; what is left `nil` is the model's choice.
///
/// The same value in requests, recipes and plans.
public struct SamplingSettings: Hashable, Sendable {
  /// The same seed and settings give the same frames; `nil` draws one.
  public var seed: UInt64?
  /// Sampling steps, 1...1000.
  public var stepCount: Int?
  /// The strength of the prompt, 0...100; 1 leaves the negative prompt out.
  public var guidanceScale: Double?
  /// The strength of the prompt at low noise, for models with an expert for it; `nil` is that of
  /// ``guidanceScale`` if it is given.
  public var lowNoiseGuidanceScale: Double?
  /// The noise, 0...1, at which the guidance is on; elsewhere a step costs half. `nil` is all of it. Clips
  /// are less exact with less.
  public var guidanceRange: ClosedRange<Double>?
  /// The strength of frames that are known, beside new ones, 0...20: 1 adds nothing, and with more each step at much
  /// noise costs half as much again. `nil` is the model's.
  public var historyGuidanceScale: Double?
  /// How far steps lean to high noise, 0.01...100: 1 spreads them evenly, and distilled and larger models are made
  /// for more. `nil` is the model's, which may grow with the clip.
  public var shift: Double?
  /// Steps whose first block changes by less than this share leave out the others, 0...1; `nil` for none.
  /// Less exact and faster.
  public var cacheThreshold: Double?
  /// The method of following velocities; `nil` is UniPC.
  public var sampler: SamplerKind?
  /// The type that the networks compute in; `nil` is what this machine is fastest with.
  public var precision: Precision?
  /// A small preview comes with every so many steps; 0 for none. Changes no frame, so it is not coded.
  public var previewInterval = 0

  /// Leaves everything to the model.
  public init(seed: UInt64? = nil, stepCount: Int? = nil, guidanceScale: Double? = nil) {
    self.seed = seed
    self.stepCount = stepCount
    self.guidanceScale = guidanceScale
  }
}

extension SamplingSettings: Codable {
  enum CodingKeys: String, CodingKey, CaseIterable {
    case seed, cache, sampler, precision, shift
    case stepCount = "steps"
    case guidanceScale = "guidance"
    case lowNoiseGuidanceScale = "low_noise_guidance"
    case guidanceRange = "guidance_range"
    case historyGuidanceScale = "history_guidance"
  }

  /// The names that settings have in JSON.
  package static var fieldNames: Set<String> { Set(CodingKeys.allCases.map(\.rawValue)) }

  /// Reads what is there; a range is an array of two numbers that rise.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    seed = try values.decodeIfPresent(UInt64.self, forKey: .seed)
    stepCount = try values.decodeIfPresent(Int.self, forKey: .stepCount)
    guidanceScale = try values.decodeIfPresent(Double.self, forKey: .guidanceScale)
    lowNoiseGuidanceScale = try values.decodeIfPresent(Double.self, forKey: .lowNoiseGuidanceScale)
    historyGuidanceScale = try values.decodeIfPresent(Double.self, forKey: .historyGuidanceScale)
    shift = try values.decodeIfPresent(Double.self, forKey: .shift)
    cacheThreshold = try values.decodeIfPresent(Double.self, forKey: .cache)
    sampler = try values.decodeIfPresent(SamplerKind.self, forKey: .sampler)
    precision = try values.decodeIfPresent(Precision.self, forKey: .precision)
    guard let ends = try values.decodeIfPresent([Double].self, forKey: .guidanceRange) else {
      return
    }
    guard ends.count == 2, ends[0] <= ends[1] else {
      throw DecodingError.dataCorruptedError(
        forKey: .guidanceRange, in: values, debugDescription: "expected two rising numbers")
    }
    guidanceRange = ends[0]...ends[1]
  }

  /// Writes what is not left to the model.
  public func encode(to encoder: any Encoder) throws {
    var values = encoder.container(keyedBy: CodingKeys.self)
    try values.encodeIfPresent(seed, forKey: .seed)
    try values.encodeIfPresent(stepCount, forKey: .stepCount)
    try values.encodeIfPresent(guidanceScale, forKey: .guidanceScale)
    try values.encodeIfPresent(lowNoiseGuidanceScale, forKey: .lowNoiseGuidanceScale)
    try values.encodeIfPresent(
      guidanceRange.map { [$0.lowerBound, $0.upperBound] }, forKey: .guidanceRange)
    try values.encodeIfPresent(historyGuidanceScale, forKey: .historyGuidanceScale)
    try values.encodeIfPresent(shift, forKey: .shift)
    try values.encodeIfPresent(cacheThreshold, forKey: .cache)
    try values.encodeIfPresent(sampler, forKey: .sampler)
    try values.encodeIfPresent(precision, forKey: .precision)
  }
}

/// The type that networks compute in.
public enum Precision: String, Codable, CaseIterable, Sendable {
  /// 32 bits: slow, and the reference for all others.
  case f32
  /// 16 bits with the range of 32.
  case bf16
  /// 8-bit whole numbers for the products of the transformer's blocks, bf16 for all else; on the CPU
  /// only. A step takes 0.6 (large models) to 0.8 (kino-mini) of bf16's time, and is a little less exact.
  case int8
}

extension Precision {
  /// The element type of products; with 8-bit weights, of all that is not such a product.
  var computeType: DType { self == .f32 ? .float32 : .bfloat16 }
}

/// Settings with every choice made.
struct ResolvedSampling: Hashable, Sendable {
  let seed: UInt64
  let stepCount: Int
  let guidanceScale: Double
  /// As ``guidanceScale`` for models of one transformer.
  let lowNoiseGuidanceScale: Double
  let guidanceRange: ClosedRange<Double>
  let historyGuidanceScale: Double
  /// `nil` is the model's.
  let shift: Double?
  /// 0 for none.
  let cacheThreshold: Double
  let sampler: SamplerKind
  let precision: Precision
  let previewInterval: Int

  /// Checks settings once, for all that follows, and makes every open choice.
  init(_ settings: SamplingSettings, model: Model) throws(StudioError) {
    let defaults = model.defaults
    seed = settings.seed ?? UInt64.random(in: 0..<1 << 32)
    stepCount = try within(1...1000, settings.stepCount ?? defaults.steps, "steps")
    guidanceScale = try within(0...100, settings.guidanceScale ?? defaults.guidance, "guidance")
    let standard = settings.guidanceScale ?? defaults.lowNoiseGuidance
    lowNoiseGuidanceScale = try within(
      0...100, settings.lowNoiseGuidanceScale ?? standard, "guidance at low noise")
    let range = settings.guidanceRange ?? 0...1
    _ = try within(0...1, range.lowerBound, "guidance range")
    _ = try within(0...1, range.upperBound, "guidance range")
    guidanceRange = range
    historyGuidanceScale = try within(
      0...20, settings.historyGuidanceScale ?? defaults.historyGuidance, "history guidance")
    shift = try settings.shift.map { value throws(StudioError) in
      try within(0.01...100, value, "shift")
    }
    cacheThreshold = try within(0...1, settings.cacheThreshold ?? 0, "cache")
    sampler = settings.sampler ?? .uniPC
    precision = settings.precision ?? (Engine.prefersBFloat16 ? .bf16 : .f32)
    previewInterval = model.profile.preview == nil ? 0 : max(0, settings.previewInterval)
  }

  /// Whether guidance leads any prompt away from a negative one: a text is not led away from itself.
  func leads(_ prompts: some Sequence<String>, awayFrom negative: String) -> Bool {
    (guidanceScale != 1 || lowNoiseGuidanceScale != 1) && prompts.contains { $0 != negative }
  }

  /// The settings as a recipe states them.
  var settings: SamplingSettings {
    var settings = SamplingSettings(
      seed: seed, stepCount: stepCount, guidanceScale: guidanceScale)
    settings.lowNoiseGuidanceScale =
      lowNoiseGuidanceScale == guidanceScale ? nil : lowNoiseGuidanceScale
    settings.guidanceRange = guidanceRange == 0...1 ? nil : guidanceRange
    settings.historyGuidanceScale = historyGuidanceScale
    settings.shift = shift
    settings.cacheThreshold = cacheThreshold > 0 ? cacheThreshold : nil
    settings.sampler = sampler
    settings.precision = precision
    return settings
  }
}

/// Gives the value if it is in the range. Written so that NaN is not.
func within<Value: Comparable>(
  _ range: ClosedRange<Value>, _ value: Value, _ name: String
) throws(StudioError) -> Value {
  if value >= range.lowerBound && value <= range.upperBound { return value }
  throw StudioError(
    .invalidSetting,
    "\(name) is \(value); use a number in \(range.lowerBound)...\(range.upperBound).")
}
