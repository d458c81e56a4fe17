public import Foundation
internal import KinoModels
internal import KinoWeights

/// A model, or the weights of a network, found on disk.
public struct FoundModel: Codable, Hashable, Sendable {
  /// The model's own name, its repository's, or that of folder and file.
  public var name: String
  /// The folder or file.
  public var path: String
  /// `model folder`, or the form of a file of weights.
  public var form: String
  /// What Kino can do with it.
  public var uses: [String] = []
  /// The published networks that have such shapes.
  public var models: [String] = []
  /// Bytes of weights on disk.
  public var bytes = 0
  /// Parts that are not there, such as shards, and downloads that did not end.
  public var missing: [String] = []
  /// What is damaged.
  public var faults: [String] = []
  /// Why Kino can't run it, if all of it is there.
  public var notRun: String?

  /// Whether nothing is missing or damaged, as far as was looked.
  public var isWhole: Bool { missing.isEmpty && faults.isEmpty }

  enum CodingKeys: String, CodingKey {
    case name, path, form, uses, models, bytes, missing, faults
    case notRun = "not_run"
  }

  init(_ name: String, _ url: URL, form: String) {
    (self.name, path, self.form) = (name, url.path, form)
  }

  /// Notes why weights could not be opened.
  mutating func note(_ error: any Error, of part: String? = nil) {
    let text = (part.map { $0 + ": " } ?? "") + "\(error)"
    switch (error as? WeightsError)?.code {
    case .notFound, .missingShard: missing.append(text)
    case nil: notRun = text
    default: faults.append(text)
    }
  }
}

/// The models and weights in some folders.
///
/// A folder counts as what it is: a model in diffusers' layout, a cache of the Hugging Face hub
/// (`models--OWNER--NAME/snapshots/...`), a folder with files of weights, or one that holds such folders.
public struct ModelCatalog: Sendable {
  /// What was found, in the order of the folders and their names.
  public private(set) var models: [FoundModel] = []

  private let isVerifying: Bool
  private var seen: Set<String> = []

  /// Folders within folders that are looked into.
  private static let depth = 4
  /// More is no place for models.
  private static let limit = 1000

  /// Looks for models.
  ///
  /// - Parameters:
  ///   - places: Folders, or files of weights; those that do not exist are passed over.
  ///   - isVerifying: Whether every file is read, and every fault told, not only the first of each model:
  ///     shards cut short, Git LFS pointers, damaged headers, changed bytes.
  public init(searching places: [URL], verifying isVerifying: Bool = false) {
    self.isVerifying = isVerifying
    for place in places { search(place, name: nil, depth: Self.depth) }
  }

  // MARK: - Searching

  private mutating func search(_ place: URL, name: String?, depth: Int) {
    var isFolder: ObjCBool = false
    guard depth > 0, models.count < Self.limit,
      FileManager.default.fileExists(atPath: place.path, isDirectory: &isFolder),
      seen.insert(place.resolvingSymlinksInPath().path).inserted
    else { return }
    guard isFolder.boolValue else { return add(weights: place, name: place.lastPathComponent) }
    let own = place.lastPathComponent
    if Self.exists("model_index.json", in: place) {
      add(model: place, name: name ?? own)
    } else if own.hasPrefix(Self.hubPrefix) {
      searchRepository(place, depth: depth)
    } else {
      searchFolder(place, name: name, depth: depth)
    }
  }

