// Clips, frames and sizes are part of every call, so that one import is enough.
@_exported public import KinoMedia

extension FrameSize {
  /// Creates a size from a width and a height, both at least 1.
  public init(_ width: Int, _ height: Int) { self.init(width: width, height: height) }
}

/// The version of Kino, as recipes state it.
public let kinoVersion = "0.1.0"
