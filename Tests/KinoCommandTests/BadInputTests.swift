import Foundation
import KinoTestSupport
import Testing

/// Wrong use ends with 2 and other failures with 1, both with a reason, and neither leaves a file.
@Suite struct BadInputTests {
  static let generate = ["generate", "x", "--model", "{model}"]

  static let wrongUse: [[String]] = [
    ["generate"],
    ["nonsense"],
    ["generate", "x", "--nonsense"],
    ["generate", "", "--model", "{model}"],
    ["generate", " \n ", "--model", "{model}"],
    ["generate", String(repeating: "long ", count: 20_000), "--model", "{model}"],
    generate + ["--size", "0x0"],
    generate + ["--size", "64"],
    generate + ["--size", "64x"],
    generate + ["--size", "-64x64"],
    generate + ["--size", "1e9x64"],
    generate + ["--size", "8x8"],
    generate + ["--size", "99999x99999"],
    generate + ["--size", "99999999999999999999x64"],
    generate + ["--seconds", "0"],
    generate + ["--seconds", "nan"],
    generate + ["--seconds", "inf"],
    generate + ["--seconds=-1"],
    generate + ["--seconds", "61"],
    generate + ["--seconds", "1", "--frames", "9"],
    generate + ["--frames", "0"],
    generate + ["--frames", "9223372036854775807"],
    generate + ["--frames", "9223372036854775808"],
    generate + ["--fps", "0"],
    generate + ["--fps", "1e300"],
    generate + ["--seed=-1"],
    generate + ["--seed", "18446744073709551616"],
    generate + ["--steps", "0"],
    generate + ["--steps", "1001"],
    generate + ["--steps", "two"],
    generate + ["--guidance=-1"],
    generate + ["--guidance", "nan"],
    generate + ["--guidance-range", "0.9:0.1"],
    generate + ["--guidance-range", "1"],
    generate + ["--cache", "2"],
    generate + ["--precision", "int4"],
    generate + ["--precision", "f64"],
    generate + ["--sampler", "ddim"],
    generate + ["--device", "cuda"],
    generate + ["--device", "tpu"],
    generate + ["--threads", "0"],
    generate + ["--lora", "a.safetensors:nan"],
    generate + ["--lora"],
    generate + ["--output", "a.png"],
    generate + ["--output", "a.xyz"],
    generate + ["--output", "noextension"],
    generate + ["--sheet", "sheet.txt"],
    ["image", "x", "--model", "{model}", "--output", "a.mp4"],
    ["image", "x", "--model", "{model}", "--size", "2049x16"],
    ["image", "x", "--model", "{model}", "--frames", "2"],
    ["world", "qwertyuiop"],
    ["world", "--count", "0"],
    ["world", "--size", "4x4"],
    ["world", "--seconds", "nan"],
    ["world", "a red ball", "--seed", "1"],
    ["world", "--language", "de"],
    ["plan", "generate", "x", "--model", "{model}", "--frames", "-1"],
    ["probe", "nonsense", "--model", "{model}", "--output", "o.safetensors"],
    ["probe", "decode", "--model", "{model}", "--output", "o.safetensors"],
    ["probe", "tokenize", "--model", "{model}", "--output", "o.safetensors"],
    ["bench", "nonsense"],
    ["bench", "attention", "--runs", "0"],
    ["bench", "attention", "--latents", "5x32"],
    ["bench", "attention", "--latents", "5x3x3"],
    ["bench", "attention", "--precision", "int4"],
    ["inspect"],
    ["convert"],
    ["convert", "bad.safetensors"],
    ["convert", "{model}/vae", "a.safetensors", "--precision", "q8_0"],
    ["convert", "{model}/vae", "a.safetensors", "--precision", "int4"],
    ["convert", "{model}", "a.gguf"],
    ["train"],
    ["train", "{model}/kino.json", "--threads", "0"],
    ["evaluate", "autoencoder", "{model}/vae", "--size", "65x64"],
    ["evaluate", "autoencoder", "{model}/vae", "--frames", "6"],
    ["evaluate", "autoencoder", "{model}/vae", "--fps", "nan"],
    ["evaluate", "autoencoder", "{model}/vae", "--count", "0"],
    ["evaluate", "autoencoder", "{model}/vae", "--sheet", "sheet.txt"],
  ]

