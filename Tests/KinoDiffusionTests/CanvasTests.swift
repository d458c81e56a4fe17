import KinoDiffusion
import KinoTensor
import Testing

@Suite struct CanvasTests {
  @Test func `token sigma is the smaller of the schedule's and the level`() throws {
    let shape = try LatentShape.small()
    let levels = [0, 0.25, 0.5, 0.75, 1]
    let canvas = try Canvas(
      shape: shape, content: shape.latents(seed: 1), noiseLevel: .frames(levels))
    for sigma in stride(from: 0, through: 1, by: 0.125) {
      let expected = levels.map { Float(min($0, sigma)) }
      #expect(canvas.sigmas(at: sigma).slice(2, 0..<1).slice(3, 0..<1).floats() == expected)
      let timesteps = canvas.timesteps(sigma: sigma)
      let dense = expected.flatMap { Array(repeating: $0 * 1000, count: 6) }
      #expect(timesteps.dense.floats() == dense)
      #expect(timesteps.values == Set(expected.map { Double($0) * 1000 }).sorted())
      #expect(timesteps.index.shape == [30] && timesteps.index.dtype == .int64)
    }
  }

  @Test func `tokens run over frames, rows and columns`() throws {
    let shape = try LatentShape(channels: 2, frames: 2, height: 4, width: 6)
    let levels = (0..<12).map { Float($0) / 16 }
    let canvas = try Canvas(
      shape: shape, content: shape.latents(seed: 1),
      noiseLevel: .patches(Tensor(levels, shape: [2, 2, 3])))
    #expect(canvas.timesteps(sigma: 1).dense.floats() == levels.map { $0 * 1000 })
    let sigmas = canvas.sigmas(at: 1)
    #expect(sigmas.shape == [1, 2, 4, 6])
    #expect(
      sigmas.select(0, 0).select(0, 1).select(0, 2).floats()
        == [9, 9, 10, 10, 11, 11].map { $0 / 16 })
    #expect(canvas.noiseLevel.floats() == levels)
  }

  @Test func `latents are noised by their own sigma and exact at sigma 0`() throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    let canvas = try Canvas.edited(
      content, strength: 0.5,
      mask: Tensor((0..<30).map { Float($0 % 2) }, shape: shape.grid))
    let noise = canvas.noise(seed: 2)
    let noised = try canvas.noised(to: 0.75, with: noise)
    let half = (content + noise) * 0.5
    for (row, column) in [(0, 0), (1, 1), (3, 4)] {
      let isFree = (row / 2 * 3 + column / 2) % 2 == 1
      let expected = isFree ? half : content
      #expect(
        noised.select(1, 0).select(1, row).select(1, column).floats()
          == expected.select(1, 0).select(1, row).select(1, column).floats())
    }
    #expect(try canvas.noised(to: 0, with: noise).floats() == content.floats())
    #expect(try Canvas.free(shape).noised(to: 1, with: noise).floats() == noise.floats())
  }

  @Test func `noise depends on seed, picture size and frame alone`() throws {
    let short = try Canvas.free(.small(frames: 3))
    let long = try Canvas.free(.small(frames: 7))
    let noise = long.noise(seed: 5)
    #expect(noise.slice(1, 0..<3).floats() == short.noise(seed: 5).floats())
    #expect(noise.slice(1, 4..<7).floats() == short.noise(seed: 5, firstFrame: 4).floats())
    #expect(short.noise(seed: 6).floats() != short.noise(seed: 5).floats())
    #expect(abs(long.noise(seed: 5).mean().item()) < 0.15)
  }

  @Test func `kept latents lie where they were put`() throws {
    let shape = try LatentShape.small(frames: 6)
    let clip = shape.latents(seed: 1)
    let (head, tail) = (clip.slice(1, 0..<2), clip.slice(1, 5..<6))
    func known(_ canvas: Canvas) -> [Int] {
      (0..<shape.frames).filter { canvas.tokenLevels[$0 * shape.tokensPerFrame] == 0 }
    }
    let start = try Canvas.keeping(start: head, in: shape)
    #expect(known(start) == [0, 1])
    #expect(start.content?.slice(1, 0..<2).floats() == head.floats())
    #expect(known(try .keeping(end: tail, in: shape)) == [5])
    #expect(known(try .keeping(start: tail, end: head, in: shape)) == [0, 4, 5])
    let frames = try Canvas.keyframes([4: tail, 0: tail, 2: head], in: shape)
    #expect(known(frames) == [0, 2, 3, 4])
    #expect(frames.content?.slice(1, 2..<4).floats() == head.floats())
    #expect(known(try .keyframes([:], in: shape)) == [])
    #expect(known(try .keeping(start: clip, in: shape)) == [0, 1, 2, 3, 4, 5])
    #expect(frames.keepsTokens)
    #expect(try !Canvas.free(shape).keepsTokens)
  }

  @Test func `kept latents that do not fit are refused`() throws {
    let shape = try LatentShape.small()
    let clip = shape.latents(seed: 1)
    let two = clip.slice(1, 0..<2)
    for latents in [
      [4: two], [-1: two], [0: two, 1: two], [0: two.slice(2, 0..<2)], [0: Tensor.zeros([3])],
      [Int.max: two], [Int.min: two], [0: Tensor.full(.nan, shape: [3, 1, 4, 6])],
      [0: Tensor.zeros([3, 0, 4, 6])],
    ] {
      #expect(throws: DiffusionError.self) { try Canvas.keyframes(latents, in: shape) }
    }
    #expect(throws: DiffusionError.self) { try Canvas.keeping(start: clip, end: clip, in: shape) }
    #expect(throws: DiffusionError.self) {
      try Canvas.keeping(end: Tensor.zeros([3, 9, 4, 6]), in: shape)
    }
    #expect(throws: DiffusionError.self) { try Canvas.keeping(end: Tensor.zeros([3]), in: shape) }
  }

  @Test(arguments: [-0.1, 1.1, .nan, .infinity])
  func `levels outside 0 to 1 are refused`(level: Double) throws {
    let shape = try LatentShape.small()
    let content = shape.latents(seed: 1)
    for noiseLevel in [
      NoiseLevel.uniform(level), .frames([0, 0, level, 0, 1]),
      .patches(.full(level, shape: shape.grid)),
    ] {
      let error = #expect(throws: DiffusionError.self) {
        try Canvas(shape: shape, content: content, noiseLevel: noiseLevel)
      }
      #expect(error?.code == .range)
    }
    #expect(throws: DiffusionError.self) { try Canvas.edited(content, strength: level) }
    #expect(throws: DiffusionError.self) {
      try Canvas.edited(content, strength: level, mask: .ones(shape.grid))
    }
    #expect(throws: DiffusionError.self) {
      try Canvas.edited(content, strength: 0.5, mask: .full(level, shape: shape.grid))
    }
  }

  @Test func `missing, misshaped and infinite content is refused`() throws {
    let shape = try LatentShape.small()
    func code(_ body: () throws -> Canvas) -> DiffusionError.Code? {
      do { _ = try body() } catch { return (error as? DiffusionError)?.code }
      return nil
    }
    #expect(code { try Canvas(shape: shape, noiseLevel: .uniform(0.5)) } == .missingContent)
    #expect(code { try Canvas(shape: shape, content: .zeros([3, 5, 4, 5])) } == .shape)
    #expect(
      code { try Canvas(shape: shape, content: .full(.infinity, shape: shape.axes)) } == .notFinite)
    #expect(code { try Canvas(shape: shape, noiseLevel: .frames([1, 1])) } == .shape)
    #expect(code { try Canvas(shape: shape, noiseLevel: .patches(.ones([5, 2, 2]))) } == .shape)
    #expect(code { try .edited(.zeros([3, 5]), strength: 1) } == .shape)
  }

  @Test func `shapes that patches do not tile, or beyond any memory, are refused`() throws {
    for (channels, frames, height, width) in [
      (0, 1, 2, 2), (1, 0, 2, 2), (1, 1, 3, 2), (1, 1, 2, 5), (1, -1, 2, 2), (1, 1, 0, 2),
      (Int.max, 1, 2, 2), (4, 1 << 40, 1 << 40, 2),
    ] {
      #expect(throws: DiffusionError.self) {
        try LatentShape(channels: channels, frames: frames, height: height, width: width)
      }
    }
    #expect(throws: DiffusionError.self) {
      try LatentShape(channels: 1, frames: 1, height: 2, width: 2, patch: .init(frames: 0))
    }
  }

  @Test func `prompts belong to stretches of frames`() throws {
    let shape = try LatentShape.small()
    let canvas = try Canvas.free(shape)
    #expect(canvas.promptPerFrame == [0, 0, 0, 0, 0])
    let story = try canvas.with(prompts: [
      PromptStretch(frames: 0..<2, prompt: 1), PromptStretch(frames: 2..<5, prompt: 0),
    ])
    #expect(story.promptPerFrame == [1, 1, 0, 0, 0])
    #expect(story.promptPerToken == Array(repeating: 1, count: 12) + Array(repeating: 0, count: 18))
    for bad in [[], [0..<4], [0..<3, 2..<5], [1..<5], [0..<6], [0..<0, 0..<5]] as [[Range<Int>]] {
      #expect(throws: DiffusionError.self) {
        try canvas.with(prompts: bad.map { PromptStretch(frames: $0, prompt: 0) })
      }
    }
  }

  @Test func `predictions of velocity, clean latents and noise agree`() throws {
    let shape = try LatentShape.small()
    let (clean, noise) = (shape.latents(seed: 1), shape.latents(seed: 2))
    let sigma = Tensor(0.3)
    let latents = FlowMatching.noised(clean, with: noise, sigma: sigma)
    let velocity = FlowMatching.velocity(clean: clean, noise: noise)
    let close = { (a: Tensor, b: Tensor) in relativeError(a.floats(), b.floats()) < 1e-5 }
    #expect(close(FlowMatching.clean(from: latents, velocity: velocity, sigma: sigma), clean))
    #expect(close(FlowMatching.noise(from: latents, velocity: velocity, sigma: sigma), noise))
    for (prediction, output) in [
      (Prediction.velocity, velocity), (.clean, clean), (.noise, noise),
    ] {
      #expect(close(prediction.velocity(of: output, at: latents, sigma: sigma), velocity))
    }
  }
}

