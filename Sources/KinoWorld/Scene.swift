/// A small world in motion: one to four objects on a ground under a sky, seen by a camera.
///
/// A scene is data only. Lengths are metres, `x` points right and `z` towards the camera as the
/// scene starts, `y` points up and the ground is `y = 0`. Times are seconds; the action starts at
/// time 0, and every position is a closed formula of time, so clips of any length and frame rate
/// can be sampled.
public struct Scene: Codable, Hashable, Sendable {
  /// The objects, the main one first.
  public var objects: [Object]
  /// A wall for something to pass behind.
  public var wall: Wall?
  /// What the objects stand on.
  public var ground: Ground
  /// The light and what is above the horizon.
  public var sky: Sky
  /// The camera and how it moves.
  public var camera: Camera
  /// The direction the light comes from, as an angle around the vertical in radians; 0 is behind
  /// the camera, positive to its right.
  public var sunAzimuth: Float
  /// The light's height above the horizon in radians.
  public var sunElevation: Float
  /// Chooses details of textures and clouds.
  public var textureSeed: UInt64

  /// One object and what it does.
  public struct Object: Codable, Hashable, Sendable {
    /// Its form.
    public var shape: Shape
    /// The colour of its whole surface.
    public var colour: Colour
    /// How its surface throws light back.
    public var finish: Finish
    /// How large it is.
    public var size: Size
    /// What it does.
    public var motion: Motion
    /// The middle of the object's path on the ground (`x`, `z`); for a collision, where it starts.
    public var anchor: SIMD2<Float>
    /// The turn around the vertical at time 0, in radians.
    public var yaw: Float
    /// The index of the object that this one hits or circles around.
    public var partner: Int?
  }

  /// An object's motion with its physical quantities.
  public struct Motion: Codable, Hashable, Sendable {
    /// What the object does.
    public var kind: MotionKind
    /// Where to, as the camera sees it; `nil` for kinds without a direction.
    public var direction: Direction?
    /// Metres per second along the ground; radians per second for spinning and circling.
    public var speed: Float
    /// Height of the drop, or of a jump's apex, above rest, in metres.
    public var height: Float
    /// The share of speed kept at a bounce.
    public var restitution: Float
    /// Half of the path's length, or the circle's radius, in metres.
    public var extent: Float

    /// Makes a motion; quantities that the kind doesn't use are ignored.
    public init(
      _ kind: MotionKind, _ direction: Direction? = nil, speed: Float = 0, height: Float = 0,
      restitution: Float = 0, extent: Float = 0
    ) {
      self.kind = kind
      self.direction = direction
      self.speed = speed
      self.height = height
      self.restitution = restitution
      self.extent = extent
    }
  }

  /// An upright wall facing the camera.
  public struct Wall: Codable, Hashable, Sendable {
    /// The colour of its whole surface.
    public var colour: Colour
    /// The middle of the wall's foot (`x`, `z`).
    public var anchor: SIMD2<Float>
    /// Metres along `x`.
    public var width: Float
    /// Metres above the ground.
    public var height: Float
    /// Half of the wall's thickness.
    static let halfDepth: Float = 0.11
  }

  /// Where the camera stands at rest, and how it moves.
  public struct Camera: Codable, Hashable, Sendable {
    /// What the camera does during the clip.
    public var motion: CameraMotion
    /// The point looked at.
    public var target: SIMD3<Float>
    /// Metres from the target, chosen so that the whole action fits into a square picture.
    public var distance: Float
    /// The turn around the target in radians; 0 looks along `-z`.
    public var azimuth: Float
    /// The height angle above the target in radians.
    public var elevation: Float
    /// Half of the angle that a pan sweeps, in radians.
    public var panAngle: Float
  }
}
