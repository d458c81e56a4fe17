@_exported public import KinoMedia

// Clips, frames, sizes and samplers' names are part of calls, so that one import is enough.
@_exported public import enum KinoDiffusion.SamplerKind

extension FrameSize {
  /// Creates a size from a width and a height, both at least 1.
  public init(_ width: Int, _ height: Int) { self.init(width: width, height: height) }
}

/// The version of Kino, as recipes state it.
public let kinoVersion = "0.1.0"
