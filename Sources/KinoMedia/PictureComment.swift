/// Stores and finds a text in the bytes of a picture file.
///
/// PNG: an `iTXt` chunk with keyword `Comment`; JPEG: `COM` segments; GIF: a comment extension;
/// WebP: the description in an XMP packet.
enum PictureComment {
  static func read(from source: FileSource) -> String? { nil }
}
