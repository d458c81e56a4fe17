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
    .library(name: "KinoServer", targets: ["KinoServer"]),
    .library(name: "KinoTraining", targets: ["KinoTraining"]),
    .executable(name: "kino", targets: ["KinoCommand"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    .package(url: "https://github.com/apple/swift-crypto", "3.12.3"..<"5.0.0"),
    .package(url: "https://github.com/apple/swift-asn1", from: "1.7.4"),
    .package(url: "https://github.com/apple/swift-certificates", from: "1.21.1"),
    .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
    .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1"),
    .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
  ],
  targets: [
    // C and C++: the only places that see foreign headers.
    .target(name: "CKinoTorch", cxxSettings: torchHeaders, linkerSettings: torchLink),
    // It reads the header of CKinoTorch by its path: as a dependency, that would be a module, which C++ can't
    // import here.
    .target(
      name: "CKinoCollectives", exclude: ["Forward/README.md"],
      cxxSettings: torchHeaders + [.headerSearchPath("Forward")]),
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

    // Files and errors, for all.
    .target(name: "KinoSystem"),

    // The engine.
    .target(name: "KinoTensor", dependencies: ["CKinoTorch", "CKinoCollectives", "KinoSystem"]),
    .target(name: "KinoNN", dependencies: ["KinoTensor"]),
    .target(
      name: "KinoWeights",
      dependencies: [
        "KinoSystem", "KinoTensor", "KinoNN", .product(name: "Crypto", package: "swift-crypto"),
      ]),
    .target(
      name: "KinoModels",
      dependencies: ["KinoSystem", "KinoTensor", "KinoNN", "KinoWeights", "CSentencePiece"]),
    .target(name: "KinoDiffusion", dependencies: ["KinoSystem", "KinoTensor"]),

    // Pictures and worlds: no tensors.
    .target(
      name: "KinoMedia", dependencies: ["KinoSystem", "CFFmpeg", "CWebP"], swiftSettings: hot),
    .target(name: "KinoWorld", dependencies: ["KinoSystem"], swiftSettings: hot),

    // What users meet.
    .target(
      name: "Kino",
      dependencies: [
        "KinoSystem", "KinoTensor", "KinoNN", "KinoWeights", "KinoModels", "KinoDiffusion",
        "KinoMedia",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(
      name: "KinoTraining",
      dependencies: [
        "KinoSystem", "Kino", "KinoTensor", "KinoNN", "KinoWeights", "KinoModels", "KinoDiffusion",
        "KinoMedia",
        "KinoWorld",
        .product(name: "Yams", package: "Yams"),
      ]),
    .target(
      name: "KinoEvaluation",
      dependencies: [
        "KinoSystem", "Kino", "KinoTensor", "KinoNN", "KinoWeights", "KinoModels", "KinoMedia",
        "KinoWorld",
      ]),
    .target(
      name: "KinoProvenance",
      dependencies: [
        "KinoSystem", "KinoMedia",
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "SwiftASN1", package: "swift-asn1"),
        .product(name: "X509", package: "swift-certificates"),
      ]),
    .target(
      name: "KinoHub",
      dependencies: [
        "KinoSystem", .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ]),
    .target(
      name: "KinoServer",
      dependencies: [
        "KinoSystem", "Kino", "KinoMedia", "KinoProvenance",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Crypto", package: "swift-crypto"),
        .product(name: "GRDB", package: "GRDB.swift"),
        .product(name: "HTTPTypes", package: "swift-http-types"),
        .product(name: "Hummingbird", package: "hummingbird"),
        .product(name: "HummingbirdCore", package: "hummingbird"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
        .product(name: "NIOPosix", package: "swift-nio"),
      ],
      resources: [.embedInCode("Web")]),
    .executableTarget(
      name: "KinoCommand",
      dependencies: [
        "KinoSystem", "Kino", "KinoTensor", "KinoWeights", "KinoModels", "KinoMedia", "KinoWorld",
        "KinoTraining",
        "KinoEvaluation", "KinoServer", "KinoProvenance", "KinoHub",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
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
        "KinoSystem", "Kino", "KinoTensor", "KinoWeights", "KinoModels", "KinoDiffusion",
        "KinoTestSupport",
      ]),
    .testTarget(
      name: "KinoTrainingTests",
      dependencies: ["KinoTraining", "Kino", "KinoWorld", "KinoTestSupport"]),
    .testTarget(name: "KinoEvaluationTests", dependencies: ["KinoEvaluation", "KinoWorld"]),
    .testTarget(
      name: "KinoProvenanceTests", dependencies: ["KinoProvenance", "KinoMedia", "KinoTestSupport"]),
    .testTarget(
      name: "KinoHubTests",
      dependencies: [
        "KinoHub", "KinoTestSupport", .product(name: "Crypto", package: "swift-crypto"),
      ]),
    .testTarget(
      name: "KinoServerTests",
      dependencies: [
        "KinoServer", "Kino", "KinoMedia", "KinoTensor", "KinoWeights", "KinoTestSupport",
        .product(name: "AsyncHTTPClient", package: "async-http-client"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "NIOCore", package: "swift-nio"),
        .product(name: "NIOHTTP1", package: "swift-nio"),
      ]),
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
