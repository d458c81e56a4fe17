internal import Foundation
internal import KinoMedia

/// Small line charts, one a figure, below each other.
struct Chart {
  let series: [String: [(x: Double, y: Double)]]

  private static let size = FrameSize(width: 720, height: 150)
  private static let ink = Color(red: 30, green: 90, blue: 200)
  private static let axis = Color(red: 200, green: 200, blue: 200)

  func write(to url: URL) throws {
    let names = series.keys.sorted()
    guard !names.isEmpty else { return }
    var page = Frame(width: Self.size.width, height: Self.size.height * names.count, color: .white)
    for (row, name) in names.enumerated() {
      draw(name, series[name] ?? [], top: row * Self.size.height, in: &page)
    }
    try page.write(to: url.path, WriteOptions(overwrite: true))
  }

  private func draw(
    _ name: String, _ points: [(x: Double, y: Double)], top: Int, in page: inout Frame
  ) {
    let sorted = points.map(\.y).sorted()
    guard let last = points.last, let first = points.first, !sorted.isEmpty else { return }
    // A few wild early values would flatten all the rest.
    let (low, high) = (sorted[sorted.count / 50], sorted[sorted.count - 1 - sorted.count / 50])
    let (width, height) = (Self.size.width - 20, Self.size.height - 40)
    func place(_ point: (x: Double, y: Double)) -> (x: Double, y: Double) {
      let x = (point.x - first.x) / max(last.x - first.x, 1)
      let y = (min(max(point.y, low), high) - low) / max(high - low, 1e-12)
      return (10 + x * Double(width), Double(top + 30) + (1 - y) * Double(height))
    }
    let text =
      "\(name)  \(Self.short(low))..\(Self.short(high))  now \(Self.short(last.y)) at step \(Int(last.x))"
    page.draw(text: text, x: 10, y: top + 8, color: .black)
    for x in 10..<10 + width { page[x: x, y: top + 30 + height] = Self.axis }
    for (a, b) in zip(points.map(place), points.dropFirst().map(place)) {
      let steps = Int(max(abs(b.x - a.x), abs(b.y - a.y))) + 1
      for step in 0...steps {
        let t = Double(step) / Double(steps)
        page[x: Int(a.x + (b.x - a.x) * t), y: Int(a.y + (b.y - a.y) * t)] = Self.ink
      }
    }
  }

  private static func short(_ value: Double) -> String { String(format: "%.4g", value) }
}
