public import Foundation
internal import Kino
public import KinoMedia
internal import KinoModels
internal import KinoNN
internal import KinoSystem
internal import KinoTensor
internal import KinoWeights
public import KinoWorld

/// A judge that looks at clips, on a thread of its own; see `DedicatedThread`.
public actor ClipJudge {
  private let thread = DedicatedThread(name: "kino.judge")
  private let judge: Judge
  private var autoencoders: [URL: VideoAutoencoder] = [:]

  /// The executor of the thread.
  public nonisolated var unownedExecutor: UnownedSerialExecutor {
    thread.asUnownedSerialExecutor()
  }

  /// The name of the judge that comes with Kino, beside its model.
  public static let bundledName = "kino-judge"

  /// Finds the judge that comes with Kino.
  ///
  /// - Throws: ``EvaluationError`` naming where it was looked for.
  public static func locate() throws -> URL {
    let places = ModelSource.searchFolders.map { $0.appendingPathComponent(bundledName) }
    let found = places.first {
      FileManager.default.fileExists(atPath: $0.appendingPathComponent("config.json").path)
    }
    if let found { return found }
    throw EvaluationError(
      .badJudge,
      """
      There is no \(bundledName) in any Models folder; train one by Configurations/mini-judge.yaml, or give the \
      folder of one by --judge.
      """)
  }

  /// Opens a judge.
  ///
  /// - Parameter folder: Its `config.json` and weights.
  /// - Throws: ``EvaluationError`` if it was made for another vocabulary; `WeightsError` or `ModelError` naming the
  ///   file at fault.
  public init(at folder: URL) throws {
    let shape = try ConfigurationFile.read(
      Judge.Configuration.self, at: folder.appendingPathComponent("config.json"))
    try shape.validate()
    func differs(_ own: [Judge.Question], _ world: [SceneAttributes.Question]) -> String? {
      if own.map(\.name) != world.map(\.name) { return own.map(\.name).joined(separator: ", ") }
      return zip(own, world).first { $0.answers != $1.answers }?.0.name
    }
    if let question = differs(shape.objectQuestions, SceneAttributes.objectQuestions)
      ?? differs(shape.sceneQuestions, SceneAttributes.sceneQuestions)
    {
      throw EvaluationError(
        .badJudge,
        """
        \(folder.path): expected a judge of this world's vocabulary, found one with other answers to \
        \(question); train it anew by Configurations/mini-judge.yaml.
        """)
    }
    judge = try WeightSet(inFolder: folder).load(computeType: .float32) {
      Judge($0, configuration: shape)
    }
  }

  /// What the judge says of a clip of any size and length; of one frame, what a picture can tell.
  ///
  /// - Precondition: The clip has a frame.
  public func verdict(on clip: Clip) -> SceneVerdict {
    withoutGradient {
      let reading = judge.readings(of: judge.fitted(clip.tensor))[0]
      return SceneVerdict(objectLogits: reading.objects, sceneLogits: reading.scene)
    }
  }

  /// A clip after a model's autoencoder.
  ///
  /// - Parameters:
  ///   - clip: Sides are multiples of the autoencoder's, frames are `4n + 1`.
  ///   - model: The model.
  /// - Returns: A clip of the same size.
  /// - Throws: `WeightsError` if the weights can't be read, `StudioError` for a model of another family.
  func restored(_ clip: Clip, by model: Model) throws -> Clip {
    let family = try model.wan()
    let autoencoder =
      try autoencoders[model.url]
      ?? family.weights.autoencoder.load(computeType: .float32) {
        VideoAutoencoder($0, configuration: family.autoencoder)
      }
    autoencoders[model.url] = autoencoder
    return AutoencoderEvaluation(autoencoder, computeType: .float32).restored(clip)
  }
}
