import Foundation
import Kino
import KinoTensor
import KinoTestSupport
import KinoWeights
import Testing

@Suite struct CommandTests {
  let kino: KinoProgram

  init() throws { kino = try KinoProgram() }

  @Test func `A clip, its sheet and its recipe`() async throws {
    let made = try await kino.run([
      "generate", "a red ball", "--model", "{model}", "--seed", "5", "--output", "a.mp4",
      "--sheet", "a.png",
    ])
    #expect(made.status == 0)
    #expect(made.output.contains("a.mp4 (seed 5)"))
    #expect(made.errors.contains("step 3/3"))
    #expect(try kino.files == ["a.mp4", "a.png"])
    #expect(try MediaInfo.probe(kino.url("a.png").path).width > 6 * 64)

    let told = try await kino.run(["inspect", "a.mp4"])
    let line = try #require(told.output.split(separator: "\n").last { $0.hasPrefix("command: ") })
    #expect(
      line.contains(
        "kino generate 'a red ball' --model tiny --size 64x64 --frames 9 --fps 8 --seed 5"))
    // The command that it prints makes the same file.
    let words = line.dropFirst("command: kino ".count).replacing("'a red ball'", with: "a_red_ball")
      .split(separator: " ").map {
        $0 == "a_red_ball" ? "a red ball" : $0 == "tiny" ? "{model}" : String($0)
      }
    let again = try await kino.run(words + ["--output", "b.mp4", "--quiet"])
    #expect(again.status == 0 && again.output.isEmpty && again.errors.isEmpty)
    #expect(
      FileManager.default.contentsEqual(
        atPath: kino.url("a.mp4").path, andPath: kino.url("b.mp4").path))
  }

  @Test func `Every line is JSON if asked for`() async throws {
    let made = try await kino.run(["generate", "a red ball", "--model", "{model}", "--json"])
    #expect(made.status == 0 && made.errors.isEmpty)
    let events = made.objects.map { $0?["event"] }
    #expect(events == ["planned", "step", "step", "step", "decoding", "wrote"])
    #expect(made.objects.last??["path"] == "a-red-ball.mp4")
    let failed = try await kino.run(["generate", "a red ball", "--model", "{model}", "--json"])
    #expect(failed.status == 1)
    #expect(failed.objects.last??["code"] == "outputExists")
    for (option, value, code) in [("--seconds", "0", "invalidLength"), ("--fps", "0", "wrongUse")] {
      let wrong = try await kino.run([
        "generate", "x", "--model", "{model}", "--json", option, value,
      ])
      #expect(wrong.status == 2)
      #expect(wrong.objects.last??["code"] == code)
    }
  }

  @Test func `Models are listed, converted, and given a LoRA by the command of the recipe`()
    async throws
  {
    let listed = try await kino.run(["models", "--verify", "--json", "model"])
    #expect(listed.status == 0, "\(listed.errors)")
    let model = try #require(
      try JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [String: Any])
    #expect(model["name"] as? String == "tiny" && model["faults"] as? [String] == [])

    let converted = try await kino.run(["convert", "model/transformer", "a.gguf"])
    #expect(converted.status == 0, "\(converted.errors)")
    #expect(try kino.files == ["a.gguf"])
    let told = try await kino.run(["inspect", "a.gguf"])
    #expect(told.output.contains("format: GGUF") && told.output.contains("Q8_0"))
    #expect(try await kino.run(["convert", "model/transformer", "a.gguf"]).status == 1)

    let tensors = ["transformer.proj_out.diff_b": Tensor.ones([64])]
    try SafetensorsFile.write(tensors, to: kino.url("my style.safetensors"))
    let made = try await kino.run([
      "image", "a red ball", "--model", "{model}", "--seed", "5", "--output", "a.png", "--lora",
      "my style.safetensors:0.5",
    ])
    #expect(made.status == 0, "\(made.errors)")
    let recipe = try await kino.run(["inspect", "a.png"])
    #expect(recipe.output.contains("--model tiny --lora 'my style.safetensors':0.5 --size"))
  }

  @Test func `Named work is timed`() async throws {
    let found = try await kino.run([
      "bench", "attention", "mini-train-step", "mini-decode", "--latents", "2x4x4", "--runs", "2",
      "--json",
    ])
    #expect(found.status == 0, "\(found.errors)")
    let lines = try found.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(
      lines.map { $0["workload"] as? String } == ["attention", "mini-train-step", "mini-decode"])
    for line in lines {
      let (median, best) = (line["median_ms"] as? Double ?? 0, line["best_ms"] as? Double ?? 0)
      #expect(best > 0 && median >= best && (line["peak_bytes"] as? Int ?? 0) > 1 << 20)
    }
    #expect((lines[0]["gflops"] as? Double ?? 0) > 0 && lines[2]["gflops"] == nil)
  }

  @Test func `A picture, and a plan`() async throws {
    let made = try await kino.run([
      "image", "a red ball", "--model", "{model}", "--output", "a.png", "--size", "50x30",
    ])
    #expect(made.status == 0)
    let info = try MediaInfo.probe(kino.url("a.png").path)
    #expect(info.width == 50 && info.height == 30)
    for verb in ["generate", "image"] {
      let plan = try await kino.run(["plan", verb, "x", "--model", "{model}"])
      #expect(plan.status == 0 && plan.output.contains("tokens: "))
    }
  }

  @Test func `Words and steps that a model is not made for give a warning each, once`()
    async throws
  {
    let profile = kino.url("model/kino.json")
    try String(contentsOf: profile, encoding: .utf8).replacing(
      "\"name\": \"tiny\",",
      with: """
        "name": "tiny", "minimum_steps": 2,
        "vocabulary": {"en": {"things": ["ball", "cube"], "colours": ["red"], "function": ["a"]}},
        """
    ).write(to: profile, atomically: true, encoding: .utf8)
    let words = "tiny knows no \"cat\"; it knows: ball, cube."
    let steps = "1 step is fewer than the 2 that tiny needs; shapes may stay unfinished."
    let asked = ["a red cat", "--model", "{model}", "--steps", "1"]
    for verb in ["generate", "image"] {
      let plan = try await kino.run(["plan", verb] + asked)
      #expect(plan.status == 0)
      #expect(plan.errors == "warning: \(words)\nwarning: \(steps)\n")
      let json = try await kino.run(["plan", verb] + asked + ["--json"])
      #expect(json.objects.map { $0?["event"] } == ["planned", "warning", "warning"])
      #expect(json.objects.compactMap { $0?["message"] } == [words, steps])
    }
    let made = try await kino.run(["generate"] + asked + ["--json"])
    #expect(made.status == 0)
    #expect(made.objects.compactMap { $0?["message"] } == [words, steps])
    let quiet = try await kino.run(["image", "red balls", "--model", "{model}", "--quiet"])
    #expect(quiet.status == 0 && quiet.errors.isEmpty)
  }

  @Test func `An autoencoder is scored by what moves and what stays`() async throws {
    let made = try await kino.run([
      "evaluate", "autoencoder", "model/vae", "--size", "64x32", "--frames", "5", "--count", "2",
      "--fps", "4", "--sheet", "sheet.png", "--json",
    ])
    #expect(made.status == 0, "\(made.errors)")
    let line = try #require(made.output.split(separator: "\n").first)
    let score = try #require(
      try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
    #expect(score["set"] as? String == "world, 64x32, 5 frames at 4.0 a second")
    #expect(score["count"] as? Int == 2 && score["psnr"] is Double)
    let parts = try #require(score["parts"] as? [String: Any])
    #expect(parts["moving"] is Double && parts["still"] is Double && parts["first_frame"] is Double)
    #expect((parts["latent_frames"] as? [Double])?.count == 4)
    let info = try MediaInfo.probe(kino.url("sheet.png").path)
    #expect(info.width == 4 * (2 * 64 + 4) + 4)
    let plain = try await kino.run([
      "evaluate", "autoencoder", "model/vae", "--size", "32x32", "--frames", "1", "--count", "1",
    ])
    #expect(plain.status == 0 && !plain.output.contains("moving"))
  }

  @Test func `Worlds: one clip, or a data set`() async throws {
    let one = try await kino.run([
      "world", "a red ball bounces on grass", "--size", "32x32", "--frames", "3", "--output",
      "w.mp4",
    ])
    #expect(one.status == 0)
    let many = try await kino.run([
      "world", "--seed", "3", "--count", "2", "--size", "32x32", "--seconds", "0.5", "--fps", "8",
      "--output", "data", "--language", "ru", "--held-out",
    ])
    #expect(many.status == 0)
    #expect(try kino.files == ["data", "w.mp4", "w.txt"])
    let names = try FileManager.default.contentsOfDirectory(atPath: kino.url("data").path).sorted()
    #expect(
      names == ["manifest.jsonl", "world-3.mp4", "world-3.txt", "world-4.mp4", "world-4.txt"])
    #expect(try MediaInfo.probe(kino.url("data/world-3.mp4").path).frameCount == 4)
    let manifest = try String(contentsOf: kino.url("data/manifest.jsonl"), encoding: .utf8)
    #expect(manifest.split(separator: "\n").count == 2)
    let caption = try String(contentsOf: kino.url("data/world-4.txt"), encoding: .utf8)
    #expect(manifest.contains(caption.trimmingCharacters(in: .newlines)))
    let again = try await kino.run([
      "world", "--seed", "3", "--count", "2", "--output", "data", "--size", "32x32",
    ])
    #expect(again.status == 1)
  }

  @Test func `Stages run on given tensors`() async throws {
    func probe(_ stage: String, _ input: String?, _ output: String, _ more: [String] = [])
      async throws -> Int32
    {
      let files = (input.map { ["--input", $0] } ?? []) + ["--output", output]
      return try await kino.run(["probe", stage, "--model", "{model}"] + files + more).status
    }
    #expect(try await probe("tokenize", nil, "ids.safetensors", ["--text", "a red ball"]) == 0)
    let ids = try await kino.run(["inspect", "ids.safetensors"])
    #expect(ids.output.contains("input_ids: I64 [1, "))
    // A file without the stage's tensors, or with the wrong ones, is wrong use.
    #expect(try await probe("decode", "ids.safetensors", "pixels.safetensors") == 2)
    #expect(try await probe("text-encoder", "ids.safetensors", "states.safetensors") == 2)
    #expect(try kino.files == ["ids.safetensors"])
  }

  // Sizes that are made in one go: of a window that is complete, what was sampled would stay.
  @Test(arguments: [
    [
      "generate", "x", "--model", "{model}", "--steps", "1000", "--size", "352x352", "--output",
      "a.mp4",
    ],
    [
      "image", "x", "--model", "{model}", "--steps", "1000", "--sampler", "heun",
      "--size", "352x352", "--output", "a.png",
    ],
  ])
  func `Ctrl-C stops with 130 and leaves nothing`(arguments: [String]) async throws {
    let stopped = try await kino.run(arguments, interruptAfter: " 2/")
    #expect(stopped.status == 130)
    #expect(!stopped.errors.contains("step 1000/"))
    #expect(try kino.files.isEmpty)
  }

  @Test func `It starts itself again with short barriers, and only once`() async throws {
    let made = try await kino.run(
      ["generate", "x", "--model", "{model}", "--output", "a.mp4"], environment: [:])
    #expect(made.status == 0)
    #expect(try kino.files == ["a.mp4"])
  }

  @Test(arguments: [
    [], ["--help"], ["plan"], ["help", "generate"], ["generate", "--help"], ["probe", "--help"],
    ["plan", "--help"],
  ])
  func `Help is no error`(arguments: [String]) async throws {
    let help = try await kino.run(arguments)
    #expect(help.status == 0)
    #expect(help.output.contains("USAGE: kino") && help.errors.isEmpty)
  }
}
