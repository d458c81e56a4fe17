import Foundation
import Kino
import KinoTestSupport
import Testing

@Suite struct ChatSettingsTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  func file(_ text: String, name: String = "expand.yaml") throws -> URL {
    try folder.write(text, name)
  }

  @Test func `YAML and JSON are read, and what is left out has a default`() throws {
    let yaml = try ChatSettings(
      contentsOf: file(
        """
        url: http://127.0.0.1:8080/v1
        model: toy
        key_file: ~/key
        timeout: 5
        """))
    #expect(
      yaml
        == ChatSettings(
          url: "http://127.0.0.1:8080/v1", model: "toy", keyFile: "~/key", timeout: 5))
    let json = try ChatSettings(
      contentsOf: file(
        #"{"url": "https://host/v1/chat/completions", "model": "m", "system_prompt": "Hi"}"#))
    #expect(json.systemPrompt == "Hi" && json.timeout == 30 && json.keyFile == nil)
  }

  @Test(arguments: [
    ("model: toy", "\"url\" is missing"), ("url: [1]\nmodel: toy", "url is of the wrong kind"),
    ("url: http://h\nmodel: toy\nmodle: x", "found \"modle\""), ("", "expected YAML"),
    ("\u{1}", "expected YAML"), ("- a\n- b", "expected YAML"), ("url: {", "expected YAML"),
    (String(repeating: "#", count: 70_000), "at most 65536 bytes"),
  ])
  func `A file with anything else is refused by name`(text: String, reason: String) throws {
    let url = try file(text)
    let error = #expect(throws: StudioError.self) { try ChatSettings(contentsOf: url) }
    #expect(error?.code == .invalidSetting)
    #expect(error?.details.contains(url.path) == true)
    #expect(error?.details.contains(reason) == true, "\(error?.details ?? "")")
  }

  @Test func `No file, a folder and a pipe are refused`() throws {
    let pipe = folder["pipe"]
    try #require(mkfifo(pipe.path, 0o600) == 0)
    for other in [folder.url, pipe, folder["none.yaml"]] {
      let error = #expect(throws: StudioError.self) { try ChatSettings(contentsOf: other) }
      #expect(error?.details.contains("expected a file") == true)
    }
  }

  @Test(arguments: [
    ChatSettings(url: "", model: "m"), ChatSettings(url: "not an address", model: "m"),
    ChatSettings(url: "ftp://host/v1", model: "m"), ChatSettings(url: "http://", model: "m"),
    ChatSettings(url: "file:///etc/passwd", model: "m"),
    ChatSettings(url: "http://h/v1", model: ""),
    ChatSettings(url: "http://h/v1", model: "m", timeout: 0),
    ChatSettings(url: "http://h/v1", model: "m", timeout: .nan),
    ChatSettings(url: "http://h/v1", model: "m", timeout: 1e9),
    ChatSettings(url: "https://h/v1", model: "m", keyVariable: "MISSING"),
    ChatSettings(url: "https://h/v1", model: "m", keyVariable: "EMPTY"),
    ChatSettings(url: "https://h/v1", model: "m", keyVariable: "TWO_LINES"),
    ChatSettings(url: "https://h/v1", model: "m", keyFile: "/nonexistent/key"),
    ChatSettings(url: "https://h/v1", model: "m", keyFile: "/dev/zero"),
    ChatSettings(url: "https://h/v1", model: "m", keyFile: "a", keyVariable: "KEY"),
    // A key is not sent in the clear.
    ChatSettings(url: "http://example.org/v1", model: "m", keyVariable: "KEY"),
  ])
  func `Settings that cannot work are refused before anything is asked`(
    settings: ChatSettings
  ) throws {
    let environment = ["EMPTY": " ", "TWO_LINES": "a\r\nX-Injected: b", "KEY": "secret-7"]
    let error = #expect(throws: StudioError.self) {
      try ChatExpander(settings, environment: environment)
    }
    #expect(error?.code == .invalidSetting)
    #expect(error?.details.contains("secret-7") == false)
  }

  @Test func `A key in a file is read without the line's end`() throws {
    let key = try file("secret-8\n", name: "key")
    let settings = ChatSettings(url: "https://h/v1", model: "m", keyFile: key.path)
    _ = try ChatExpander(settings, environment: [:])
    _ = try ChatExpander(
      ChatSettings(url: "http://127.0.0.1/v1", model: "m", keyFile: key.path), environment: [:])
  }

  @Test func `A key for this machine does not go through a proxy`() throws {
    let settings = ChatSettings(url: "http://127.0.0.1:1/v1", model: "m", keyVariable: "KEY")
    var environment = ["KEY": "secret-7", "http_proxy": "http://proxy:3128"]
    let error = #expect(throws: StudioError.self) {
      try ChatExpander(settings, environment: environment)
    }
    #expect(error?.details.contains("no_proxy=127.0.0.1") == true)
    for exceptions in ["*", "example.org,127.0.0.1"] {
      environment["no_proxy"] = exceptions
      _ = try ChatExpander(settings, environment: environment)
    }
  }

  @Test func `The file is where settings are kept on this system`() {
    #expect(ChatSettings.file(environment: [:]).path.hasSuffix("/.config/kino/expand.yaml"))
    let moved = ChatSettings.file(environment: ["XDG_CONFIG_HOME": "/somewhere"])
    #expect(moved.path == "/somewhere/kino/expand.yaml")
    #expect(
      ChatSettings.file(environment: ["XDG_CONFIG_HOME": "here"])
        == ChatSettings.file(environment: [:]))
  }
}
