extension Plan {
  /// Refuses work that would not fit into what the machine can give now, and proposes what would.
  ///
  /// - Parameters:
  ///   - work: What is planned here.
  ///   - model: The model.
  ///   - isLoaded: Whether its weights are in memory already.
  /// - Throws: ``StudioError`` with the code `notEnoughMemory`.
  func requireMemory(
    for work: ResolvedComposition, model: Model, isLoaded: Bool
  ) throws(StudioError) {
    let needed = peakBytes - (isLoaded ? weightBytes : 0)
    guard let available = MachineMemory.availableBytes, needed > available else { return }
    func gigabytes(_ bytes: Int) -> String { "\((Double(bytes) / 1e8).rounded() / 10) GB" }
    let proposal = Plan.fitting(work, model: model, bytes: available)
    throw StudioError(
      .notEnoughMemory,
      """
      \(work.frameCount) frames of \(work.size) would need about \(gigabytes(needed)) of \
      memory, and \(gigabytes(available)) are free. \
      \(proposal.map { "\($0) would fit." } ?? "Close other programs, or use a smaller model.")
      """)
  }
}