@Suite struct CanvasTileTests {
  @Test(arguments: [(8, 8, 8, 2), (9, 17, 8, 2), (16, 30, 8, 4), (5, 40, 6, 0), (12, 12, 5, 4)])
  func `Tiles cover the canvas, each of one size`(height: Int, width: Int, side: Int, overlap: Int)
    throws
  {
    let shape = try LatentShape(
      channels: 1, frames: 2, height: height, width: width,
      patch: LatentShape.Patch(frames: 1, height: 1, width: 1))
    let tiles = CanvasTile.covering(shape, side: side, overlap: overlap)
    var seen = Array(repeating: 0, count: height * width)
    for tile in tiles {
      #expect(tile.rows.count == min(side, height) && tile.columns.count == min(side, width))
      for row in tile.rows { for column in tile.columns { seen[row * width + column] += 1 } }
    }
    #expect(!seen.contains(0))
    for (first, second) in zip(tiles, tiles.dropFirst()) where first.rows == second.rows {
      #expect(first.columns.upperBound - second.columns.lowerBound >= overlap)
    }
  }

  @Test func `A velocity that every tile agrees on comes out whole`() throws {
    let shape = try LatentShape(
      channels: 3, frames: 2, height: 12, width: 20,
      patch: LatentShape.Patch(frames: 1, height: 2, width: 2))
    var random = RandomSource(seed: 1)
    let content = random.normal(shape.axes)
    let levels = random.uniform(shape.grid)
    let canvas = try Canvas(shape: shape, content: content, noiseLevel: .patches(levels))
    var asked: [TokenTimesteps] = []
    let tiles = CanvasTile.covering(shape, side: 8, overlap: 2)
    let denoiser = try TiledDenoiser(canvas, tiles: tiles) { part, tile in
      #expect(tile.cut(content).shape == part.shape.axes)
      #expect(part.shape.height == 8 && part.shape.width == 8)
      return { latents, moment in
        asked.append(moment.timesteps)
        return latents * 2 + 1
      }
    }
    let moment = SamplingMoment(
      index: 0, count: 4, sigma: 0.7, timestep: 700, timesteps: canvas.timesteps(atMost: 700))
    let latents = random.normal(shape.axes)
    let velocity = try denoiser(latents, moment)
    let error = (velocity - (latents * 2 + 1)).abs().max().item()
    #expect(error < 1e-5)
    // Each tile is told the timesteps of its own tokens.
    let whole = moment.timesteps.dense.reshaped(to: shape.grid)
    for (tile, timesteps) in zip(tiles, asked) {
      let own = whole.slice(1, tile.rows.lowerBound / 2..<tile.rows.upperBound / 2)
        .slice(2, tile.columns.lowerBound / 2..<tile.columns.upperBound / 2)
      #expect(timesteps.dense.floats() == own.contiguous().reshaped(to: -1).floats())
    }
  }
}
