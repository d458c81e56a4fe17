import Foundation
import KinoMedia
import KinoProvenance
import KinoTestSupport
import Testing

@Suite struct CredentialTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  /// The library, where it is installed: most machines do without.
  static var library: URL? {
    let file = ContentCredentials.defaultLibrary(environment: ProcessInfo.processInfo.environment)
    return FileManager.default.fileExists(atPath: file.path) ? file : nil
  }

  private func identity() throws -> SigningIdentity {
    try SigningIdentity.make(named: "Tester", in: folder["identity"])
    return try #require(try SigningIdentity(folder: folder["identity"]))
  }

  @Test func `An identity is made once, for its owner's eyes`() throws {
    let made = try identity()
    #expect(made.algorithm == "es256")
    #expect(made.chain.components(separatedBy: "BEGIN CERTIFICATE").count == 3)
    let key = folder["identity"].appendingPathComponent("key.pem")
    let mode = try FileManager.default.attributesOfItem(atPath: key.path)[.posixPermissions]
    #expect(mode as? Int == 0o600)
    #expect(throws: ProvenanceError.self) {
      try SigningIdentity.make(named: "Tester", in: folder["identity"])
    }
    #expect(try SigningIdentity(folder: folder["none"]) == nil)
    try folder.write("nonsense", "chain.pem")
    #expect(throws: ProvenanceError.self) { _ = try SigningIdentity(folder: folder.url) }
  }

  @Test func `Without the library, what to do is said`() throws {
    let error = #expect(throws: ProvenanceError.self) {
      _ = try ContentCredentials(library: folder["libc2pa_c.so"])
    }
    #expect(error?.details.contains("--with-c2pa") == true)
  }

  @Test(
    .enabled(
      if: library != nil, "the c2pa library is not installed: scripts/bootstrap --with-c2pa"),
    arguments: ["mp4", "mov", "png", "jpg", "webp", "gif"])
  func `A signed file says how it was made, and a changed byte is found`(format: String) throws {
    let credentials = try ContentCredentials(library: #require(Self.library))
    let signer = FileSigner(credentials, by: try identity())
    let file = folder["a.\(format)"]
    let source = folder["source.png"]
    let picture = Frame(width: 64, height: 64, color: Color(red: 200, green: 30, blue: 30))
    try picture.write(to: source.path)
    let frames = format == "png" || format == "jpg" ? 1 : 5
    let pictures = (0..<frames).map { index in
      Frame(width: 64, height: 64, color: Color(red: 200, green: UInt8(40 * index), blue: 30))
    }
    try Clip(frames: pictures, framesPerSecond: 8).write(to: file.path)
    #expect(try credentials.report(on: file) == nil)
    try signer.sign(
      file,
      .init(title: "a red ball", version: "1.2.3", recipe: #"{"model":"tiny"}"#, sources: [source]))
    let report = try #require(try credentials.report(on: file))
    #expect(report.isIntact, "\(report)")
    #expect(report.signer == "Tester" && report.generator == "Kino 1.2.3")
    #expect(report.sourceTypes.contains("compositeWithTrainedAlgorithmicMedia"))
    #expect(report.ingredients == ["source.png"])
    // The pictures are the same as before.
    let clip = try Clip.read(file.path)
    #expect(clip.frameCount == frames && clip.size == FrameSize(width: 64, height: 64))
    #expect(try folder.names.allSatisfy { !$0.hasPrefix(".kino") })

    var bytes = try folder.bytes("a.\(format)")
    // In the pictures' own data: near the end of most formats, at the front of the others.
    let place = format == "mp4" || format == "mov" ? bytes.count - 20 : bytes.count - 30
    bytes[place] ^= 0x55
    try folder.write(bytes, "b.\(format)")
    let changed = try? credentials.report(on: folder["b.\(format)"])
    #expect(changed?.isIntact != true, "\(String(describing: changed))")
  }
}
