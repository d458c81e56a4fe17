public import KinoNN
public import KinoTensor

/// Tells what a clip of the procedural world shows: the attributes of each object and of the scene.
///
/// ```
/// frames -> trunk -> cells -> time mixer -> cells ------------------> cell head: what is here?
///                                             |
///                slots and scene token -> reader blocks -> object head, scene head
///                     (one a frame)
/// ```
///
/// Every frame has a token for each slot and one for the scene. In each block a token looks at the cells of its
/// own frame, then at all tokens of the clip. A slot settles on one object, from the leftmost on, and follows it
/// through the frames; the set of slots that say that they hold an object is the answer, their order means nothing.
public struct Judge: Sendable {
  /// The sizes it was built with and what it is asked.
  public let configuration: Configuration

  let trunk: JudgeTrunk
  let mixer: JudgeTimeMixer
  /// `[1, 1, slots + 1, width]`.
  let queries: Tensor
  /// One row a frame and one for pictures, `[frames + 1, width]`.
  let times: Tensor
  let blocks: [JudgeBlock]
  let cellHead: JudgeHead
  let objectHead: JudgeHead
  let sceneHead: JudgeHead

  /// What a judge says, as logits.
  public struct Answers: Sendable {
    /// `[B, slots, objectWidth]`: whether the slot holds an object, then the answers of each question.
    public let objects: Tensor
    /// `[B, sceneWidth]`.
    public let scene: Tensor
    /// Where each slot looked, `[B, F, slots, cells]`; sums to 1 over cells.
    public let gaze: Tensor
    /// `[B, F, cells, objectWidth]`: as ``objects``, of the object that covers most of a cell.
    public let cells: Tensor
  }

  /// Takes its parameters from `scope`.
  ///
  /// - Precondition: The configuration is valid, ``Configuration/validate()``.
  public init(_ scope: ParameterScope, configuration: Configuration) {
    self.configuration = configuration
    let width = configuration.width
    trunk = JudgeTrunk(scope["trunk"], channels: configuration.channels)
    mixer = JudgeTimeMixer(scope["mixer"], configuration: configuration)
    queries = scope.parameter(
      "queries", shape: [1, 1, configuration.slotCount + 1, width],
      initializer: .normal(standardDeviation: 0.5))
    times = scope.parameter(
      "times", shape: [configuration.frameCount + 1, width],
      initializer: .normal(standardDeviation: 0.5))
    blocks = (0..<configuration.blockCount).map {
      JudgeBlock(scope["blocks"][$0], configuration: configuration)
    }
    cellHead = JudgeHead(scope["cell_head"], width: width, outputs: configuration.objectWidth)
    objectHead = JudgeHead(scope["object_head"], width: width, outputs: configuration.objectWidth)
    sceneHead = JudgeHead(scope["scene_head"], width: width, outputs: configuration.sceneWidth)
  }

  /// Looks at clips or pictures.
  ///
  /// - Parameters:
  ///   - pixels: `[B, 3, F, side, side]`, float32 in `-1...1`, where `F` is the configuration's frame count, or 1
  ///     for a picture; see ``fitted(_:)``.
  ///   - computeType: The type that the layers compute in.
  /// - Returns: The answers, float32.
  public func callAsFunction(_ pixels: Tensor, computeType: DType = .float32) -> Answers {
    let (batch, channels, frames, height, width) = pixels.shape5
    precondition(
      channels == 3 && height == configuration.side && width == configuration.side
        && (frames == 1 || frames == configuration.frameCount),
      """
      judge: pixels \(pixels.shape), expected [B, 3, 1 or \(configuration.frameCount), \
      \(configuration.side), \(configuration.side)]
      """)
    let cells = mixer(trunk(pixels.cast(to: computeType)))
    let time =
      frames == 1
      ? times.slice(0, from: configuration.frameCount) : times.slice(0, 0..<frames)
    var tokens = (queries + time.reshaped(to: 1, frames, 1, configuration.width))
      .expanded(to: batch, frames, configuration.slotCount + 1, configuration.width)
      .cast(to: computeType)
    var gaze = tokens
    for block in blocks { (tokens, gaze) = block(tokens, cells: cells) }
    let pooled = tokens.cast(to: .float32).mean(along: 1)
    let slots = configuration.slotCount
    return Answers(
      objects: objectHead(pooled.slice(1, 0..<slots)), scene: sceneHead(pooled.select(1, slots)),
      gaze: gaze.slice(2, 0..<slots).cast(to: .float32), cells: cellHead(cells).cast(to: .float32))
  }

  /// The logits of one clip as plain numbers.
  public struct Reading: Sendable {
    /// A row for each slot, of `objectWidth` numbers.
    public let objects: [[Float]]
    /// `sceneWidth` numbers.
    public let scene: [Float]
  }

  /// Looks at clips or pictures and hands out each one's logits as plain numbers.
  ///
  /// - Parameter pixels: As for ``callAsFunction(_:computeType:)``.
  /// - Returns: One reading a clip.
  public func readings(of pixels: Tensor) -> [Reading] {
    let answers = self(pixels)
    let (objects, scene) = (answers.objects.floats(), answers.scene.floats())
    let (slots, width) = (configuration.slotCount, configuration.objectWidth)
    let sceneWidth = configuration.sceneWidth
    return (0..<pixels.size(0)).map { index in
      Reading(
        objects: (0..<slots).map { slot in
          let start = (index * slots + slot) * width
          return Array(objects[start..<start + width])
        }, scene: Array(scene[index * sceneWidth..<(index + 1) * sceneWidth]))
    }
  }

  /// Brings clips of any size and length to what the judge looks at: the square in the middle, which holds the
  /// action in every shape of picture, averaged down to its side; frames spread evenly from the first to the last.
  ///
  /// - Parameter pixels: `[B, 3, F, H, W]`, float32 in `-1...1`; one frame is a picture.
  /// - Returns: `[B, 3, frames or 1, side, side]`.
  public func fitted(_ pixels: Tensor) -> Tensor {
    let (batch, channels, frames, height, width) = pixels.shape5
    let count = frames == 1 ? 1 : configuration.frameCount
    let picked = (0..<count).map { index -> Tensor in
      let place = count == 1 ? 0 : (index * (frames - 1) * 2 + count - 1) / (2 * (count - 1))
      return pixels.select(2, place)
    }
    let side = min(height, width)
    let (top, left) = ((height - side) / 2, (width - side) / 2)
    let square = stack(picked, along: 1).reshaped(to: batch * count, channels, height, width)
      .slice(2, top..<top + side).slice(3, left..<left + side)
    return square.contiguous().areaResized(height: configuration.side, width: configuration.side)
      .reshaped(to: batch, count, channels, configuration.side, configuration.side)
      .permuted(0, 2, 1, 3, 4).contiguous()
  }
}
