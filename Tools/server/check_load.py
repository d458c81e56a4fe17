"""200 clients that poll and list while a video is made: how long they wait, and what it costs the video.

    python3 check_load.py http://127.0.0.1:8787 [CLIENTS]

The clients are a few lines over sockets, so that on a machine with few cores little of what is measured is theirs.
"""

import asyncio
import json
import statistics
import sys
import time
import urllib.parse

VIDEO = {"prompt": "a red ball bounces on grass", "seconds": 10, "steps": 20, "seed": 1}


class Client:
    """One connection that stays open."""

    def __init__(self, host, port):
        self.host, self.port, self.streams = host, port, None

    async def ask(self, method, path, body=None):
        """The status and the body of an answer."""
        if self.streams is None:
            self.streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self.streams
        data = json.dumps(body).encode() if body else b""
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        head = await reader.readuntil(b"\r\n\r\n")
        status = int(head[9:12])
        length = next(
            int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        return status, await reader.readexactly(length)


async def make(client):
    """Makes a video, and gives the seconds it took from start to end."""
    video = json.loads((await client.ask("POST", "/v1/videos", VIDEO))[1])
    start = None
    while True:
        now = json.loads((await client.ask("GET", f"/v1/videos/{video['id']}"))[1])
        if now["status"] == "in_progress" and start is None:
            start = time.perf_counter()
        if now["status"] in ("completed", "failed"):
            assert now["status"] == "completed", now
            return time.perf_counter() - (start or time.perf_counter())
        await asyncio.sleep(0.05)


async def poll(client, number, count, waits, done):
    await asyncio.sleep(number / count)
    while not done.is_set():
        start = time.perf_counter()
        status, answer = await client.ask("GET", "/v1/videos?limit=20" if number % 4 == 0 else "/v1/queue")
        waits.append(time.perf_counter() - start)
        assert status == 200, answer
        await asyncio.sleep(max(0, start + 1 - time.perf_counter()))


async def main():
    base = urllib.parse.urlsplit(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 200

    def client():
        return Client(base.hostname, base.port)

    own = client()
    await make(own)
    alone = await make(own)
    waits, done = [], asyncio.Event()
    pollers = [asyncio.create_task(poll(client(), i, count, waits, done)) for i in range(count)]
    crowded = await make(own)
    done.set()
    await asyncio.gather(*pollers)
    again = await make(own)
    waits.sort()
    alone = (alone + again) / 2
    print(
        f"{count} clients, {len(waits)} requests: median {statistics.median(waits) * 1000:.0f} ms, "
        f"95% within {waits[int(len(waits) * 0.95)] * 1000:.0f} ms, slowest {waits[-1] * 1000:.0f} ms; the video took "
        f"{alone:.1f} s alone, {crowded:.1f} s beside them ({crowded / alone - 1:+.0%})")


asyncio.run(main())
