/// What a piece of work takes, known before it starts.
public struct Plan: Codable, Hashable, Sendable {
  /// The size of the result.
  public var size: String
  /// Frames of the result.
  public var frames: Int
  /// The rate of the result.
  public var framesPerSecond: Double
  /// Tokens of the whole canvas.
  public var tokenCount: Int
  /// Windows the canvas is made in.
  public var windowCount: Int
  /// Tokens of the largest window.
  public var tokensPerWindow: Int
  /// The size that the model works at.
  public var canvasSize: String
  /// Frames that the model makes.
  public var canvasFrames: Int
  /// Floating-point operations of sampling.
  public var samplingOperations: Double
  /// Floating-point operations of decoding.
  public var decodingOperations: Double
  /// Estimated bytes of weights in memory, at most: encoders may be let go before sampling.
  public var weightBytes: Int
  /// Estimated bytes of the transformer's activations at their peak.
  public var activationBytes: Int
  /// Estimated bytes of decoding at its peak.
  public var decodingBytes: Int
  /// Parts of the picture, along each side, that are decoded one after the other, and known frames encoded, since
  /// memory is short; 1 where the picture is decoded whole.
  public var decodingTiles: Int
  /// Bytes of the finished frames, where they stay in memory.
  public var outputBytes: Int
  /// The most bytes in use at any moment, as estimated: those of the program, of the weights, and of
  /// sampling or decoding, whichever is more.
  public var peakBytes: Int
  /// Bytes that the machine can give now; `nil` if it does not tell.
  public var availableBytes: Int?
  /// Seconds the work takes at best, as far as known.
  public var fastestSeconds: Double
  /// Seconds the work takes at worst, as far as known.
  public var slowestSeconds: Double
  /// Whether the times come from clips made here before, or from a short trial only.
  public var isTimeMeasured: Bool
  /// What in the request is valid but probably not what you want, a sentence each. Not encoded: in JSON,
  /// each is an event of its own.
  public var warnings: [String] = []

  /// What the program takes before any work, libraries and the kernels' workspaces included.
  static let programBytes = 200_000_000

  enum CodingKeys: String, CodingKey {
    case size, frames
    case framesPerSecond = "frames_per_second"
    case tokenCount = "tokens"
    case windowCount = "windows"
    case tokensPerWindow = "tokens_per_window"
    case canvasSize = "canvas_size"
    case canvasFrames = "canvas_frames"
    case samplingOperations = "sampling_operations"
    case decodingOperations = "decoding_operations"
    case weightBytes = "weight_bytes"
    case activationBytes = "activation_bytes"
    case decodingBytes = "decoding_bytes"
    case decodingTiles = "decoding_tiles"
    case outputBytes = "output_bytes"
    case peakBytes = "peak_bytes"
    case availableBytes = "available_bytes"
    case fastestSeconds = "fastest_seconds"
    case slowestSeconds = "slowest_seconds"
    case isTimeMeasured = "time_measured"
  }
}
