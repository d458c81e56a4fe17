/// What the first bytes of a file say it is.
enum FileSignature {
  case gguf
  case zip
  /// Pickles of PyTorch one behind another.
  case pickles
  /// A form Kino does not read, in words, and what to do.
  case foreign(kind: String, advice: String)
  /// Nothing known: safetensors has no signature.
  case other

  init(of file: MappedFile) throws(WeightsError) {
    let head = try file.read(0..<min(file.byteCount, 264))
    func starts(with text: String) -> Bool { head.starts(with: text.utf8) }
    let isTar = head.dropFirst(257).starts(with: "ustar".utf8)
    if starts(with: "GGUF") {
      self = .gguf
    } else if starts(with: "PK\u{3}\u{4}") {
      self = .zip
    } else if head.starts(with: TorchLegacyFile.signature) {
      self = .pickles
    } else if isTar || Self.isPickle(head) {
      self = .foreign(
        kind: "a pickle or an archive that is no state dictionary of torch.save",
        advice: "Load it in a current PyTorch and save it again with torch.save.")
    } else if starts(with: "version https://git-lfs") {
      self = .foreign(
        kind: "a Git LFS pointer instead of the file",
        advice: "Fetch the file itself, with git lfs pull or from the model's page.")
    } else if starts(with: "<!DOCTYPE") || starts(with: "<!doctype") || starts(with: "<html") {
      self = .foreign(
        kind: "a web page", advice: "The download did not give the file: fetch it again.")
    } else {
      self = .other
    }
  }

  /// Safetensors starts with a length of 8 bytes, the upper half of which is zero.
  private static func isPickle(_ head: [UInt8]) -> Bool {
    head.count >= 8 && head[0] == 0x80 && 2...5 ~= head[1] && head[4..<8].contains { $0 != 0 }
  }
}
