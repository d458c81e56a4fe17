// What a composition leaves out has its default, so that a client writes what it means and no more.

extension Composition {
  /// Reads an object in which everything but `verb` and `timeline` may be left out.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      try values.decode(Verb.self, forKey: .verb),
      timeline: try values.decode([Segment].self, forKey: .timeline))
    size = try values.decodeIfPresent(FrameSize.self, forKey: .size)
    framesPerSecond = try values.decodeIfPresent(Double.self, forKey: .framesPerSecond)
    negativePrompt = try values.decodeIfPresent(String.self, forKey: .negativePrompt) ?? ""
    fit = try values.decodeIfPresent(FitMode.self, forKey: .fit) ?? fit
    keepsSound = try values.decodeIfPresent(Bool.self, forKey: .keepsSound) ?? keepsSound
  }
}

extension MediaPart {
  /// Reads an object in which everything but `path` may be left out.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      try values.decode(String.self, forKey: .path),
      start: try values.decodeIfPresent(Double.self, forKey: .start) ?? 0,
      seconds: try values.decodeIfPresent(Double.self, forKey: .seconds),
      isReversed: try values.decodeIfPresent(Bool.self, forKey: .isReversed) ?? false)
  }
}

extension Shot {
  enum CodingKeys: String, CodingKey { case prompts, frames, seconds, joins, guides }

  /// Reads an object in which everything may be left out.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      frames: try values.decodeIfPresent(Int.self, forKey: .frames),
      seconds: try values.decodeIfPresent(Double.self, forKey: .seconds),
      joins: try values.decodeIfPresent(Joins.self, forKey: .joins) ?? [],
      guides: try values.decodeIfPresent([Guide].self, forKey: .guides) ?? [])
    prompts = try values.decodeIfPresent([TimedPrompt].self, forKey: .prompts) ?? prompts
  }
}

extension TimedPrompt {
  enum CodingKeys: String, CodingKey { case text, start }

  /// Reads an object in which `start` may be left out.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      try values.decode(String.self, forKey: .text),
      start: try values.decodeIfPresent(Double.self, forKey: .start) ?? 0)
  }
}

extension Guide {
  /// Reads an object in which everything but `part` may be left out.
  public init(from decoder: any Decoder) throws {
    let values = try decoder.container(keyedBy: CodingKeys.self)
    self.init(
      try values.decode(MediaPart.self, forKey: .part),
      at: try values.decodeIfPresent(Double.self, forKey: .start),
      noiseLevel: try values.decodeIfPresent(Double.self, forKey: .noiseLevel) ?? 0,
      mask: try values.decodeIfPresent(MediaPart.self, forKey: .mask))
  }
}
