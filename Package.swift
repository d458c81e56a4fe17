// swift-tools-version: 6.2
import PackageDescription

// LibTorch is unpacked at `.libtorch` by `scripts/bootstrap`; LIBTORCH names another copy.
let torch = Context.environment["LIBTORCH"] ?? Context.packageDirectory + "/.libtorch"

let torchHeaders: [CXXSetting] = [
  .unsafeFlags([
    "-I\(torch)/include", "-I\(torch)/include/torch/csrc/api/include", "-O2", "-w",
  ])
]

// libtorch brings in libtorch_cuda where there is one. No symbol of it is used, so the linker must be
// told to keep it.
let torchLink: [LinkerSetting] = [
  .unsafeFlags(["-L\(torch)/lib", "-Xlinker", "-rpath", "-Xlinker", "\(torch)/lib"]),
  .unsafeFlags(
    ["--no-as-needed", "-ltorch", "--as-needed"].flatMap { ["-Xlinker", $0] },
    .when(platforms: [.linux])),
  .linkedLibrary("torch"), .linkedLibrary("torch_cpu"), .linkedLibrary("c10"),
]

// Homebrew's folder is not on the compiler's own paths.
let brew = Context.environment["HOMEBREW_PREFIX"] ?? "/opt/homebrew"
let brewHeaders: [CXXSetting] = [.unsafeFlags(["-I\(brew)/include"], .when(platforms: [.macOS]))]
let sentencePiece: [LinkerSetting] = [
  .unsafeFlags(["-L\(brew)/lib"], .when(platforms: [.macOS])),
  .linkedLibrary("sentencepiece"), .linkedLibrary("sentencepiece_train"),
]

/// Loops over pixels are optimised in debug builds too.
let hot: [SwiftSetting] = [.unsafeFlags(["-O"])]

let package = Package(
  name: "Kino",
  platforms: [.macOS(.v15)],
  products: [
    .library(name: "Kino", targets: ["Kino"]),
    .library(name: "KinoTraining", targets: ["KinoTraining"]),
    .executable(name: "kino", targets: ["KinoCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
  ],
  targets: [
    // C and C++: the only places that see foreign headers.
    .target(name: "CKinoTorch", cxxSettings: torchHeaders, linkerSettings: torchLink),
    .systemLibrary(
      name: "CFFmpeg",
      pkgConfig: "libavformat libavcodec libavfilter libavutil libswresample libswscale",
      providers: [
        .apt([
          "libavformat-dev", "libavcodec-dev", "libavfilter-dev", "libavutil-dev",
          "libswresample-dev", "libswscale-dev",
        ]),
        .brew(["ffmpeg"]),
      ]),
    .systemLibrary(
      name: "CWebP", pkgConfig: "libwebpdemux",
      providers: [.apt(["libwebp-dev"]), .brew(["webp"])]),
    .target(name: "CSentencePiece", cxxSettings: brewHeaders, linkerSettings: sentencePiece),

    // The engine.
    .target(name: "KinoTensor", dependencies: ["CKinoTorch"]),
    .target(name: "KinoNN", dependencies: ["KinoTensor"]),
    .target(
      name: "KinoWeights",
      dependencies: [
        "KinoTensor", "KinoNN", .product(name: "Crypto", package: "swift-crypto"),
      ]),
    .target(
      name: "KinoModels", dependencies: ["KinoTensor", "KinoNN", "KinoWeights", "CSentencePiece"]),
    .target(name: "KinoDiffusion", dependencies: ["KinoTensor"]),

    // Pictures and worlds: no tensors.
    .target(name: "KinoMedia", dependencies: ["CFFmpeg", "CWebP"], swiftSettings: hot),
    .target(name: "KinoWorld", swiftSettings: hot),

    // What users meet.
    .target(
      name: "Kino",
      dependencies: [
        "KinoTensor", "KinoNN", "KinoWeights", "KinoModels", "KinoDiffusion", "KinoMedia",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(
      name: "KinoTraining",
      dependencies: [
        "Kino", "KinoTensor", "KinoNN", "KinoWeights", "KinoModels", "KinoDiffusion", "KinoMedia",
        "KinoWorld",
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(
      name: "KinoEvaluation",
      dependencies: [
        "Kino", "KinoTensor", "KinoNN", "KinoWeights", "KinoModels", "KinoMedia", "KinoWorld",
      ]),
    .executableTarget(
      name: "KinoCommand",
      dependencies: [
        "Kino", "KinoTensor", "KinoWeights", "KinoModels", "KinoMedia", "KinoWorld", "KinoTraining",
        "KinoEvaluation",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ]),

    // Tests.
    .target(
      name: "KinoTestSupport",
      dependencies: ["KinoTensor", "KinoNN", "KinoWeights", "KinoModels"],
      path: "Tests/KinoTestSupport", exclude: ["Goldens"]),
    .testTarget(name: "KinoTensorTests", dependencies: ["KinoTensor", "KinoTestSupport"]),
    .testTarget(name: "KinoNNTests", dependencies: ["KinoNN", "KinoTestSupport"]),
    .testTarget(
      name: "KinoWeightsTests", dependencies: ["KinoWeights", "KinoTestSupport"],
      resources: [.copy("Fixtures")]),
    .testTarget(
      name: "KinoModelsTests", dependencies: ["KinoModels", "KinoTestSupport"],
      resources: [.copy("Fixtures")]),
    .testTarget(name: "KinoDiffusionTests", dependencies: ["KinoDiffusion", "KinoTestSupport"]),
    .testTarget(
      name: "KinoMediaTests", dependencies: ["KinoMedia", "KinoTestSupport"],
      resources: [.copy("Fixtures")]),
    .testTarget(name: "KinoWorldTests", dependencies: ["KinoWorld"]),
    .testTarget(
      name: "KinoTests",
      dependencies: [
        "Kino", "KinoTensor", "KinoWeights", "KinoModels", "KinoDiffusion", "KinoTestSupport",
      ]),
    .testTarget(
      name: "KinoTrainingTests",
      dependencies: ["KinoTraining", "Kino", "KinoWorld", "KinoTestSupport"]),
    .testTarget(name: "KinoEvaluationTests", dependencies: ["KinoEvaluation", "KinoWorld"]),
    // Depends on the program, which its tests run.
    .testTarget(
      name: "KinoCommandTests",
      dependencies: [
        "KinoCommand", "Kino", "KinoMedia", "KinoTensor", "KinoWeights", "KinoTestSupport",
      ]),
  ],
  swiftLanguageModes: [.v6],
  cxxLanguageStandard: .cxx20
)

for target in package.targets where target.type != .system && !target.name.hasPrefix("C") {
  target.swiftSettings =
    (target.swiftSettings ?? []) + [
      .enableUpcomingFeature("ExistentialAny"),
      .enableUpcomingFeature("MemberImportVisibility"),
      .enableUpcomingFeature("InternalImportsByDefault"),
    ]
}
