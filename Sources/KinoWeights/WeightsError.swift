/// Says why weights or a model folder could not be read or written.
///
/// The description names the file, what was expected, what was found, and what to do next.
public struct WeightsError: Error, Hashable, Sendable {
  /// Names the kind of failure, for programs; people read the description.
  public struct Code: Hashable, Sendable {
    public let name: String

    private init(_ name: String) {
      self.name = name
    }
  }

  public let code: Code
  /// The file or folder at fault.
  public let path: String
  /// What was expected and what was found instead.
  public let details: String
  /// What to do next.
  public let advice: String

  init(
    _ code: Code, at path: String, expected: String, found: String,
    advice: String = Self.fetchAgain
  ) {
    self.code = code
    self.path = path
    self.details = "expected \(expected), found \(found)"
    self.advice = advice
  }

  static let fetchAgain =
    "The file is damaged or was not written by a safetensors writer: fetch or export it again."
}

extension WeightsError: CustomStringConvertible {
  public var description: String { "\(path): \(details). \(advice)" }
}

extension WeightsError.Code: CustomStringConvertible {
  public var description: String { name }

  // Files.
  public static let notFound = Self("notFound")
  public static let cannotRead = Self("cannotRead")
  public static let cannotWrite = Self("cannotWrite")
  public static let changedOnDisk = Self("changedOnDisk")

  // The header's text.
  public static let truncatedHeader = Self("truncatedHeader")
  public static let headerTooLarge = Self("headerTooLarge")
  public static let notUTF8 = Self("notUTF8")
  public static let notJSON = Self("notJSON")
  public static let duplicateKey = Self("duplicateKey")

  // The header's meaning.
  public static let badEntry = Self("badEntry")
  public static let badNumber = Self("badNumber")
  public static let badShape = Self("badShape")
  public static let unknownType = Self("unknownType")
  public static let unsupportedType = Self("unsupportedType")
  public static let sizeMismatch = Self("sizeMismatch")
  public static let outOfRange = Self("outOfRange")
  public static let overlap = Self("overlap")
  public static let gap = Self("gap")
  public static let trailingBytes = Self("trailingBytes")

  // Checkpoints, folders, configurations.
  public static let missingTensor = Self("missingTensor")
  public static let unfinished = Self("unfinished")
  public static let missingShard = Self("missingShard")
  public static let unlistedTensor = Self("unlistedTensor")
  public static let unsafePath = Self("unsafePath")
  public static let ambiguous = Self("ambiguous")
  public static let keyMismatch = Self("keyMismatch")
  public static let missingKey = Self("missingKey")
  public static let badConfiguration = Self("badConfiguration")
}

/// Quotes a name from an untrusted file: shortened, and without control characters that could
/// steer a terminal.
func quoted(_ name: String) -> String {
  let limit = 120
  var text = "'"
  for (count, scalar) in name.unicodeScalars.enumerated() {
    guard count < limit else { return text + "...'" }
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator:
      text += "\\u{" + String(scalar.value, radix: 16) + "}"
    default:
      text.unicodeScalars.append(scalar)
    }
  }
  return text + "'"
}
