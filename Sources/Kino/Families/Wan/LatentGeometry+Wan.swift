package import KinoDiffusion
package import KinoModels

extension LatentGeometry {
  /// The latents of an autoencoder under the patches of a transformer.
  package init(
    _ autoencoder: VideoAutoencoder.Configuration, _ transformer: DiffusionTransformer.Configuration
  ) {
    let patch = transformer.patchSize
    self.init(
      channels: autoencoder.latentChannels, temporalScale: autoencoder.temporalScale,
      spatialScale: autoencoder.spatialScale,
      patch: LatentShape.Patch(frames: patch[0], height: patch[1], width: patch[2]))
  }
}
