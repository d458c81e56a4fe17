"""Some 200 hostile requests: each must get the right refusal, and the server neither falls nor grows.

    python check_hostile.py KINO
"""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time

FORM = "multipart/form-data; boundary=edge"


def start(program, folder, *options):
    server = subprocess.Popen(
        [program, "serve", "--port", "0", "--json", "--data", folder, "--log", "critical", *options],
        stdout=subprocess.PIPE, text=True)
    address = json.loads(server.stdout.readline())["path"]
    return server, int(address.rsplit(":", 1)[1])


def ask(port, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Host": f"localhost:{port}", **(headers or {})}
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def send_json(port, path, value, headers=None):
    return ask(port, "POST", path, json.dumps(value), {"Content-Type": "application/json", **(headers or {})})


def raw(port, data, wait=0.0, rest=b""):
    """Sends bytes as they are; gives the status, or None if the server just hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        time.sleep(wait)
        try:
            connection.sendall(rest)
            connection.shutdown(socket.SHUT_WR)
            head = connection.recv(200)
        except OSError:
            return None
        found = re.match(rb"HTTP/1\.1 (\d+)", head)
        return int(found[1]) if found else None


def part(name, value, file=None):
    extra = f'; filename="{file}"' if file is not None else ""
    return f'--edge\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n{value}\r\n'


def cases(port):
    """Names, and a function each that gives the status."""
    def post(value, path="/v1/videos"):
        return lambda: send_json(port, path, value)[0]

    def form(text, path="/v1/videos"):
        return lambda: ask(port, "POST", path, text.encode(), {"Content-Type": FORM})[0]

    huge = [10**9, 10**18, 10**30, -1, -10**18, 0.1e-300, 1e308]
    for field in ("seconds", "steps", "guidance", "fps", "n", "frames", "seed", "cache"):
        for value in huge:
            if (field, value) in (("seed", 10**9), ("seed", 10**18), ("cache", 0.1e-300), ("guidance", 0.1e-300), ("seconds", 0.1e-300)):
                continue
            yield f"{field} {value:g}", post({"prompt": "x", field: value}), (400,)
    for size in ("0x0", "-1x5", "1x1", "1e9x2", "99999x99999", "16x1000000", "x", "128", "128x", "٣x٣", "128x128x128"):
        yield f"size {size}", post({"prompt": "x", "size": size}), (400,)
    for value in (None, 5, [], {}, True, "", "x" * 40000):
        if value in (5, True):
            continue
        yield f"prompt {str(value)[:9]}", post({"prompt": value}), (400,)
    for identifier in (
        "../../etc/passwd", "/etc/passwd", "video_", "video_%00", "file_..", "char_x", "..", "\0", "video_" + "a" * 9000,
        "'; DROP TABLE job; --", "file_' OR 1=1", "kino.sqlite", "~root", "\u202etxt"):
        yield f"id {identifier[:24]!r}", post({"video": {"id": identifier}}, "/v1/videos/reversals"), (400, 404)
    for url in (
        "file:///etc/passwd", "ftp://127.0.0.1/x", "http://127.0.0.1/", "http://localhost/", f"http://127.0.0.1:{port}/",
        "http://[::1]/", "http://0.0.0.0/", "http://0/", "http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/",
        "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/", "http://192.168.0.1/", "http://172.16.9.9/",
        "http://[::ffff:127.0.0.1]/", "http://[fe80::1]/", "http://user:pass@127.0.0.1/", "http://", "http:///x",
        "gopher://127.0.0.1/", "javascript:alert(1)", "data:image/png;base64,!!!!", "data:image/png,x", "data:,",
        "data:image/svg+xml;base64,PHN2Zy8+", "//127.0.0.1/x", "http://no.such.host.invalid/"):
        yield f"url {url[:40]}", post({"prompt": "x", "input_reference": {"image_url": url}}), (400, 404)
    for source in (5, True, [1], {"id": 5}, {"id": "a", "file_id": "b"}, {"nothing": "x"}, {}, {"id": {"id": "x"}}):
        yield f"source {source}", post({"prompt": "x", "input_reference": source}), (400, 404)
    for name in ("composition", "settings", "storyboard", "guidance_range", "loop", "sound", "dry_run", "format", "fit"):
        for value in ({"a": 1}, [1, 2, 3], "\0", "{", 7.5):
            if name == "storyboard" and value == 7.5:
                continue
            yield f"{name} {value!r}", post({"prompt": "x", name: value}), (400,)
    for text in ("shots: [&a [*a]]", "shots:\n - {prompt: x, seconds: 1e9}", "- - - -", "shots: 5", "a: &x 1\nb: *x",
                 "shots:\n - {prompt: x, seconds: 1, picture: /etc/passwd}"):
        yield f"storyboard {text[:24]!r}", post({"storyboard": text}), (400, 404)
    yield "no boundary", lambda: ask(port, "POST", "/v1/videos", b"x", {"Content-Type": "multipart/form-data"})[0], (400,)
    yield "form cut off", form(part("prompt", "x")), (400,)
    yield "form twice", form(part("prompt", "x") * 2 + "--edge--\r\n"), (400,)
    yield "form names", form(part("a[b][c][d][e][f][g][h][i]", "x") + "--edge--\r\n"), (400,)
    yield "form no name", form("--edge\r\nX: y\r\n\r\nz\r\n--edge--\r\n"), (400,)
    yield "form long head", form("--edge\r\n" + "X: y\r\n" * 9000 + "\r\nz\r\n--edge--\r\n"), (400,)
    for file in ("", "GIF89a", "\x89PNG", "#EXTM3U\nfile:///etc/passwd", "ffconcat version 1.0\nfile /etc/passwd", "<svg/>", "x" * 5000):
        yield f"file {file[:12]!r}", form(part("file", file, "../../x.png") + "--edge--\r\n", "/v1/files"), (400,)
    yield "deep json", lambda: ask(port, "POST", "/v1/videos", b"[" * 200000, {"Content-Type": "application/json"})[0], (400,)
    yield "not utf-8", lambda: ask(port, "POST", "/v1/videos", b'{"prompt": "\xff\xfe"}', {"Content-Type": "application/json"})[0], (400,)
    yield "a type", lambda: ask(port, "POST", "/v1/videos", b"x", {"Content-Type": "image/png"})[0], (415,)
    yield "huge said", lambda: raw(port, b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{"), (413, None)
    yield "half body", lambda: raw(port, b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{"), (400, None)
    yield "slow body", lambda: raw(port, b"POST /v1/videos HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{", 2, b"}"), (400, None)
    yield "no http", lambda: raw(port, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20), (400, None)
    yield "long line", lambda: raw(port, b"GET /" + b"a" * 200000 + b" HTTP/1.1\r\n\r\n"), (400, 404, 414, 431, None)
    yield "many heads", lambda: raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 50000 + b"\r\n"), (400, 431, None)
    yield "another host", lambda: ask(port, "GET", "/v1/videos", None, {"Host": "evil.example"})[0], (403,)
    yield "another origin", lambda: send_json(port, "/v1/videos", {"prompt": "x"}, {"Origin": "https://evil.example"})[0], (403,)
    for path in ("/studio/../../etc/passwd", "/studio/..%2f..%2fetc%2fpasswd", "/studio/", "/v1", "/v1/videos/x/y/z", "/..", "/%00"):
        yield f"path {path}", lambda path=path: ask(port, "GET", path)[0], (400, 404)
    for method in ("PUT", "TRACE", "OPTIONS", "BREW"):
        yield f"method {method}", lambda method=method: ask(port, method, "/v1/videos")[0], (400, 404, 405)


def memory(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1]) / 1024


def main():
    folder = tempfile.mkdtemp(prefix="kino-hostile-")
    server, port = start(sys.argv[1], folder)
    send_json(port, "/v1/queue", {"paused": True})
    send_json(port, "/v1/videos", {"prompt": "x", "dry_run": True})
    wrong, count, first = [], 0, None
    for turn in range(2):
        for name, request, allowed in cases(port):
            status = request()
            count += turn == 0
            if status not in allowed:
                wrong.append((name, status))
        first = first or memory(server.pid)
    grown = memory(server.pid) - first
    alive = ask(port, "GET", "/health")[0] == 200
    queued = json.loads(ask(port, "GET", "/v1/queue")[1])["length"]
    left = os.listdir(os.path.join(folder, "uploads"))
    server.terminate()
    server.wait()
    print(f"{count} requests, twice: {len(wrong)} wrong answers, {grown:+.1f} MB after the second turn, "
          f"{queued} jobs, {len(left)} files left, {'alive' if alive else 'DEAD'}")
    for name, status in wrong:
        print(f"  {name}: {status}")
    assert not wrong and alive and not left and not queued


if __name__ == "__main__":
    main()
