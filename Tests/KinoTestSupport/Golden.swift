public import Foundation
public import KinoTensor
internal import KinoWeights

/// One folder of reference results: a tiny model and what the reference makes of given inputs.
public struct Golden: Sendable {
  /// Where its files are.
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

  /// Reads the model's parameters by key.
  ///
  /// The file is named as diffusers names it; transformers' is `model.safetensors`.
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
    try SafetensorsFile(at: url).allTensors()
  }
}
