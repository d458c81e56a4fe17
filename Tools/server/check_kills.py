"""Kills a server at random moments while jobs are queued, and looks that nothing is lost or made twice.

    python check_kills.py KINO [COUNT]
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request


class Server:
    """`kino serve` on a free port."""

    def __init__(self, program, folder):
        self.process = subprocess.Popen(
            [program, "serve", "--port", "0", "--json", "--data", folder, "--log", "error"],
            stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        self.address = json.loads(line)["path"]

    def ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.address + path, data=data, headers={"Content-Type": "application/json"},
            method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def all_videos(server):
    return server.ask("/v1/videos?limit=100&order=asc")["data"]


def main():
    program, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 100
    random.seed(1)
    kills, made, twice, lost = 0, 0, 0, 0
    folder = tempfile.mkdtemp(prefix="kino-kills-")
    server = Server(program, folder)
    expected, settings = [], {}
    while kills < count:
        waiting = [v for v in all_videos(server) if v["status"] in ("queued", "in_progress")]
        for _ in range(5 - len(waiting)):
            video = server.ask(
                "/v1/videos", {"prompt": f"a red ball {len(expected)}", "steps": 6, "frames": 17})
            expected.append(video["id"])
            settings[video["id"]] = (video["prompt"], video["kino"]["seed"])
        before = {v["id"]: v for v in all_videos(server)}
        time.sleep(random.uniform(0, 2.5))
        server.kill()
        kills += 1
        server = Server(program, folder)
        after = {v["id"]: v for v in all_videos(server)}
        lost += len([i for i in expected if i not in after])
        for name, video in before.items():
            if name not in after:
                continue
            now = after[name]
            assert (now["prompt"], now["kino"]["seed"]) == settings[name], name
            if video["status"] == "completed":
                twice += now["status"] != "completed" or now["completed_at"] != video["completed_at"]
        queue = [v["id"] for v in server.ask("/v1/queue")["data"]]
        assert queue == [i for i in expected if i in queue], "the order changed"
        # Old ones go, so that lists stay short.
        for name in [i for i in expected if after[i]["status"] == "completed"][:-5]:
            server.ask(f"/v1/videos/{name}", method="DELETE")
            expected.remove(name)
            made += 1
    deadline = time.time() + 600
    while True:
        videos = all_videos(server)
        if all(v["status"] == "completed" for v in videos):
            break
        assert time.time() < deadline, videos
        assert not [v for v in videos if v["status"] == "failed"], videos
        time.sleep(0.5)
    made += len(videos)
    files = sorted(os.listdir(os.path.join(folder, "videos")))
    wanted = sorted(
        f"{v['id']}.{end}" for v in videos for end in ("mp4", "sheet.jpg", "thumbnail.webp"))
    server.kill()
    assert files == wanted, (set(files) ^ set(wanted))
    print(f"{kills} kills, {made} videos made, {lost} lost, {twice} made twice, no orphan file")
    assert lost == 0 and twice == 0


if __name__ == "__main__":
    main()
