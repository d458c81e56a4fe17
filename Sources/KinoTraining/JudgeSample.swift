internal import KinoTensor
internal import KinoWorld

/// A clip with what is true of it, ready to be changed in ways that keep it true.
struct JudgeSample: Sendable {
  let side: Int
  let frames: Int
  /// `[frames, side, side, 3]`, sRGB.
  var pixels: [UInt8]
  /// `[frames, side / 4, side / 4]`: 0 for no object, else the object's number from 1.
  var objects: [UInt8]
  var attributes: SceneAttributes

  private var mapSide: Int { side / JudgeClips.mapCell }

  /// Left for right.
  mutating func mirror() {
    pixels = Self.moved(pixels, side: side, channels: 3) { x, y in (side - 1 - x, y) }
    let last = mapSide - 1
    objects = Self.moved(objects, side: mapSide, channels: 1) { x, y in (last - x, y) }
    attributes = attributes.mirrored
  }

  /// Moves the picture by multiples of a map's cell; its border is repeated.
  mutating func shift(x: Int, y: Int) {
    let cell = JudgeClips.mapCell
    let (side, mapSide) = (side, mapSide)
    func inside(_ value: Int, _ side: Int) -> Int { min(max(value, 0), side - 1) }
    pixels = Self.moved(pixels, side: side, channels: 3) {
      (inside($0 - x * cell, side), inside($1 - y * cell, side))
    }
    objects = Self.moved(objects, side: mapSide, channels: 1) {
      (inside($0 - x, mapSide), inside($1 - y, mapSide))
    }
  }

  /// The mean of each pixel and its neighbours across and down, weighted 1, 2, 1.
  mutating func blur() {
    let row = side * 3
    for (step, isAcross) in [(3, true), (row, false)] {
      let source = pixels
      pixels = [UInt8](unsafeUninitializedCapacity: source.count) { buffer, count in
        for y in 0..<frames * side {
          let line = y * row
          for x in 0..<side {
            let place = isAcross ? x : y % side
            let before = place > 0 ? step : 0
            let after = place < side - 1 ? step : 0
            for index in line + x * 3..<line + x * 3 + 3 {
              let sum =
                Int(source[index - before]) + 2 * Int(source[index]) + Int(source[index + after])
              buffer[index] = UInt8((sum + 2) / 4)
            }
          }
        }
        count = source.count
      }
    }
  }

  private static func moved(
    _ values: [UInt8], side: Int, channels: Int, _ source: (Int, Int) -> (Int, Int)
  ) -> [UInt8] {
    let places = (0..<side * side).map { place -> Int in
      let (x, y) = source(place % side, place / side)
      return (y * side + x) * channels
    }
    let frameSize = side * side * channels
    return [UInt8](unsafeUninitializedCapacity: values.count) { buffer, count in
      for frame in stride(from: 0, to: values.count, by: frameSize) {
        for place in places.indices {
          for channel in 0..<channels {
            buffer[frame + place * channels + channel] = values[frame + places[place] + channel]
          }
        }
      }
      count = values.count
    }
  }

  /// Leaves out what can't be seen: objects that show less than a few cells of the map in every frame, and in a
  /// picture all that moves. Objects are then ordered from the left, where they are first seen.
  func seen() -> (sample: JudgeSample, coverage: [[Float]]) {
    let leastCells = 4
    let frameCells = mapSide * mapSide
    var areas = [[Int]](repeating: [Int](repeating: 0, count: frames), count: 5)
    var sums = areas
    for (index, number) in objects.enumerated() where number > 0 {
      areas[Int(number)][index / frameCells] += 1
      sums[Int(number)][index / frameCells] += index % mapSide
    }
    func start(_ number: Int) -> Double? {
      guard let frame = (0..<frames).first(where: { areas[number][$0] >= leastCells }) else {
        return nil
      }
      return Double(sums[number][frame]) / Double(areas[number][frame])
    }
    let kept = attributes.objects.indices
      .compactMap { index in start(index + 1).map { (index: index, x: $0) } }
      .sorted { $0.x < $1.x }.map(\.index)
    var result = self
    result.attributes.objects = kept.map { attributes.objects[$0] }
    result.attributes.objectCount = kept.isEmpty ? nil : kept.count
    if frames == 1 { result.attributes = result.attributes.still }
    return (result, kept.map { coverage(of: $0 + 1) })
  }

  /// The share of each of the judge's cells that an object covers, `[frames, cells]`.
  private func coverage(of number: Int) -> [Float] {
    let step = 4
    let gridSide = mapSide / step
    var shares = [Float](repeating: 0, count: frames * gridSide * gridSide)
    for (index, value) in objects.enumerated() where value == number {
      let (x, y) = (index % mapSide, index / mapSide % mapSide)
      let frame = index / (mapSide * mapSide)
      shares[(frame * gridSide + y / step) * gridSide + x / step] += 1 / Float(step * step)
    }
    return shares
  }
}
