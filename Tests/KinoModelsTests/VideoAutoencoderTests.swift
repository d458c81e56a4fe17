import KinoNN
import KinoTensor
import KinoTestSupport
import Testing

@testable import KinoModels

/// Against diffusers, in both published forms.
struct VideoAutoencoderTests {
  static let forms = ["2.1", "2.2"]

  @Test(arguments: forms, ["encode", "encode_image"])
  func `Moments agree with the reference`(form: String, run: String) throws {
    let fixture = try AutoencoderFixture(form)
    let golden = fixture.golden
    let found = fixture.model.encode(golden["\(run).pixels"])
    expectClose(found.mean, golden["\(run).mean"], tolerance: 1e-5, "mean")
    let moments = golden["\(run).moments"].chunked(2, along: 1)
    expectClose(found.logVariance, moments[1].clamped(to: -30...20), tolerance: 1e-5, "variance")
    expectClose(
      fixture.model.normalized(found.mean), golden["\(run).normalized"], tolerance: 1e-5,
      "normalised")
    expectClose(
      fixture.model.denormalized(fixture.model.normalized(found.mean)), found.mean, tolerance: 1e-6)
  }

  @Test(arguments: forms, ["decode", "decode_image"])
  func `Pixels agree with the reference`(form: String, run: String) throws {
    let fixture = try AutoencoderFixture(form)
    let pixels = fixture.model.decode(fixture.golden["\(run).latents"])
    expectClose(pixels.clamped(to: -1...1), fixture.golden["\(run).pixels"], tolerance: 1e-5)
  }

  @Test(arguments: forms, ["encode", "encode_image"])
  func `Moments in bfloat16 agree with the reference`(form: String, run: String) throws {
    let fixture = try AutoencoderFixture(form)
    let found = fixture.model.encode(fixture.golden["\(run).pixels"], computeType: .bfloat16)
    #expect(found.mean.dtype == .float32)
    expectClose(found.mean, fixture.golden["\(run).mean"], tolerance: 2e-2)
  }

  /// The reference's decoders have two channels per position, between which rounding is not averaged
  /// out; a wider one shows the error that networks in use have.
  @Test(arguments: [false, true])
  func `A wider decoder loses little in bfloat16`(isResidual: Bool) throws {
    let model = VideoAutoencoder(
      ParameterRegistry(seed: 4, isTrainable: false).root,
      configuration: .wide(isResidual: isResidual))
    var source = RandomSource(seed: 12)
    let latents = source.normal([1, 8, 3, 3, 2])
    let exact = model.decode(latents)
    let rounded = model.decode(latents, computeType: .bfloat16)
    #expect(rounded.dtype == .float32)
    expectClose(rounded, exact, tolerance: 2e-2)
  }

  @Test(arguments: forms)
  func `Keys and shapes are those of the checkpoint`(form: String) throws {
    let golden = try Golden("autoencoder-\(form)")
    let registry = ParameterRegistry(seed: 1)
    _ = VideoAutoencoder(registry.root, configuration: try golden.configuration())
    let found = Dictionary(
      uniqueKeysWithValues: registry.parameters.map { ($0.key, $0.value.shape) })
    #expect(found == (try golden.weights()).mapValues(\.shape))
  }

  @Test(arguments: forms, [[1, 4, 4], [5, 4], [1, 8]])
  func `Encoding in pieces gives the whole clip's latents`(form: String, pieces: [Int]) throws {
    let fixture = try AutoencoderFixture(form)
    var stream = fixture.model.encodingStream()
    let parts = split(fixture.golden["encode.pixels"], pieces).map { stream($0) }
    #expect(parts.map { $0.size(2) } == lengths(of: pieces))
    expectClose(
      concatenate(parts, along: 2), fixture.golden["encode.mean"], tolerance: 1e-5)
  }

  private func lengths(of pieces: [Int]) -> [Int] {
    pieces.enumerated().map { $0.offset == 0 ? ($0.element - 1) / 4 + 1 : $0.element / 4 }
  }

  @Test(arguments: forms, [[1, 1, 1, 1], [2, 2], [1, 3], [3, 1], [4]])
  func `Decoding in pieces gives the whole clip's pixels`(form: String, pieces: [Int]) throws {
    let fixture = try AutoencoderFixture(form)
    var stream = fixture.model.decodingStream()
    let parts = split(fixture.golden["decode.latents"], pieces).map { stream($0) }
    #expect(parts[0].size(2) == fixture.configuration.pixelFrames(pieces[0]))
    expectClose(
      concatenate(parts, along: 2), fixture.golden["decode.pixels"], tolerance: 1e-5)
  }