  private mutating func searchFolder(_ folder: URL, name: String?, depth: Int) {
    func inside(_ file: String) -> String { name.map { "\($0)/\(file)" } ?? file }
    do {
      for file in try WeightSet.places(in: folder) {
        // Several names of one file, as in caches, are one.
        guard seen.insert(file.resolvingSymlinksInPath().path).inserted else { continue }
        add(weights: file, name: inside(file.lastPathComponent))
      }
    } catch {
      var found = FoundModel(name ?? folder.lastPathComponent, folder, form: "folder of weights")
      found.note(error)
      models.append(found)
    }
    for child in Self.names(in: folder) where !child.hasPrefix(".") {
      let url = folder.appendingPathComponent(child)
      var isFolder: ObjCBool = false
      guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isFolder),
        isFolder.boolValue
      else { continue }
      search(url, name: inside(child), depth: depth - 1)
    }
  }

  private static let hubPrefix = "models--"

  /// A repository in the cache of the hub: its snapshots hold links to blobs.
  private mutating func searchRepository(_ folder: URL, depth: Int) {
    let name = String(folder.lastPathComponent.dropFirst(Self.hubPrefix.count))
      .replacing("--", with: "/")
    let first = models.count
    let snapshots = folder.appendingPathComponent("snapshots")
    for snapshot in Self.names(in: snapshots) {
      search(snapshots.appendingPathComponent(snapshot), name: name, depth: depth - 1)
    }
    let partial = Self.names(in: folder.appendingPathComponent("blobs"))
      .filter { $0.hasSuffix(".incomplete") }
    guard !partial.isEmpty else { return }
    if models.count == first { models.append(FoundModel(name, folder, form: "repository")) }
    models[models.count - 1].missing.append("\(partial.count) files whose download did not end")
  }

  // MARK: - Models

  private mutating func add(model folder: URL, name: String) {
    var found = FoundModel(name, folder, form: "model folder")
    do {
      let model = try ModelFolder(at: folder)
      for component in model.index.components.filter({ $0.value.className != nil }).keys.sorted() {
        check(component, of: model, &found)
      }
      if found.isWhole { try use(folder, &found) }
    } catch {
      found.note(error)
    }
    if isVerifying { verifyPlainFiles(in: folder, &found) }
    models.append(found)
  }

  private func use(_ folder: URL, _ found: inout FoundModel) throws {
    do {
      let model = try Model(at: folder)
      found.name = model.profile.name ?? found.name
      found.uses = [model.family.conditioning.use]
    } catch let error as WeightsError {
      throw error
    } catch {
      found.notRun = "\(error)"
    }
  }

  private func check(_ component: String, of model: ModelFolder, _ found: inout FoundModel) {
    do {
      if let file = Self.plainFiles[component] {
        _ = try model.file(file, of: component)
      } else if Self.networks.contains(component) {
        let folder = try model.folder(of: component)
        let faults = isVerifying ? WeightSet.faults(at: folder) : []
        for fault in faults { found.note(fault, of: component) }
        if faults.isEmpty { found.bytes += try model.weights(of: component).storedByteCount }
      }
    } catch {
      found.note(error, of: component)
    }
  }

  private static let networks = [
    "transformer", "transformer_2", "vae", "text_encoder", "image_encoder",
  ]
  private static let plainFiles = [
    "tokenizer": "spiece.model", "scheduler": "scheduler_config.json",
  ]

  /// Finds Git LFS pointers in the place of files that are no weights.
  private func verifyPlainFiles(in folder: URL, _ found: inout FoundModel) {
    let folders = [folder] + Self.plainFiles.keys.sorted().map(folder.appendingPathComponent)
    for folder in folders {
      for name in Self.names(in: folder) {
        let file = folder.appendingPathComponent(name)
        guard let handle = try? FileHandle(forReadingFrom: file) else { continue }
        defer { try? handle.close() }
        let start = "version https://git-lfs"
        if let head = try? handle.read(upToCount: start.utf8.count), head == Data(start.utf8) {
          found.faults.append(
            "\(file.path): a Git LFS pointer instead of the file; fetch it again.")
        }
      }
    }
  }

  // MARK: - Weights

  private mutating func add(weights url: URL, name: String) {
    var found = FoundModel(name, url, form: "weights")
    do {
      if isVerifying {
        for fault in WeightSet.faults(at: url) { found.note(fault) }
      }
      if found.isWhole { try describe(WeightSet(at: url), &found) }
    } catch {
      found.note(error)
    }
    models.append(found)
  }

  private func describe(_ weights: WeightSet, _ found: inout FoundModel) throws {
    found.form = Set(weights.files.map(\.format.rawValue)).sorted().joined(separator: ", ")
    found.bytes = weights.storedByteCount
    if weights.classNameBeside == "KinoJudge" {
      found.uses = ["the judge of kino evaluate model"]
      return
    }
    do {
      let networks = try Model.networks(in: weights)
      found.models = networks.flatMap(\.models)
      found.uses = networks.map { "\($0.name): \($0.use)" }
    } catch {
      guard let adapter = try? LoRA(weights) else { throw error }
      found.uses = ["a LoRA of \(adapter.layerCount) layers, for --lora"]
    }
  }

  // MARK: - Internal

  private static func exists(_ name: String, in folder: URL) -> Bool {
    FileManager.default.fileExists(atPath: folder.appendingPathComponent(name).path)
  }

  private static func names(in folder: URL) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []).sorted()
  }
}

extension FoundModel: CustomStringConvertible {
  /// A line for the name, and one for each fact.
  public var description: String {
    let size = bytes > 0 ? ", \(Self.size(bytes))" : ""
    var lines = [name, "  \(form)\(size)", "  \(path)"]
    lines += uses.map { "  \($0)" }
    if !models.isEmpty { lines.append("  \(models.joined(separator: ", or "))") }
    lines += missing.map { "  missing: \($0)" } + faults.map { "  damaged: \($0)" }
    if let notRun { lines.append("  not run: \(notRun)") }
    return lines.map(\.printable).joined(separator: "\n")
  }

  private static func size(_ bytes: Int) -> String {
    let isLarge = bytes >= 1_000_000_000
    return String(format: isLarge ? "%.1f GB" : "%.1f MB", Double(bytes) / (isLarge ? 1e9 : 1e6))
  }
}
