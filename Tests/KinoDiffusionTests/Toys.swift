import KinoDiffusion
import KinoTensor

/// The exact velocity of Gaussian data, elementwise: `mean` and `deviation` of the clean latents.
struct GaussianData {
  var mean = 0.7
  var deviation = 0.4

  /// The velocity where the latents have sigmas that broadcast.
  func velocity(_ latents: Tensor, _ sigma: Tensor) -> Tensor {
    let clean = 1 - sigma
    let variance = clean.squared() * (deviation * deviation) + sigma.squared()
    let centred = (latents - clean * mean) / variance
    return sigma * centred - (clean * centred * (deviation * deviation) + mean)
  }

  /// The exact path from one sigma to another.
  func moved(_ latents: Tensor, from start: Double, to end: Double) -> Tensor {
    func spread(_ sigma: Double) -> Double {
      ((1 - sigma) * (1 - sigma) * deviation * deviation + sigma * sigma).squareRoot()
    }
    return (latents - (1 - start) * mean) * (spread(end) / spread(start)) + (1 - end) * mean
  }

  /// A model that knows every token's sigma from its timestep.
  func denoise(_ canvas: Canvas) -> Denoise {
    { latents, moment in
      velocity(latents, perLatent(moment.timesteps.dense, canvas.shape) / 1000)
    }
  }
}

/// Spreads token values `[L]` over latents `[1, F, H, W]`.
func perLatent(_ tokens: Tensor, _ shape: LatentShape) -> Tensor {
  tokens.reshaped(to: shape.grid).repeated(shape.patch.frames, along: 0)
    .repeated(shape.patch.height, along: 1).repeated(shape.patch.width, along: 2)
    .expandingDimension(at: 0)
}

extension LatentShape {
  /// Three channels, five frames, 4x6.
  static func small(frames: Int = 5) throws -> LatentShape {
    try LatentShape(channels: 3, frames: frames, height: 4, width: 6)
  }

  /// Random clean latents.
  func latents(seed: UInt64) -> Tensor {
    var random = RandomSource(seed: seed)
    return random.normal(axes) * 0.5 + 0.3
  }
}

let samplers = SamplerKind.allCases.map(\.sampler)

/// Those that add no noise, and so follow one path whatever the steps.
let pathSamplers: [any Sampler] = [
  EulerSampler(), HeunSampler(), UniPCSampler(), DPMPlusPlus2MSampler(),
]
