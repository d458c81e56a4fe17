internal import KinoSystem
internal import KinoTensor

/// Measures once what this machine can multiply, for plans of models that have not run here yet.
///
/// On a thread of its own: a plan must not wait for the clip that the model is making.
actor SpeedProbe {
  private let thread = DedicatedThread(name: "kino.probe")
  private let device: Device
  private let threadCount: Int?
  private var rates: [Precision: Double] = [:]

  nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

  init(device: Device, threadCount: Int?) {
    self.device = device
    self.threadCount = threadCount
  }

  /// Operations a second in a product of matrices, at most.
  func peakRate(_ precision: Precision) -> Double {
    if let known = rates[precision] { return known }
    if let threadCount { Engine.threadCount = threadCount }
    let type = precision.computeType
    let x = Tensor.ones([256, 512], dtype: type, device: device)
    let weight = Tensor.ones([512, 512], dtype: type, device: device)
    let quantized = precision == .int8 ? QuantizedMatrix(weight) : nil
    var best = Double.infinity
    let clock = ContinuousClock()
    for _ in 0..<6 {
      let time = clock.measure {
        let product = quantized?.linear(x) ?? x.linear(weight: weight)
        _ = product.sum().cast(to: .float32).item()
      }
      best = min(best, time.inSeconds)
    }
    let rate = 2 * 256 * 512 * 512 / max(best, 1e-7)
    rates[precision] = rate
    return rate
  }
}
