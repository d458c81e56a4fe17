public import Foundation

/// The `model_index.json` of a pipeline folder: which components it has, and which class loads each.
public struct ModelIndex: Hashable, Sendable {
  /// Names the library and class that load a component; both nil for a component left out.
  public struct Component: Hashable, Sendable {
    /// The Python library, such as `diffusers`.
    public var library: String?
    /// The class within the library.
    public var className: String?

    /// Names the library and class of a component.
    public init(library: String?, className: String?) {
      self.library = library
      self.className = className
    }
  }

  /// The pipeline's class, `_class_name`.
  public var className: String
  /// The version of diffusers the layout follows, `_diffusers_version`.
  public var diffusersVersion: String?
  /// Components by folder name, such as `transformer`.
  public var components: [String: Component]
  /// Every other key, kept as it is.
  public var settings: [String: JSONValue]

  /// Describes a pipeline.
  public init(
    className: String, diffusersVersion: String? = nil, components: [String: Component],
    settings: [String: JSONValue] = [:]
  ) {
    self.className = className
    self.diffusersVersion = diffusersVersion
    self.components = components
    self.settings = settings
  }

  static let fileName = "model_index.json"

  /// Reads an index; a component's name must be a plain folder name.
  init(at url: URL) throws(WeightsError) {
    let file = try ConfigurationFile(at: url)
    guard let className = file.className else {
      throw WeightsError(
        .missingKey, at: url.path, expected: "the key '_class_name'", found: "none",
        advice: "Check that this is the folder of a pipeline.")
    }
    self.init(className: className, diffusersVersion: file.diffusersVersion, components: [:])
    for (key, value) in file.values where key != "_class_name" && key != "_diffusers_version" {
      if let component = Component(value) {
        try checkPlainName(key, in: url.path)
        components[key] = component
      } else {
        settings[key] = value
      }
    }
  }

  func write(to url: URL) throws(WeightsError) {
    let components = components.mapValues { component in
      JSONValue.array(
        [component.library, component.className].map { name in
          name.map(JSONValue.string) ?? .null
        })
    }
    var file = try ConfigurationFile(
      encoding: components, className: className, diffusersVersion: diffusersVersion)
    file.values.merge(settings) { component, _ in component }
    try file.write(to: url)
  }
}

extension ModelIndex.Component {
  /// A component is a pair of names or of nulls; anything else is a setting.
  fileprivate init?(_ value: JSONValue) {
    guard let pair = value.arrayValue, pair.count == 2,
      pair.allSatisfy({ $0 == .null || $0.stringValue != nil })
    else { return nil }
    self.init(library: pair[0].stringValue, className: pair[1].stringValue)
  }
}

/// A model on disk in the layout of diffusers: `model_index.json` and a folder per component
/// (`transformer/`, `vae/`, `text_encoder/`, `tokenizer/`, `scheduler/`).
public struct ModelFolder: Sendable {
  /// The folder.
  public let url: URL
  /// The content of its `model_index.json`.
  public let index: ModelIndex

  /// Opens a folder by its index; components are read when asked for.
  public init(at url: URL) throws(WeightsError) {
    self.url = url
    index = try ModelIndex(at: url.appendingPathComponent(ModelIndex.fileName))
  }

  /// Returns the folder of a component.
  ///
  /// - Throws: ``WeightsError`` if the index does not list it, lists it as left out, or the folder
  ///   is not there.
  public func folder(of component: String) throws(WeightsError) -> URL {
    guard let entry = index.components[component], entry.className != nil else {
      let listed = index.components.filter { $0.value.className != nil }.keys.sorted()
      throw WeightsError(
        .missingKey, at: url.appendingPathComponent(ModelIndex.fileName).path,
        expected: "a component \(quoted(component))",
        found: listed.map(quoted).joined(separator: ", "),
        advice: "Check that this is a model of the right kind.")
    }
    let folder = url.appendingPathComponent(component, isDirectory: true)
    var isFolder: ObjCBool = false
    guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder),
      isFolder.boolValue
    else {
      throw WeightsError(
        .notFound, at: folder.path, expected: "the folder of a listed component", found: "none",
        advice: "Fetch the whole model.")
    }
    return folder
  }

  /// Returns a file of a component, such as `spiece.model` of `tokenizer`.
  ///
  /// - Throws: ``WeightsError`` if component or file is not there.
  public func file(_ name: String, of component: String) throws(WeightsError) -> URL {
    let file = try folder(of: component).appendingPathComponent(name)
    guard FileManager.default.fileExists(atPath: file.path) else {
      throw WeightsError(
        .notFound, at: file.path, expected: "a file of the component \(quoted(component))",
        found: "none", advice: "Fetch the whole model.")
    }
    return file
  }

  /// Reads a component's configuration; the scheduler's is `scheduler_config.json`.
  public func configuration(
    of component: String, file name: String = "config.json"
  ) throws(WeightsError) -> ConfigurationFile {
    try ConfigurationFile(at: file(name, of: component))
  }

  /// Opens a component's weights.
  public func weights(of component: String) throws(WeightsError) -> WeightSet {
    try WeightSet(inFolder: folder(of: component))
  }
}
