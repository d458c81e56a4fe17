internal import KinoModels

/// What the publishers of Wan's models sample with where nothing else is said, told by shapes.
struct PublishedSettings {
  let flowShift: Double
  let defaults: FamilyDefaults
  /// Where two experts meet.
  let boundary: Double

  init(
    _ transformer: DiffusionTransformer.Configuration,
    _ autoencoder: VideoAutoencoder.Configuration, hasExperts: Bool
  ) {
    let readsPictures = transformer.inputChannels != transformer.outputChannels
    boundary = readsPictures ? 0.9 : 0.875
    // 2.2 with its larger latents at 720p, all others at 480p.
    guard !autoencoder.isResidual else {
      flowShift = 5
      defaults = FamilyDefaults(size: FrameSize(1280, 704), frames: 121, framesPerSecond: 24)
      return
    }
    var standard = FamilyDefaults(size: FrameSize(832, 480), frames: 81, framesPerSecond: 16)
    switch (hasExperts, readsPictures) {
    case (true, true):
      flowShift = 5
      (standard.steps, standard.guidance, standard.lowNoiseGuidance) = (40, 3.5, 3.5)
    case (true, false):
      flowShift = 12
      (standard.steps, standard.guidance, standard.lowNoiseGuidance) = (40, 4, 3)
    case (false, true):
      flowShift = transformer.positionEmbeddingLength == nil ? 3 : 16
      standard.steps = 40
    case (false, false): flowShift = 5
    }
    defaults = standard
  }
}
