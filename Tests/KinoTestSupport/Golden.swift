public import Foundation
public import KinoTensor
internal import KinoWeights

/// One folder of reference results: a tiny model and what the reference makes of given inputs.
public struct Golden: Sendable {
  public let folder: URL
  /// Inputs, outputs and taps in between, by name.
  public let tensors: [String: Tensor]

  /// Reads the folder of this name under `Goldens`.
  public init(_ name: String) throws {
    // Found from here, so that tests need no resource bundle.
    folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("Goldens/\(name)")
    tensors = try Self.read(folder.appendingPathComponent("io.safetensors"))
  }

  /// The tensor of this name, which must exist.
  public subscript(name: String) -> Tensor {
    guard let tensor = tensors[name] else {
      preconditionFailure("\(folder.lastPathComponent) holds no \(name): \(tensors.keys.sorted())")
    }
    return tensor
  }

  /// The model's parameters by key.
  ///
  /// - Parameter file: Named as diffusers names it; transformers' is `model.safetensors`.
  public func weights(
    file: String = "diffusion_pytorch_model.safetensors"
  ) throws -> [String: Tensor] {
    try Self.read(folder.appendingPathComponent(file))
  }

  /// Decodes the model's `config.json`.
  public func configuration<Configuration: Decodable>(
    _ type: Configuration.Type = Configuration.self, file: String = "config.json"
  ) throws -> Configuration {
    try ConfigurationFile.read(type, at: folder.appendingPathComponent(file))
  }

  private static func read(_ url: URL) throws -> [String: Tensor] {
    let file = try SafetensorsFile(at: url)
    var tensors: [String: Tensor] = [:]
    for stored in file.tensors {
      tensors[stored.name] = try file.withUnsafeBytes(of: stored.name) {
        Tensor(copying: $0, shape: stored.shape, dtype: dtype(of: stored.type))
      }
    }
    return tensors
  }

  private static func dtype(of type: StoredType) -> DType {
    switch type {
    case .float64: .float64
    case .float32: .float32
    case .float16: .float16
    case .bfloat16: .bfloat16
    case .int64: .int64
    case .int32: .int32
    case .int16: .int16
    case .int8: .int8
    case .uint8: .uint8
    case .bool: .bool
    }
  }
}
