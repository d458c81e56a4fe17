import Dispatch

/// Draws scenes by following rays: soft shadows, one mirror or glass bounce, antialiased edges.
///
/// The same scene, size and time give the same bytes whatever the thread count.
public struct SceneRenderer: Sendable {
  /// Width of the pictures in pixels.
  public let width: Int
  /// Height of the pictures in pixels.
  public let height: Int
  /// Rays spent on each pixel that an edge crosses; other pixels take one.
  public let samplesPerEdgePixel: Int

  private let noise = NoiseTable()
  private let encoding = EncodingTable()

  /// Makes a renderer for one picture size.
  ///
  /// - Parameters:
  ///   - width: Pixels, at least 1.
  ///   - height: Pixels, at least 1.
  ///   - samplesPerEdgePixel: Rays per edge pixel, at least 1; 1 turns antialiasing off.
  public init(width: Int, height: Int, samplesPerEdgePixel: Int = 5) {
    precondition(width > 0 && height > 0, "SceneRenderer: size \(width)x\(height) is empty")
    precondition(samplesPerEdgePixel > 0, "SceneRenderer: no samples per edge pixel")
    self.width = width
    self.height = height
    self.samplesPerEdgePixel = samplesPerEdgePixel
  }

  /// Draws a clip.
  ///
  /// - Parameters:
  ///   - scene: What is seen.
  ///   - frameCount: Number of frames, at least 0.
  ///   - framesPerSecond: Frames per second of the scene's time, above 0.
  ///   - startTime: The scene's time at the first frame, in seconds.
  ///   - threads: Frames drawn at the same time, at least 1; does not change the result.
  /// - Returns: The frames, in the renderer's size.
  public func render(
    _ scene: Scene, frameCount: Int, framesPerSecond: Double, startTime: Double = 0,
    threads: Int = 1
  ) -> RenderedClip {
    precondition(
      frameCount >= 0 && framesPerSecond > 0 && threads > 0,
      "SceneRenderer: \(frameCount) frames at \(framesPerSecond)/s on \(threads) threads")
    let frameSize = width * height * 3
    let pixels = [UInt8](unsafeUninitializedCapacity: frameCount * frameSize) { buffer, count in
      count = frameCount * frameSize
      // Each frame writes its own part of the buffer, which outlives the calls.
      nonisolated(unsafe) let pixels = buffer
      @Sendable func draw(_ frame: Int) {
        let part = UnsafeMutableBufferPointer(
          rebasing: pixels[frame * frameSize..<(frame + 1) * frameSize])
        renderFrame(scene, time: startTime + Double(frame) / framesPerSecond, into: part)
      }
      let workers = min(threads, frameCount)
      if workers > 1 {
        DispatchQueue.concurrentPerform(iterations: workers) { worker in
          for frame in stride(from: worker, to: frameCount, by: workers) { draw(frame) }
        }
      } else {
        for frame in 0..<frameCount { draw(frame) }
      }
    }
    return RenderedClip(
      width: width, height: height, frameCount: frameCount, framesPerSecond: framesPerSecond,
      pixels: pixels)
  }

  /// Draws one moment into a buffer of `height * width * 3` bytes: rows from the top, RGB.
  public func renderFrame(
    _ scene: Scene, time: Double, into bytes: UnsafeMutableBufferPointer<UInt8>
  ) {
    precondition(
      bytes.count == width * height * 3,
      "SceneRenderer: buffer of \(bytes.count) bytes for \(width)x\(height)x3")
    let time = Float(max(0, time))
    let count = scene.objects.count + (scene.wall == nil ? 0 : 1)
    withUnsafeTemporaryAllocation(of: Solid.self, capacity: max(count, 1)) { storage in
      for index in scene.objects.indices {
        storage.initializeElement(
          at: index, to: Solid(scene.objects[index], pose: scene.pose(of: index, at: time)))
      }
      if let wall = scene.wall { storage.initializeElement(at: count - 1, to: Solid(wall)) }
      let solids = UnsafeMutableBufferPointer(rebasing: storage[0..<count])
      noise.values.withUnsafeBufferPointer { table in
        guard let base = table.baseAddress else { return }
        let half = Scene.Camera.halfAngles(width: width, height: height)
        let seed = Float(scene.textureSeed % 61)
        let tracer = FrameTracer(
          solids: solids,
          light: Light(
            scene, azimuth: scene.sunAzimuth, groundColour: GroundSurface.average(scene.ground)),
          ground: GroundSurface(kind: scene.ground, seed: seed, time: time),
          noise: Noise(base: base), pixel: 2 * half.y / Float(height))
        paint(
          tracer,
          RayFan(scene.camera.viewpoint(at: time), half: half, width: width, height: height), bytes)
      }
    }
  }

