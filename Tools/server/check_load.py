"""200 clients that poll and list while a video is made: how long they wait, and what it costs the video.

Needs the package httpx.

    python check_load.py http://127.0.0.1:8787 [CLIENTS] [SECONDS]
"""

import asyncio
import statistics
import sys
import time

import httpx

VIDEO = {"prompt": "a red ball bounces on grass", "seconds": 10, "steps": 20, "seed": 1}


async def make(client):
    """Makes a video, and gives the seconds it took from start to end."""
    video = (await client.post("/v1/videos", json=VIDEO)).json()
    start = None
    while True:
        now = (await client.get(f"/v1/videos/{video['id']}")).json()
        if now["status"] == "in_progress" and start is None:
            start = time.perf_counter()
        if now["status"] in ("completed", "failed"):
            assert now["status"] == "completed", now
            return time.perf_counter() - (start or time.perf_counter())
        await asyncio.sleep(0.1)


async def poll(base, number, waits, done):
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        await asyncio.sleep(number / 200)
        while not done.is_set():
            start = time.perf_counter()
            path = "/v1/videos?limit=20" if number % 4 == 0 else "/v1/queue"
            answer = await client.get(path)
            waits.append(time.perf_counter() - start)
            assert answer.status_code == 200, answer.text
            await asyncio.sleep(1)


async def main():
    base = sys.argv[1]
    clients = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        await make(client)
        alone = await make(client)
        waits, done = [], asyncio.Event()
        pollers = [asyncio.create_task(poll(base, i, waits, done)) for i in range(clients)]
        crowded = await make(client)
        done.set()
        await asyncio.gather(*pollers)
    waits.sort()
    at95 = waits[int(len(waits) * 0.95)] * 1000
    print(
        f"{clients} clients, {len(waits)} requests: median {statistics.median(waits) * 1000:.0f} ms, "
        f"95% within {at95:.0f} ms, slowest {waits[-1] * 1000:.0f} ms; the video took {alone:.1f} s alone, "
        f"{crowded:.1f} s beside them ({crowded / alone - 1:+.0%})")


asyncio.run(main())
