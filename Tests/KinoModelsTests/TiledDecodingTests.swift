import KinoModels
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

struct TiledDecodingTests {
  @Test(arguments: ["2.1", "2.2"], [2, 3])
  func `A clip decoded in tiles is the whole one`(form: String, tiles: Int) throws {
    let golden = try Golden("autoencoder-\(form)")
    let configuration: VideoAutoencoder.Configuration = try golden.configuration()
    let model = try WeightSet(inFolder: golden.folder).load {
      VideoAutoencoder($0, configuration: configuration)
    }
    // Longer than two margins, so that tiles do not see the whole.
    let (height, width) = (2 * configuration.tileMargin + 9, 4)
    #expect(configuration.tiles(of: height, parts: tiles)[0].needed.count < height)
    var random = RandomSource(seed: 5)
    let latents = random.normal([1, configuration.latentChannels, 3, height, width])
    try withoutGradient {
      let whole = model.decode(latents).clamped(to: -1...1)
      var seen = 0
      try model.decode(latents, tiles: tiles, framesAtOnce: 2) { pixels, frame, row, column in
        let (_, _, frames, rows, columns) = pixels.shape5
        let part = whole.slice(2, frame..<frame + frames).slice(3, row..<row + rows)
          .slice(4, column..<column + columns)
        expectClose(pixels, part, tolerance: 1e-5)
        seen += pixels.count
      }
      #expect(seen == whole.count)
    }
  }

  @Test(arguments: ["2.1", "2.2"], [2, 3])
  func `A clip encoded in tiles gives the latents of the whole one`(
    form: String, tiles: Int
  ) throws {
    let golden = try Golden("autoencoder-\(form)")
    let configuration: VideoAutoencoder.Configuration = try golden.configuration()
    let model = try WeightSet(inFolder: golden.folder).load {
      VideoAutoencoder($0, configuration: configuration)
    }
    var random = RandomSource(seed: 5)
    // Three times as long as a margin reaches to both sides.
    let pixels = random.normal([
      1, 3, 9, 64 * configuration.spatialScale, 4 * configuration.spatialScale,
    ])
    .clamped(to: -1...1)
    withoutGradient {
      let whole = model.encode(pixels).mean
      var stream = model.encodingStream(tiles: tiles)
      let pieces = [stream(pixels.slice(2, 0..<5)), stream(pixels.slice(2, 5..<9))]
      expectClose(concatenate(pieces, along: 2), whole, tolerance: 1e-5)
    }
  }

  @Test func `Margins are what convolutions reach`() throws {
    // Three blocks of two convolutions at every level, one after each doubling, and the last.
    let published: VideoAutoencoder.Configuration = try Golden("autoencoder-2.1").configuration()
    #expect(published.tileMargin == 13)
    let tiles = published.tiles(of: 60, parts: 2)
    #expect(tiles.map(\.core) == [0..<30, 30..<60] && tiles.map(\.needed) == [0..<43, 17..<60])
  }
}