  static let failures: [[String]] = [
    ["generate", "x", "--model", "no-such-model"],
    ["generate", "x", "--model", "./no/such/folder"],
    ["generate", "x", "--model", "."],
    generate + ["--output", "no/such/folder/a.mp4"],
    generate + ["--output", "taken.mp4"],
    generate + ["--output", "folder.mp4"],
    generate + ["--output", "/dev/null/a.mp4"],
    generate + ["--sheet", "taken.png"],
    ["evaluate", "autoencoder", "{model}/vae", "--sheet", "taken.png"],
    generate + ["--lora", "nothing.safetensors"],
    generate + ["--lora", "bad.safetensors:0.5"],
    generate + ["--lora", "{model}/vae/diffusion_pytorch_model.safetensors"],
    ["convert", "nothing", "a.safetensors"],
    ["convert", "bad.safetensors", "a.safetensors"],
    ["convert", "{model}/vae", "taken.mp4"],
    ["convert", "{model}/vae", "no/such/folder/a.safetensors"],
    ["convert", "{model}/vae", "folder.mp4", "--overwrite"],
    ["models", "nothing"],
    ["models", "--verify", "bad.safetensors"],
    ["inspect", "nothing"],
    ["inspect", "taken.mp4"],
    ["inspect", "."],
    ["inspect", "bad.safetensors"],
    ["probe", "decode", "--model", "{model}", "--input", "nothing", "--output", "o.safetensors"],
    [
      "probe", "decode", "--model", "{model}", "--input", "bad.safetensors", "--output",
      "o.safetensors",
    ],
    ["world", "--output", "taken.mp4"],
    ["world", "--count", "2", "--output", "taken.png"],
  ]

  private static let shared = Result { try KinoProgram() }

  private func check(_ arguments: [String], status: Int32) async throws {
    let kino = try KinoProgram(shared: Self.shared.get().url("model"))
    for name in ["taken.mp4", "taken.png", "bad.safetensors"] {
      try Data("mine".utf8).write(to: kino.url(name))
    }
    try FileManager.default.createDirectory(
      at: kino.url("folder.mp4"), withIntermediateDirectories: false)
    let before = try kino.files
    let outcome = try await kino.run(arguments)
    #expect(outcome.status == status, "\(outcome.errors.suffix(400))")
    #expect(!outcome.errors.isEmpty)
    #expect(try kino.files == before)
    #expect(try Data(contentsOf: kino.url("taken.mp4")) == Data("mine".utf8))
  }

  @Test(arguments: wrongUse)
  func `Wrong use ends with 2`(arguments: [String]) async throws {
    try await check(arguments, status: 2)
  }

  @Test(arguments: failures)
  func `Failures end with 1`(arguments: [String]) async throws {
    try await check(arguments, status: 1)
  }

  @Test(arguments: [
    "vae/diffusion_pytorch_model.safetensors", "transformer/diffusion_pytorch_model.safetensors",
    "text_encoder/model.safetensors", "tokenizer/spiece.model", "transformer/config.json",
    "vae/config.json", "model_index.json", "scheduler/scheduler_config.json", "kino.json",
  ])
  func `A model with a file cut off is refused`(file: String) async throws {
    let kino = try KinoProgram()
    let url = kino.url("model/" + file)
    let bytes = try Data(contentsOf: url)
    try bytes.prefix(bytes.count / 2).write(to: url)
    let outcome = try await kino.run(Self.generate + ["--output", "a.mp4"])
    #expect(outcome.status == 1, "\(outcome.errors.suffix(400))")
    #expect(try kino.files.isEmpty)
    // A model does without the first; the weights tell the sizes in the second; without the third, parts are
    // found by what they are.
    if ["kino.json", "vae/config.json", "model_index.json"].contains(file) { return }
    try FileManager.default.removeItem(at: url)
    #expect(try await kino.run(Self.generate + ["--output", "a.mp4"]).status == 1)
  }

