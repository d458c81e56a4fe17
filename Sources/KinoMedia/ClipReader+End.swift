extension ClipReader {
  /// Counts the frames that ``Clip/read(_:_:)`` would return, exactly.
  ///
  /// Reads the whole file once. Where packets tell their times, as in MP4, MOV and Matroska, nothing
  /// is decoded and a gigabyte takes about a second; in other and in damaged files every picture is
  /// decoded, in bounded memory.
  ///
  /// - Parameters:
  ///   - path: Any file FFmpeg reads; see ``ClipReader``.
  ///   - options: Which part, and at what rate.
  /// - Returns: The number of frames; 0 if nothing is shown at `startSeconds`.
  /// - Throws: ``MediaError`` as ``ClipReader`` does.
  public static func presentedFrameCount(
    _ path: String, _ options: ReadOptions = ReadOptions()
  ) throws -> Int {
    try options.validate()
    let file = try MediaFile(path: path, pixelLimit: options.pixelLimit)
    if let pictures = try PacketPicture.all(of: file), let first = pictures.first {
      var others = pictures.dropFirst().makeIterator()
      return try count(file, options, first: first) { others.next() }
    }
    // The packets are used up.
    let again = try MediaFile(path: path, pixelLimit: options.pixelLimit)
    let decoder = try VideoDecoder(file: again, pixelLimit: options.pixelLimit)
    guard let first = try decoder.next() else { throw MediaError.undecodable(path) }
    return try count(again, options, first: first, source: decoder.next)
  }

  private static func count<Picture: TimedPicture>(
    _ file: MediaFile, _ options: ReadOptions, first: Picture,
    source: @escaping () throws -> Picture?
  ) throws -> Int {
    let rate = options.framesPerSecond.flatMap { FrameRate($0) } ?? file.frameRate
    var sampler = FrameSampler(file, options, rate: rate, from: 0, first: first, source: source)
    var count = 0
    while try sampler.next() != nil { count += 1 }
    return count
  }
}

extension Clip {
  /// Reads the last frames of a clip without decoding all before them, where the file can be sought.
  ///
  /// - Parameters:
  ///   - path: Any file FFmpeg reads; see ``ClipReader``.
  ///   - frames: How many, at least 1. A shorter clip is read whole.
  ///   - options: Which part, and at what size and rate.
  /// - Returns: The last frames of what ``read(_:_:)`` returns with the same options, bit for bit.
  /// - Throws: ``MediaError`` as ``read(_:_:)`` does.
  public static func readEnd(
    _ path: String, frames: Int, _ options: ReadOptions = ReadOptions()
  ) throws -> Clip {
    guard frames > 0 else {
      throw MediaError(
        .invalidOption, path: path, details: "The end has \(frames) frames; use at least 1.")
    }
    let count = try ClipReader.presentedFrameCount(path, options)
    let first = max(0, count - frames)
    let reader = try ClipReader(path: path, options: options, from: first)
    let end = try reader.readAll(expecting: count - first)
    if end.frameCount == count - first, end.frameCount > 0, reader.isWhole { return end }
    // Damage: what comes after it may depend on where reading began.
    let whole = try ClipReader(path: path, options: options)
    var last: [Frame] = []
    while let frame = try whole.next() {
      if last.count == frames { last.removeFirst() }
      last.append(frame)
      try whole.checkMemory(last.count)
    }
    guard !last.isEmpty else {
      throw MediaError.nothingShown(path, at: options.startSeconds)
    }
    return Clip(frames: last, framesPerSecond: whole.framesPerSecond)
  }
}
