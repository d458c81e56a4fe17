internal import KinoDiffusion
internal import KinoModels
internal import KinoTensor

/// A transformer with its texts: what samplers ask for velocities.
struct TextGuidedDenoiser {
  let transformer: DiffusionTransformer
  let computeType: DType
  let device: Device
  let guidance: ClassifierFreeGuidance
  /// What a canvas's prompt stretches point into.
  let prompts: [TextContext]
  /// Not needed for a guidance scale of 1.
  let negative: TextContext?

  /// Makes the velocity of a canvas, guided away from the negative prompt.
  ///
  /// Between evaluations, and between the branches of one, a cancelled task ends.
  func denoise(_ canvas: Canvas) -> Denoise {
    let shape = canvas.shape
    let rotary = transformer.rotaryTable(
      latentFrames: shape.frames, height: shape.height, width: shape.width)
    func velocity(
      _ latents: Tensor, _ timesteps: Timesteps, _ text: TextContext
    ) throws -> Tensor {
      try Task.checkCancellation()
      return transformer(
        latents.expandingDimension(at: 0), timesteps: timesteps, text: text,
        computeType: computeType, rotary: rotary
      ).squeezing(0)
    }
    let needed = Set(canvas.prompts.map(\.prompt)).sorted()
    return guidance.denoise { latents, moment, branches in
      let timesteps = Timesteps(moment.timesteps, device: device)
      return try branches.map { branch in
        if branch == .negative, let negative {
          return try velocity(latents, timesteps, negative)
        }
        let velocities = try needed.map { ($0, try velocity(latents, timesteps, prompts[$0])) }
        return Self.joined(Dictionary(uniqueKeysWithValues: velocities), along: canvas.prompts)
      }
    }
  }

  /// Takes each stretch of time from the velocity of its own prompt.
  private static func joined(
    _ velocities: [Int: Tensor], along stretches: [PromptStretch]
  ) -> Tensor {
    if let only = velocities.values.first, velocities.count == 1 { return only }
    return concatenate(
      stretches.compactMap { velocities[$0.prompt]?.slice(1, $0.frames) }, along: 1)
  }
}

extension Timesteps {
  /// One timestep per sample where all tokens agree, else one per token.
  init(_ timesteps: TokenTimesteps, device: Device) {
    let values = Tensor(timesteps.values.map(Float.init)).moved(to: device)
    if timesteps.values.count == 1 {
      self = .perSample(values)
    } else {
      self = .perToken(
        values: values.reshaped(to: 1, -1),
        index: timesteps.index.reshaped(to: 1, -1).moved(to: device))
    }
  }
}
