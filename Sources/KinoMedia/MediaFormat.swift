import Foundation

/// A file format that can be written, chosen by the extension of the path.
public enum MediaFormat: String, CaseIterable, Sendable {
  /// The formats, by their usual extension.
  case mp4, mov, png, jpeg, webp, gif

  /// Takes the format from a path's extension, ignoring case.
  ///
  /// - Throws: ``MediaError`` with code `unsupported` for any other extension.
  public init(path: String) throws {
    switch (path as NSString).pathExtension.lowercased() {
    case "mp4", "m4v": self = .mp4
    case "mov": self = .mov
    case "png": self = .png
    case "jpg", "jpeg": self = .jpeg
    case "webp": self = .webp
    case "gif": self = .gif
    case let other:
      throw MediaError(
        .unsupported, path: path,
        details: """
          Can't write \(other.isEmpty ? "a file without an extension" : ".\(other)"); use .mp4, \
          .mov, .gif or .webp for clips, .png, .jpg or .webp for pictures.
          """)
    }
  }

  /// The size of a file's pictures for frames of a size: H.264 doubles the last column or row of an odd one.
  public func size(for size: FrameSize) -> FrameSize {
    self == .mp4 || self == .mov
      ? FrameSize(width: size.width + size.width % 2, height: size.height + size.height % 2) : size
  }

  /// Whether files of the format hold more than one frame.
  public var holdsClips: Bool { self != .png && self != .jpeg }

  /// Whether files of the format hold sound; the others are written without ``WriteOptions/sound``.
  public var holdsSound: Bool { self == .mp4 || self == .mov }
}
