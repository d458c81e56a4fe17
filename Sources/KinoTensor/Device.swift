internal import CKinoTorch

/// Where a tensor's storage lives.
public enum Device: Hashable, Sendable, CustomStringConvertible {
  case cpu
  case cuda(Int)
  case mps

  /// Whether this machine and this build of LibTorch can use the device.
  public var isAvailable: Bool { kino_device_available(raw.type) }

  /// The name LibTorch gives the device, such as `cuda:0`.
  public var description: String {
    switch self {
    case .cpu: "cpu"
    case .cuda(let index): "cuda:\(index)"
    case .mps: "mps"
    }
  }

  var raw: kino_device {
    switch self {
    case .cpu: kino_device(type: Int32(KINO_CPU.rawValue), index: 0)
    case .cuda(let index): kino_device(type: Int32(KINO_CUDA.rawValue), index: Int32(index))
    case .mps: kino_device(type: Int32(KINO_MPS.rawValue), index: 0)
    }
  }

  init(raw: kino_device) {
    switch UInt32(raw.type) {
    case KINO_CUDA.rawValue: self = .cuda(Int(raw.index))
    case KINO_MPS.rawValue: self = .mps
    default: self = .cpu
    }
  }
}

/// Settings of the whole process.
public enum Engine {
  /// Threads one operation may use. Set it once, before the first operation.
  public static var threadCount: Int {
    get {
      var count: Int32 = 1
      check("threadCount", kino_thread_count(&count))
      return Int(count)
    }
    set { check("threadCount", kino_set_thread_count(Int32(max(1, newValue)))) }
  }

  /// The version of LibTorch this was built with.
  public static var version: String { String(cString: kino_torch_version()) }

  /// Whether this processor multiplies bfloat16 numbers faster than float32 numbers.
  public static var prefersBFloat16: Bool { kino_cpu_multiplies_bfloat16() }

  /// Tensors alive now, for leak tests.
  package static var liveTensorCount: Int { Int(kino_live_tensor_count()) }

  /// The instructions that our own CPU kernels use when called from this thread.
  package enum KernelLevel: Int32, CaseIterable, Sendable {
    case portable, avx2, avx512, avx512BF16, amxBF16
  }

  /// At first the best that this machine has, which a higher value stands for too. Set by tests
  /// alone.
  package static var kernelLevel: KernelLevel {
    get { KernelLevel(rawValue: kino_get_kernel_level()) ?? .portable }
    set { kino_set_kernel_level(newValue.rawValue) }
  }
}
