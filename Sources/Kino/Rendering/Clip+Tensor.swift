package import KinoMedia
package import KinoTensor

extension Tensor {
  /// Pixels as networks take them: bytes `[B, F, H, W, 3]` to float32 `[B, 3, F, H, W]` in `-1...1`, on a device.
  package init(pixelBytes bytes: [UInt8], shape: [Int], device: Device = .cpu) {
    let bytes = Tensor(bytes, shape: shape).moved(to: device)
    self = (bytes.permuted(0, 4, 1, 2, 3).cast(to: .float32) / 127.5 - 1).contiguous()
  }

  /// Pixels as files take them: float `[3, F, H, W]`, limited to `-1...1`, to bytes `[F, H, W, 3]`.
  package var pixelBytes: [UInt8] {
    ((clamped(to: -1...1) + 1) * 127.5).rounded().permuted(1, 2, 3, 0).cast(to: .uint8).contiguous()
      .moved(to: .cpu).scalars(UInt8.self)
  }
}

extension Clip {
  /// The pixels as float32 `[1, 3, F, H, W]` in `-1...1`.
  package var tensor: Tensor {
    Tensor(pixelBytes: pixels, shape: [1, frameCount, height, width, 3])
  }

  /// Makes a clip of float pixels `[3, F, H, W]`, limited to `-1...1`.
  package init(tensor: Tensor, framesPerSecond: Double) {
    self.init(
      width: tensor.size(3), height: tensor.size(2), framesPerSecond: framesPerSecond,
      pixels: tensor.pixelBytes)
  }
}
