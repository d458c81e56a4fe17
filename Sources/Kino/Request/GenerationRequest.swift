/// Says what to make; what is left `nil` is the model's choice.
public struct GenerationRequest: Hashable, Sendable {
  /// What the clip shows.
  public var prompt: String
  /// What it should not show.
  public var negativePrompt = ""
  /// The size of the result, exactly; the model may work at a larger one.
  public var size: FrameSize?
  /// The length in frames; exclusive with ``durationSeconds``.
  public var frameCount: Int?
  /// The length in seconds; exclusive with ``frameCount``.
  public var durationSeconds: Double?
  /// The rate at which frames are shown.
  public var framesPerSecond: Double?
  /// The same seed and settings give the same frames; `nil` draws one.
  public var seed: UInt64?
  /// Sampling steps, 1...1000.
  public var stepCount: Int?
  /// The strength of the prompt, 0...100; 1 leaves the negative prompt out.
  public var guidanceScale: Double?
  /// The noise, 0...1, at which the guidance is on; elsewhere a step costs half. Clips are less exact than
  /// with all of it.
  public var guidanceRange: ClosedRange<Double> = 0...1
  /// Steps whose first block changes by less than this share leave out the others, 0...1; 0 for none. Less
  /// exact and faster.
  public var cacheThreshold = 0.0
  /// The type that the networks compute in; `nil` is what this machine is fastest with.
  public var precision: Precision?
  /// The method of following velocities.
  public var sampler = SamplerKind.uniPC
  /// A small preview comes with every so many steps; 0 for none.
  public var previewInterval = 0

  /// Asks for a clip.
  public init(_ prompt: String) { self.prompt = prompt }
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

/// What is made.
public enum Verb: String, Codable, Sendable {
  /// A clip from words.
  case generate
  /// A picture from words.
  case image
}
