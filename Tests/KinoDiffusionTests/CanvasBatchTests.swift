import KinoDiffusion
import KinoTensor
import Testing

struct CanvasBatchTests {
  private let known = [[true, false, false, true, false], Array(repeating: false, count: 5)]
  private let sigmas = [0.25, 0.75]

  private func latents() throws -> Tensor {
    let shape = try LatentShape.small()
    return stack([shape.latents(seed: 1), shape.latents(seed: 2)])
  }

  @Test func `A batch is its canvases`() throws {
    let (latents, shape) = (try latents(), try LatentShape.small())
    let batch = try CanvasBatch(latents, known: known, sigmas: sigmas)
    let noise = stack([shape.latents(seed: 3), shape.latents(seed: 4)])
    let noised = batch.noised(with: noise)
    let (values, index) = batch.timesteps
    for number in 0..<2 {
      let canvas = try Canvas(
        shape: shape, content: latents.select(0, number),
        noiseLevel: .frames(known[number].map { $0 ? 0 : 1 }))
      #expect(
        try noised.select(0, number).floats()
          == canvas.noised(to: sigmas[number], with: noise.select(0, number)).floats())
      let timesteps = values.select(0, number).gathered(index.select(0, number), along: 0)
      #expect(timesteps.floats() == canvas.timesteps(sigma: sigmas[number]).dense.floats())
    }
  }

  @Test func `The loss counts only what is not known`() throws {
    let (latents, shape) = (try latents(), try LatentShape.small())
    let batch = try CanvasBatch(latents, known: known, sigmas: sigmas)
    let noise = stack([shape.latents(seed: 3), shape.latents(seed: 4)])
    let target = noise - latents
    #expect(batch.errors(velocity: target, noise: noise).floats() == [0, 0])
    let mask = Tensor([Float(1), 0, 0, 1, 0], shape: [1, 1, 5, 1, 1])
    let errors = batch.errors(velocity: target + mask * 1000 + 2, noise: noise).floats()
    #expect(abs(errors[0] - 4) < 1e-3)
    #expect(errors[1] > 1000)
    let velocity = target.requiringGradient()
    batch.errors(velocity: velocity * 2, noise: noise).sum().backward()
    let gradient = try #require(velocity.gradient)
    #expect(gradient.select(0, 0).select(1, 0).abs().max().item() == 0)
    #expect(gradient.select(0, 0).select(1, 1).abs().max().item() > 0)
  }

  @Test func `A canvas with everything known has no error`() throws {
    let shape = try LatentShape.small()
    let latents = shape.latents(seed: 1).expandingDimension(at: 0)
    let batch = try CanvasBatch(
      latents, known: [Array(repeating: true, count: 5)], sigmas: [0.5])
    #expect(batch.errors(velocity: latents, noise: latents).floats() == [0])
    #expect(batch.noised(with: latents * 3).floats() == latents.floats())
  }

  @Test func `Weights matter by their ratio, and belong to tokens`() throws {
    let shape = try LatentShape(channels: 1, frames: 2, height: 4, width: 2)
    let latents = Tensor.zeros([1] + shape.axes)
    let batch = try CanvasBatch(latents, known: [[false, false]], sigmas: [1])
    // The error of each latent is its frame plus ten times its row.
    let wanted = (0..<16).map { index -> Float in
      let (frame, row) = (index / 8, index / 2 % 4)
      return Float(frame + 10 * row)
    }
    let velocity = Tensor(wanted.map { $0.squareRoot() }, shape: [1] + shape.axes)
    func error(_ weights: Tensor? = nil) -> Double {
      batch.errors(velocity: velocity, noise: latents, weights: weights).item()
    }
    #expect(abs(error() - 15.5) < 1e-3)
    // Tokens: frame 0 rows 0-1, frame 0 rows 2-3, frame 1 rows 0-1, frame 1 rows 2-3.
    let weights = Tensor([Float(0), 3, 0, 1], shape: [1, 4])
    #expect(abs(error(weights) - 25.25) < 1e-3)
    #expect(abs(error(weights * 2) - 25.25) < 1e-3)
  }

  @Test func `Counts, shapes and sigmas that do not fit are refused`() throws {
    let latents = try latents()
    func code(_ known: [[Bool]], _ sigmas: [Double], _ latents: Tensor) -> DiffusionError.Code? {
      do {
        _ = try CanvasBatch(latents, known: known, sigmas: sigmas)
      } catch { return error.code }
      return nil
    }
    #expect(code(known, sigmas, latents) == nil)
    #expect(code([known[0]], sigmas, latents) == .shape)
    #expect(code([[true], [true]], sigmas, latents) == .shape)
    #expect(code(known, [0.5], latents) == .shape)
    #expect(code(known, [0.5, 1.5], latents) == .range)
    #expect(code(known, sigmas, latents.select(0, 0)) == .shape)
    #expect(code(known, sigmas, latents.slice(3, 0..<3)) == .shape)
  }
}
