extension TrainingConfiguration {
  /// How a transformer and its text encoder are shaped and fed.
  public struct TransformerSettings: Codable, Hashable, Sendable {
    /// Folder of the trained autoencoder, in the diffusers layout.
    public var autoencoder: String
  }
}
