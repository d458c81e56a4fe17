public import KinoSystem

/// Says why weights or a model folder could not be read or written.
///
/// The description names the file, what was expected, what was found, and what to do next.
public struct WeightsError: KinoError, Hashable {
  /// Names the kind of failure, for programs; people read the description.
  public struct Code: Hashable, Sendable {
    /// The name of the static member.
    public let name: String

    private init(_ name: String) {
      self.name = name
    }
  }

  /// The kind of failure.
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

  static let fetchAgain = "The file is damaged or not of this format: fetch or export it again."
}

extension WeightsError {
  /// One line for people: the file, what is wrong with it, what to do.
  public var description: String { "\(path): \(details). \(advice)" }
}

extension WeightsError.Code: CustomStringConvertible {
  /// The name of the code.
  public var description: String { name }

  // Files.
  /// There is no such file or folder.
  public static let notFound = Self("notFound")
  /// The system refuses to read it, or it is not a regular file.
  public static let cannotRead = Self("cannotRead")
  /// The system refuses to write it.
  public static let cannotWrite = Self("cannotWrite")
  /// Another program wrote to the file after it was opened.
  public static let changedOnDisk = Self("changedOnDisk")

  /// A pickle asks for more than tensors.
  public static let unsafeContent = Self("unsafeContent")
  /// The file is of a form that Kino does not read.
  public static let unsupportedFormat = Self("unsupportedFormat")

  // The header's text.
  /// The file ends inside its header.
  public static let truncatedHeader = Self("truncatedHeader")
  /// The header is over the limit of 100 MB.
  public static let headerTooLarge = Self("headerTooLarge")
  /// A string is not UTF-8.
  public static let notUTF8 = Self("notUTF8")
  /// The text is not JSON, or not of the kinds the format asks for.
  public static let notJSON = Self("notJSON")
  /// A key stands twice.
  public static let duplicateKey = Self("duplicateKey")

  // The header's meaning.
  /// A tensor lacks one of the three fields, or has others.
  public static let badEntry = Self("badEntry")
  /// A number is negative, fractional or too large.
  public static let badNumber = Self("badNumber")
  /// A shape has too many axes or too many elements.
  public static let badShape = Self("badShape")
  /// An element type is none of the format.
  public static let unknownType = Self("unknownType")
  /// An element type is of the format, but not one Kino reads.
  public static let unsupportedType = Self("unsupportedType")
  /// Shape and element type do not make the number of bytes.
  public static let sizeMismatch = Self("sizeMismatch")
  /// A tensor lies outside the data.
  public static let outOfRange = Self("outOfRange")
  /// Two tensors share bytes.
  public static let overlap = Self("overlap")
  /// Bytes before a tensor belong to none.
  public static let gap = Self("gap")
  /// Bytes after the last tensor belong to none.
  public static let trailingBytes = Self("trailingBytes")
  /// A boolean is neither 0 nor 1, or a number is none that a network has.
  public static let badValue = Self("badValue")

  /// The bytes are not those that a download was told of.
  public static let badChecksum = Self("badChecksum")

  // Checkpoints, folders, configurations.
  /// A tensor asked for is not there.
  public static let missingTensor = Self("missingTensor")
  /// A writer was finished before every tensor was written.
  public static let unfinished = Self("unfinished")
  /// A file the index names is not there.
  public static let missingShard = Self("missingShard")
  /// A shard holds a tensor the index does not put there.
  public static let unlistedTensor = Self("unlistedTensor")
  /// A name points outside the folder.
  public static let unsafePath = Self("unsafePath")
  /// A folder holds several sets of weights.
  public static let ambiguous = Self("ambiguous")
  /// The tensors are not exactly the model's.
  public static let keyMismatch = Self("keyMismatch")
  /// A JSON object lacks a key.
  public static let missingKey = Self("missingKey")
  /// A value of a configuration is of the wrong kind.
  public static let badConfiguration = Self("badConfiguration")
}

extension WeightsError {
  /// Explains why a file could not be written.
  init(_ error: FileError) {
    self.init(
      .cannotWrite, at: error.path, expected: "to write the file", found: error.found,
      advice: "Check that its folder exists, may be written to, and has space left.")
  }

  /// Does work on a file that is being written, with errors of this type.
  static func writing<Result>(
    _ body: () throws(FileError) -> Result
  ) throws(WeightsError) -> Result {
    do throws(FileError) { return try body() } catch { throw WeightsError(error) }
  }
}

/// Quotes a name from an untrusted file: shortened, and without control characters that could
/// steer a terminal.
package func quoted(_ name: String) -> String {
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