  private func paint(
    _ tracer: FrameTracer, _ fan: RayFan, _ bytes: UnsafeMutableBufferPointer<UInt8>
  ) {
    withUnsafeTemporaryAllocation(of: FrameTracer.Sample.self, capacity: width * height) {
      samples in
      for y in 0..<height {
        for x in 0..<width {
          let ray = fan.direction(Float(x) + 0.5, Float(y) + 0.5)
          var sample = tracer.sample(fan.origin, ray)
          sample.colour = EncodingTable.tone(sample.colour)
          samples.initializeElement(at: y &* width &+ x, to: sample)
        }
      }
      // Ground textures and skies are band-limited; only mirrored things have edges within them.
      let mirrors = tracer.ground.kind == .water
      encoding.withTable { encode in
        for y in 0..<height {
          for x in 0..<width {
            let index = y &* width &+ x
            var colour = samples[index].colour
            if samplesPerEdgePixel > 1 && isEdge(samples, x, y, groundHasEdges: mirrors) {
              colour = refined(tracer, fan, x, y, colour)
            }
            bytes[index &* 3] = encode(colour.x)
            bytes[index &* 3 &+ 1] = encode(colour.y)
            bytes[index &* 3 &+ 2] = encode(colour.z)
          }
        }
      }
    }
  }

  /// Tells whether a pixel differs from a neighbour in what it shows, or strongly in colour.
  @inline(__always)
  private func isEdge(
    _ samples: UnsafeMutableBufferPointer<FrameTracer.Sample>, _ x: Int, _ y: Int,
    groundHasEdges: Bool
  ) -> Bool {
    let index = y &* width &+ x
    let own = samples[index]
    @inline(__always)
    func differs(_ other: FrameTracer.Sample) -> Bool {
      if other.thing != own.thing { return true }
      if own.thing < 0 && !groundHasEdges { return false }
      let gap = other.colour - own.colour
      let limit = 0.03 + 0.16 * max(own.colour.y, max(own.colour.x, own.colour.z))
      return max(abs(gap.x), max(abs(gap.y), abs(gap.z))) > limit
    }
    return x > 0 && differs(samples[index &- 1])
      || x &+ 1 < width && differs(samples[index &+ 1])
      || y > 0 && differs(samples[index &- width])
      || y &+ 1 < height && differs(samples[index &+ width])
  }

  /// Averages further rays, spread evenly over the pixel, with the one through its centre.
  private func refined(
    _ tracer: FrameTracer, _ fan: RayFan, _ x: Int, _ y: Int, _ center: Vector
  ) -> Vector {
    var sum = Vector()
    for k in 0..<samplesPerEdgePixel {
      // Rows evenly, columns by the golden ratio: no two samples share a row or a column.
      let v = (Float(k) + 0.5) / Float(samplesPerEdgePixel)
      let u = fraction(Float(k) * 0.618_034 + 0.3)
      let sample = tracer.sample(fan.origin, fan.direction(Float(x) + u, Float(y) + v))
      sum += EncodingTable.tone(sample.colour)
    }
    return sum * (1 / Float(samplesPerEdgePixel))
  }
}

/// The rays of a picture, by pixel coordinates from the top left.
struct RayFan {
  var origin: Vector
  private var corner: Vector
  private var stepX: Vector
  private var stepY: Vector

  init(_ view: Viewpoint, half: SIMD2<Float>, width: Int, height: Int) {
    origin = view.origin
    stepX = view.right * (2 * half.x / Float(width))
    stepY = view.up * (-2 * half.y / Float(height))
    corner = view.forward - view.right * half.x + view.up * half.y
  }

  @inline(__always)
  func direction(_ x: Float, _ y: Float) -> Vector { normalize(corner + stepX * x + stepY * y) }
}

/// Turns light into bytes: a soft shoulder for highlights, then the sRGB curve by table.
struct EncodingTable: Sendable {
  private let bytes: [UInt8]
  private static let size = 4096

  init() {
    // The curve's inverse decides which byte is nearest, so that no power function is needed.
    var table = [UInt8](repeating: 255, count: EncodingTable.size)
    var level = 0
    let limits = (0..<255).map { EncodingTable.linear(Double($0) + 0.5) }
    for index in table.indices {
      let value = (Double(index) + 0.5) / Double(EncodingTable.size)
      while level < 255 && value > limits[level] { level += 1 }
      table[index] = UInt8(level)
    }
    bytes = table
  }

  private static func linear(_ level: Double) -> Double {
    let c = level / 255
    if c <= 0.04045 { return c / 12.92 }
    let base = (c + 0.055) / 1.055
    var root = 0.8
    for _ in 0..<40 { root = (4 * root + base * base / (root * root * root * root)) / 5 }
    return base * base * root
  }

  /// Compresses light above 0.7 so that highlights keep their shape; the result is below 1.
  @inline(__always)
  static func tone(_ c: Vector) -> Vector { Vector(knee(c.x), knee(c.y), knee(c.z)) }

  @inline(__always)
  private static func knee(_ x: Float) -> Float {
    if x < 0.7 { return max(x, 0) }
    let over = x - 0.7
    return 0.7 + over * 0.3 / (over + 0.3)
  }

  @inline(__always)
  func withTable(_ body: ((Float) -> UInt8) -> Void) {
    bytes.withUnsafeBufferPointer { table in
      body { value in
        let scaled = max(0, min(value * Float(EncodingTable.size), Float(EncodingTable.size - 1)))
        return table[Int(scaled)]
      }
    }
  }
}