  @Test func `Arguments that are not UTF-8 are refused`() async throws {
    let kino = try KinoProgram()
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    let program = try KinoProgram.locate().path
    shell.arguments = ["-c", "exec '\(program)' generate \"$(printf 'a\\377b')\" --model model"]
    shell.currentDirectoryURL = kino.folder
    shell.environment = ["GOMP_SPINCOUNT": "1000"]
    shell.standardError = FileHandle.nullDevice
    let status = try await withCheckedThrowingContinuation {
      (done: CheckedContinuation<Int32, any Error>) in
      shell.terminationHandler = { done.resume(returning: $0.terminationStatus) }
      do { try shell.run() } catch { done.resume(throwing: error) }
    }
    #expect(status == 2)
    #expect(try kino.files.isEmpty)
  }

  /// Runs the program in a shell, whose redirections close or fill its streams.
  @Test(arguments: [
    (">&-", 0), ("2>&-", 0), (">&- 2>&- <&-", 0), ("| true", 0), (">/dev/full", 1),
    ("--json >/dev/full", 1), ("2>/dev/full", 0), ("--json --quiet >&-", 0),
    ("--output - >&-", 1), ("--output - | true", 1), ("--output - >/dev/full", 1),
  ])
  func `Streams that are closed or full neither crash nor lose a result`(
    streams: String, status: Int
  ) async throws {
    let kino = try KinoProgram()
    let program = try KinoProgram.locate().path
    let isStream = streams.contains("--output")
    let output = isStream ? "" : "--output a.mp4"
    let outcome = try await kino.shell(
      "set -o pipefail; '\(program)' generate x --model model --frames 5 --steps 1 --size 32x32 "
        + "\(output) \(streams)")
    #expect(outcome == status)
    #expect(try kino.files == (isStream ? ["tmp"] : ["a.mp4", "tmp"]))
    #expect(try FileManager.default.contentsOfDirectory(atPath: kino.url("tmp").path).isEmpty)
  }

  @Test func `One name for two results is refused`() async throws {
    let kino = try KinoProgram(shared: Self.shared.get().url("model"))
    for names in [["--sheet", "a.png"], ["--preview", "./a.png"]] {
      let outcome = try await kino.run(
        ["image", "x", "--model", "{model}", "--output", "a.png"] + names)
      #expect(outcome.status == 2)
    }
    #expect(try kino.files.isEmpty)
  }

  @Test func `A larger picture is a picture where no name is given`() async throws {
    let kino = try KinoProgram(shared: Self.shared.get().url("model"))
    let small = ["image", "x", "--model", "{model}", "--size", "32x32", "--steps", "1"]
    #expect(try await kino.run(small + ["--output", "p.png"]).status == 0)
    let large = ["upscale", "p.png", "--model", "{model}", "--size", "64x64", "--steps", "1"]
    let outcome = try await kino.run(large)
    #expect(outcome.status == 0, "\(outcome.errors.suffix(400))")
    #expect(try kino.files == ["p-large.png", "p.png"])
  }

  @Test(arguments: [
    (["WORLD_SIZE": "two"], "WORLD_SIZE is \"two\""),
    (["WORLD_SIZE": "2"], "RANK is not set"),
    (["WORLD_SIZE": "2", "RANK": "2"], "RANK is \"2\", expected a number in 0...1"),
    (["WORLD_SIZE": "2", "RANK": "0"], "MASTER_ADDR or MASTER_PORT is not set"),
    (
      ["WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "x"],
      "MASTER_PORT is \"x\""
    ),
  ])
  func `A process that is told its place wrongly says which variable is at fault`(
    variables: [String: String], expected: String
  ) async throws {
    let outcome = try await KinoProgram().run(
      ["train", "run.yaml"], environment: variables.merging(["GOMP_SPINCOUNT": "1000"]) { $1 })
    #expect(outcome.status == 2 && outcome.errors.contains(expected))
  }
}
