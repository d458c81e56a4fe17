import KinoModels
import KinoTensor
import KinoTestSupport
import Testing

/// Running out of memory half-way through a network must become an error, never a trap.
struct FailureScopeTests {
  /// Fails inside `withTensorErrors` as a lack of memory would.
  private func failed() -> Tensor { Tensor.zeros([1 << 50]) }

  private func expectOutOfMemory(_ body: () throws -> Void) throws {
    let error = try #require(throws: TensorError.self) { try withTensorErrors(body) }
    #expect(error.code == .outOfMemory)
  }

  @Test(arguments: VideoAutoencoderTests.forms)
  func `An autoencoder goes on without its input`(form: String) throws {
    let model = try AutoencoderFixture(form).model
    try expectOutOfMemory {
      let moments = model.encode(failed(), computeType: .bfloat16)
      var source = RandomSource(seed: 1)
      _ = moments.divergence().item()
      let pixels = model.decode(model.denormalized(moments.sample(from: &source)))
      #expect(pixels.floats().isEmpty)
      var (encoding, decoding) = (model.encodingStream(), model.decodingStream())
      for _ in 0..<2 { _ = decoding(encoding(failed())) }
    }
  }

  @Test func `A transformer goes on without its input`() throws {
    let fixture = try TransformerFixture()
    let text = fixture.model.textContext(fixture.golden["sample.text"])
    try expectOutOfMemory {
      let missing = fixture.model.textContext(failed())
      let times = Timesteps.perSample(fixture.golden["sample.timestep"])
      _ = fixture.model(failed(), timesteps: times, text: text)
      _ = fixture.model(fixture.golden["sample.latents"], timesteps: times, text: missing)
      _ = fixture.model(
        fixture.golden["sample.latents"], timesteps: .perSample(failed()), text: text)
    }
  }
}
