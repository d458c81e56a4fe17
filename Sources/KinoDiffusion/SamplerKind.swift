/// The samplers that come with Kino, by the names that users know.
public enum SamplerKind: String, Codable, CaseIterable, Sendable {
  /// A multistep predictor and corrector: the best for few steps.
  case uniPC = "unipc"
  /// Straight steps.
  case euler
  /// Two evaluations a step.
  case heun
  /// A multistep predictor.
  case dpmPlusPlus2M = "dpm++2m"
  /// Straight steps that replace a part of the noise.
  case eulerAncestral = "euler-ancestral"
  /// Clean predictions under all new noise: for checkpoints distilled to a few steps.
  case lcm

  /// The sampler, with its usual settings.
  public var sampler: any Sampler {
    switch self {
    case .uniPC: UniPCSampler()
    case .euler: EulerSampler()
    case .heun: HeunSampler()
    case .dpmPlusPlus2M: DPMPlusPlus2MSampler()
    case .eulerAncestral: EulerAncestralSampler()
    case .lcm: LCMSampler()
    }
  }
}