  @Test(arguments: [2, 4])
  func `Streaming in bfloat16 differs from the whole by rounding alone`(patch: Int) throws {
    let model = VideoAutoencoder(
      ParameterRegistry(seed: 4, isTrainable: false).root,
      configuration: .wide(isResidual: true, patch: patch))
    var source = RandomSource(seed: 13)
    let pixels = source.uniform([1, 3, 17, 32, 16]) * 2 - 1
    let whole = model.encode(pixels, computeType: .bfloat16).mean
    var encoding = model.encodingStream(computeType: .bfloat16)
    let parts = split(pixels, [1, 4, 12]).map { encoding($0) }
    expectClose(concatenate(parts, along: 2), whole, tolerance: 1e-2)
    var decoding = model.decodingStream(computeType: .bfloat16)
    let pieces = split(whole, [2, 1, 2]).map { decoding($0) }
    expectClose(
      concatenate(pieces, along: 2),
      model.decode(whole, computeType: .bfloat16).clamped(to: -1...1), tolerance: 2e-2)
  }

  @Test(arguments: forms)
  func `A frame does not see its future`(form: String) throws {
    let fixture = try AutoencoderFixture(form)
    let pixels = fixture.golden["encode.pixels"]
    let changed = concatenate([pixels.slice(2, 0..<5), pixels.slice(2, 5..<9) * -1], along: 2)
    let (first, second) = (fixture.model.encode(pixels).mean, fixture.model.encode(changed).mean)
    expectClose(second.slice(2, 0..<2), first.slice(2, 0..<2), tolerance: 1e-6)
    #expect(relativeError(second.slice(2, 2..<3), first.slice(2, 2..<3)) > 1e-2)
  }

  @Test(arguments: forms)
  func `The gradient reaches every parameter`(form: String) throws {
    let fixture = try AutoencoderFixture(form, isTrainable: true)
    var source = RandomSource(seed: 14)
    let moments = fixture.model.encode(fixture.golden["encode.pixels"])
    let pixels = fixture.model.decode(moments.sample(from: &source))
    let loss = (pixels - fixture.golden["encode.pixels"]).squared().mean()
    (loss + moments.divergence()).backward()
    for (key, value) in fixture.registry.parameters {
      let size = value.gradient?.abs().max().item() ?? 0
      #expect(size > 0 && size.isFinite, "\(key) has a gradient of \(size)")
    }
  }

  @Test func `Samples have the moments of their distribution`() {
    let distribution = LatentDistribution(
      mean: .full(3, shape: [1, 2, 1, 200, 200]),
      logVariance: .full(-1, shape: [1, 2, 1, 200, 200])
    )
    var source = RandomSource(seed: 15)
    let sample = distribution.sample(from: &source)
    #expect(abs(sample.mean().item() - 3) < 0.01)
    #expect(abs(sample.variance().log().item() + 1) < 0.03)
    // (mean^2 + variance - 1 - log variance) / 2
    #expect(abs(distribution.divergence().item() - (9 + 0.367_879 - 1 + 1) / 2) < 1e-4)
  }

  @Test func `Folding pixels into channels is undone by unfolding`() {
    let x = Tensor((0..<96).map(Float.init), shape: [1, 3, 2, 4, 4])
    let folded = Patches.folded(x, patch: 2)
    #expect(folded.shape == [1, 12, 2, 2, 2])
    // Column first: the second channel holds the pixel below.
    #expect(folded.slice(1, 0..<4).select(2, 0).select(2, 0).select(2, 0).floats() == [0, 4, 1, 5])
    #expect(Patches.unfolded(folded, patch: 2).floats() == x.floats())
    #expect(Patches.folded(x, patch: 1).floats() == x.floats())
  }
}

/// Cuts the frames of `x` into pieces of the given lengths.
private func split(_ x: Tensor, _ lengths: [Int]) -> [Tensor] {
  var start = 0
  return lengths.map { length in
    defer { start += length }
    return x.slice(2, start..<start + length)
  }
}

/// A tiny autoencoder with the reference's weights, and what the reference computes with it.
struct AutoencoderFixture {
  let golden: Golden
  let configuration: VideoAutoencoder.Configuration
  let registry: ParameterRegistry
  let model: VideoAutoencoder

  init(_ form: String, isTrainable: Bool = false) throws {
    golden = try Golden("autoencoder-\(form)")
    configuration = try golden.configuration()
    let weights = try golden.weights()
    registry = ParameterRegistry(names: Set(weights.keys), isTrainable: isTrainable) { weights[$0] }
    model = VideoAutoencoder(registry.root, configuration: configuration)
    try registry.validate()
  }
}

extension VideoAutoencoder.Configuration {
  /// Wide enough that rounding averages out.
  static func wide(isResidual: Bool, patch: Int = 2) -> Self {
    var result = Self(
      baseWidth: 16, decoderBaseWidth: 24, latentChannels: 8, residualBlockCount: 1, patch: patch)
    guard !isResidual else { return result }
    result.isResidual = false
    (result.inputChannels, result.outputChannels, result.patchSize) = (3, 3, nil)
    result.spatialScale = 8
    return result
  }
}
