import Foundation
import KinoTensor
import KinoNN
import KinoWeights
import KinoModels

func err(_ a: Tensor, _ b: Tensor) -> Double {
  let (a, b) = (a.cast(to: .float64), b.cast(to: .float64))
  return ((a - b).squared().sum().item() / b.squared().sum().item()).squareRoot()
}
let base = "/work/main/Tests/KinoTestSupport/Goldens/"
for name in ["autoencoder-2.1", "autoencoder-2.2"] {
  let folder = URL(fileURLWithPath: base + name)
  let config = try ConfigurationFile.read(VideoAutoencoder.Configuration.self, at: folder.appendingPathComponent("config.json"))
  let registry = ParameterRegistry(try WeightSet(at: folder.appendingPathComponent("diffusion_pytorch_model.safetensors")))
  let model = VideoAutoencoder(registry.root, configuration: config)
  try registry.validate()
  let io = try SafetensorsFile(at: folder.appendingPathComponent("io.safetensors"))
  for k in ["encode", "encode_image"] {
    let px = try io.tensor(named: k + ".pixels")
    let d = model.encode(px)
    print(name, k, err(d.mean, try io.tensor(named: k + ".mean")), err(model.normalized(d.mean), try io.tensor(named: k + ".normalized")), "bf16", err(model.encode(px, computeType: .bfloat16).mean, d.mean))
    if k == "encode" {
      var s = model.encodingStream()
      let parts = [s(px.slice(2, 0..<1)), s(px.slice(2, 1..<9))]
      print("  stream", err(concatenate(parts, along: 2), d.mean))
    }
  }
  for k in ["decode", "decode_image"] {
    let z = try io.tensor(named: k + ".latents")
    let whole = model.decode(z).clamped(to: -1...1)
    print(name, k, err(whole, try io.tensor(named: k + ".pixels")), "bf16", err(model.decode(z, computeType: .bfloat16), whole))
    if k == "decode" {
      var s = model.decodingStream()
      print("  stream", err(concatenate([s(z.slice(2, 0..<1)), s(z.slice(2, 1..<2)), s(z.slice(2, 2..<4))], along: 2), whole))
      var s2 = model.decodingStream()
      print("  stream", err(concatenate([s2(z.slice(2, 0..<2)), s2(z.slice(2, 2..<4))], along: 2), whole))
    }
  }
}
// speed
Engine.threadCount = 2
let c = VideoAutoencoder.Configuration(baseWidth: 32, decoderBaseWidth: 32, latentChannels: 48)
let reg = ParameterRegistry(seed: 1)
let ae = VideoAutoencoder(reg.root, configuration: c)
print("parameters", reg.parameters.reduce(0) { $0 + $1.value.count })
var rs = RandomSource(seed: 3)
for (f, s, b) in [(9, 64, 8), (17, 128, 2), (1, 256, 2)] {
  let x = rs.uniform([b, 3, f, s, s]) * 2 - 1
  for type in [DType.float32, .bfloat16] {
    for it in 0..<2 {
      let t0 = Date()
      let d = ae.encode(x, computeType: type)
      let y = ae.decode(d.sample(from: &rs), computeType: type)
      let loss = (y - x).abs().mean()
      let t1 = Date()
      loss.backward()
      let t2 = Date()
      if it == 1 { print(f, s, b, type, "fwd", t1.timeIntervalSince(t0), "bwd", t2.timeIntervalSince(t1), "px/s", Double(f*s*s*b) / t2.timeIntervalSince(t0)) }
    }
  }
}
