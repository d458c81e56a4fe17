import Foundation

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

/// The C interface of the Content Authenticity Initiative's c2pa library, loaded at run time: most who use Kino
/// don't sign, and the library is as large as Kino itself.
struct C2PALibrary: @unchecked Sendable {
  // The functions are safe to call from any thread; errors belong to the calling one.
  typealias Pointer = UnsafeMutableRawPointer
  typealias Read = @convention(c) (Pointer?, UnsafeMutablePointer<UInt8>?, Int) -> Int
  typealias Seek = @convention(c) (Pointer?, Int, Int32) -> Int
  typealias Flush = @convention(c) (Pointer?) -> Int
  typealias CreateStream = @convention(c) (Pointer?, Read, Seek, Read, Flush) -> Pointer?
  typealias Release = @convention(c) (Pointer?) -> Void
  typealias FromText = @convention(c) (UnsafePointer<CChar>?) -> Pointer?
  typealias FromStream = @convention(c) (UnsafePointer<CChar>?, Pointer?) -> Pointer?
  typealias Text = @convention(c) (Pointer?) -> Pointer?
  typealias Signer = @convention(c) (UnsafeRawPointer?) -> Pointer?
  typealias AddIngredient =
    @convention(c) (Pointer?, UnsafePointer<CChar>?, UnsafePointer<CChar>?, Pointer?) -> Int32
  typealias Sign =
    @convention(c) (
      Pointer?, UnsafePointer<CChar>?, Pointer?, Pointer?, Pointer?,
      UnsafeMutablePointer<Pointer?>?
    ) -> Int64

  let createStream: CreateStream
  let releaseStream: Release
  let builder: FromText
  let freeBuilder: Release
  let addIngredient: AddIngredient
  let signer: Signer
  let freeSigner: Release
  let sign: Sign
  let freeBytes: Release
  let reader: FromStream
  let freeReader: Release
  let readerJSON: Text
  let freeText: Release
  let error: @convention(c) () -> Pointer?

  static var fileName: String {
    #if os(macOS)
      "libc2pa_c.dylib"
    #else
      "libc2pa_c.so"
    #endif
  }

  /// Loads the library.
  ///
  /// - Throws: ``ProvenanceError`` if it isn't there, or lacks a function.
  init(at file: URL) throws {
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw ProvenanceError(
        .libraryMissing,
        "Content credentials need the c2pa library: run scripts/bootstrap --with-c2pa, which puts it at \(file.path)."
      )
    }
    guard let handle = dlopen(file.path, RTLD_NOW | RTLD_LOCAL) else {
      let words = dlerror().map { String(cString: $0) } ?? "it can't be loaded"
      throw ProvenanceError(.libraryMissing, "\(file.path) can't be loaded: \(words).")
    }
    func function<Function>(_ name: String, _: Function.Type) throws -> Function {
      guard let address = dlsym(handle, name) else {
        throw ProvenanceError(
          .libraryMissing,
          "\(file.path) has no \(name); run scripts/bootstrap --with-c2pa for the right version.")
      }
      return unsafeBitCast(address, to: Function.self)
    }
    createStream = try function("c2pa_create_stream", CreateStream.self)
    releaseStream = try function("c2pa_release_stream", Release.self)
    builder = try function("c2pa_builder_from_json", FromText.self)
    freeBuilder = try function("c2pa_builder_free", Release.self)
    addIngredient = try function("c2pa_builder_add_ingredient_from_stream", AddIngredient.self)
    signer = try function("c2pa_signer_from_info", Signer.self)
    freeSigner = try function("c2pa_signer_free", Release.self)
    sign = try function("c2pa_builder_sign", Sign.self)
    freeBytes = try function("c2pa_manifest_bytes_free", Release.self)
    reader = try function("c2pa_reader_from_stream", FromStream.self)
    freeReader = try function("c2pa_reader_free", Release.self)
    readerJSON = try function("c2pa_reader_json", Text.self)
    freeText = try function("c2pa_string_free", Release.self)
    error = try function("c2pa_error", (@convention(c) () -> Pointer?).self)
  }

  /// What the last failure on this thread was.
  var lastError: String { text(error()) ?? "no reason given" }

  /// Takes a text over.
  func text(_ pointer: Pointer?) -> String? {
    guard let pointer else { return nil }
    defer { freeText(pointer) }
    return String(cString: pointer.assumingMemoryBound(to: CChar.self))
  }

  /// Runs work with a file as one of the library's streams.
  func withStream<Value>(
    _ file: URL, isWritten: Bool = false, _ body: (Pointer) throws -> Value
  ) throws -> Value {
    let flags = isWritten ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY
    let descriptor = open(file.path, flags | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else {
      throw ProvenanceError(
        isWritten ? .notSigned : .notReadable,
        "\(file.path) can't be opened: \(String(cString: strerror(errno))).")
    }
    defer { close(descriptor) }
    // The descriptor itself is the context.
    let context = Pointer(bitPattern: Int(descriptor) + 1)
    let stream = createStream(
      context,
      { context, bytes, count in read(Int32(Int(bitPattern: context) - 1), bytes, count) },
      { context, offset, origin in
        Int(lseek(Int32(Int(bitPattern: context) - 1), off_t(offset), origin))
      },
      { context, bytes, count in write(Int32(Int(bitPattern: context) - 1), bytes, count) },
      { _ in 0 })
    guard let stream else {
      throw ProvenanceError(.notReadable, "\(file.path) can't be read by the c2pa library.")
    }
    defer { releaseStream(stream) }
    return try body(stream)
  }
}
