public import KinoTensor
public import Testing

/// Measures how far a tensor is from a reference: `||actual - expected|| / ||expected||`.
public func relativeError(_ actual: Tensor, _ expected: Tensor) -> Double {
  let (actual, expected) = (
    actual.detached().cast(to: .float64), expected.detached().cast(to: .float64)
  )
  let error = (actual - expected).squared().sum().item().squareRoot()
  // For a reference of zeros the error itself counts.
  let size = expected.squared().sum().item().squareRoot()
  return size > 0 ? error / size : error
}

/// Expects equal shapes and a relative L2 error of at most `tolerance`; 0 asks for equal numbers.
///
/// A failure names shapes, the relative and the largest error, and the first element that is off by
/// more than the tolerance of the largest expected one.
public func expectClose(
  _ actual: Tensor, _ expected: Tensor, tolerance: Double, _ label: String = "",
  sourceLocation: SourceLocation = #_sourceLocation
) {
  let name = label.isEmpty ? "" : "\(label): "
  guard actual.shape == expected.shape else {
    Issue.record(
      "\(name)expected shape \(expected.shape), found \(actual.shape)",
      sourceLocation: sourceLocation)
    return
  }
  let error = relativeError(actual, expected)
  // Written so that NaN fails.
  if error <= tolerance { return }
  Issue.record(
    "\(name)relative error \(error), allowed \(tolerance); \(differences(actual, expected, tolerance))",
    sourceLocation: sourceLocation)
}

/// Describes where two tensors of one shape differ.
private func differences(_ actual: Tensor, _ expected: Tensor, _ tolerance: Double) -> String {
  let (found, wanted) = (actual.floats(), expected.floats())
  let limit = Float(tolerance) * (wanted.map(abs).filter(\.isFinite).max() ?? 0)
  let errors = zip(found, wanted).map { abs($0 - $1) }
  let bad = errors.indices.filter { !(errors[$0] <= limit) }
  guard let first = bad.first else { return "shape \(actual.shape)" }
  var (position, rest) = ([Int](), first)
  for length in actual.shape.reversed() {
    position.insert(rest % length, at: 0)
    rest /= length
  }
  return "shape \(actual.shape), \(actual.dtype) and \(expected.dtype), largest error "
    + "\(errors.max() ?? 0), \(bad.count) of \(errors.count) off, first at \(position): expected "
    + "\(wanted[first]), found \(found[first])"
}
