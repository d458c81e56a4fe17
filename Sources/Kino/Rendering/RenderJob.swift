internal import KinoDiffusion

/// A canvas to fill in and all that belongs to it; every verb ends in one.
struct RenderJob: Sendable {
  let request: ResolvedRequest
  let canvas: Canvas
  /// What the canvas's prompt stretches point into.
  let prompts: [String]
  let windows: WindowPlan
  let plan: Plan
}

extension RenderJob {
  /// Makes the job of a request whose canvas is all free: generate, image.
  static func free(_ request: ResolvedRequest, model: Model, plan: Plan) throws -> RenderJob {
    let shape = try model.latentShape(
      size: request.canvasSize, frameCount: request.canvasFrameCount)
    return RenderJob(
      request: request, canvas: try Canvas.free(shape), prompts: [request.prompt],
      windows: try model.windows(latentFrames: shape.frames), plan: plan)
  }
}

/// Where frames go as they are decoded.
enum RenderTarget: Sendable {
  case memory
  case file(String, WriteOptions)
}
