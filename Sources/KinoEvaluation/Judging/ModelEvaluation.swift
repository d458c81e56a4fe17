import Foundation
public import Kino
internal import KinoMedia
internal import KinoWorld

/// Measures whether a model's clips show what their prompts state: it makes a clip for each prompt and asks a judge.
public struct ModelEvaluation: Sendable {
  /// How clips are made; what is `nil` is the model's choice.
  public struct Settings: Hashable, Sendable {
    /// Frames of a clip; 1 makes pictures, of which only what a picture can tell is judged.
    public var frameCount: Int?
    /// Sampling steps.
    public var stepCount: Int?
    /// Strength of the prompt.
    public var guidanceScale: Double?
    /// The type that the networks compute in.
    public var precision: Precision?

    /// The model's own settings.
    public init() {}
  }

  private let judge: ClipJudge
  private let settings: Settings

  /// Measures by one judge, with the same settings for every model.
  public init(judge: ClipJudge, settings: Settings = Settings()) {
    self.judge = judge
    self.settings = settings
  }

  /// Makes and judges a clip for every prompt, and for comparison a render of each prompt's scene of the same size,
  /// length and rate, as it is and after the model's autoencoder.
  ///
  /// - Parameters:
  ///   - studio: The model.
  ///   - prompts: What is asked for.
  ///   - isBounded: Whether renders are judged too.
  ///   - progress: Told how many prompts are done.
  /// - Returns: The report.
  /// - Throws: As `Studio.events(of:_:writingTo:_:)` does; `CancellationError` between steps.
  public func report(
    on studio: Studio, prompts: PromptSet, isBounded: Bool = true,
    progress: (_ done: Int) -> Void = { _ in }
  ) async throws -> JudgeReport {
    var entries: [JudgeReport.Entry] = []
    for prompt in prompts.entries {
      try Task.checkCancellation()
      let clip = try await clip(of: prompt, by: studio)
      var entry = JudgeReport.Entry(
        prompt: prompt.prompt,
        stated: clip.frameCount == 1 ? prompt.stated.still : prompt.stated,
        verdict: await judge.verdict(on: clip), highlights: Self.highlights(of: clip))
      if isBounded {
        let render = render(prompt.scene, like: clip, for: studio.model)
        entry.rendered = await judge.verdict(on: render)
        entry.restored = await judge.verdict(on: try judge.restored(render, by: studio.model))
      }
      entries.append(entry)
      progress(entries.count)
    }
    return JudgeReport(entries)
  }

  private func clip(of prompt: PromptSet.Entry, by studio: Studio) async throws -> Clip {
    var composition = Composition.generate(prompt.prompt)
    if settings.frameCount == 1 {
      composition = .image(prompt.prompt)
    } else {
      composition.updateShots { $0.frames = settings.frameCount }
    }
    var sampling = SamplingSettings(
      seed: prompt.seed, stepCount: settings.stepCount, guidanceScale: settings.guidanceScale)
    sampling.precision = settings.precision
    for try await event in studio.events(of: composition, sampling) {
      if case .finished(let result) = event { return result.clip }
    }
    throw CancellationError()
  }

  /// A clip of the scene with the size that the model works at, and as many frames as its autoencoder takes.
  private func render(_ scene: Scene, like clip: Clip, for model: Model) -> Clip {
    func rounded(_ side: Int) -> Int {
      (side + model.sizeMultiple - 1) / model.sizeMultiple * model.sizeMultiple
    }
    return Clip(
      SceneRenderer(width: rounded(clip.width), height: rounded(clip.height)).render(
        scene, frameCount: (clip.frameCount - 1) / 4 * 4 + 1, framesPerSecond: clip.framesPerSecond,
        threads: ProcessInfo.processInfo.activeProcessorCount))
  }

  private static func highlights(of clip: Clip) -> Clip {
    let count = min(6, clip.frameCount)
    let frames = (0..<count).map {
      clip[count == 1 ? 0 : $0 * (clip.frameCount - 1) / (count - 1)]
    }
    return Clip(frames: frames, framesPerSecond: clip.framesPerSecond)
  }
}
