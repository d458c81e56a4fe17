"""Every method of `client.videos` of OpenAI's own package against a running server, sync and async.

    python check_openai.py http://127.0.0.1:8787
"""

import asyncio
import io
import struct
import sys
import warnings
import zlib

import openai

# The package says at each call that OpenAI's own service ended.
warnings.simplefilter("ignore", DeprecationWarning)

QUICK = {"steps": 2, "frames": 9}


def picture(width=64, height=64):
    """A red PNG."""
    rows = b"".join(b"\0" + b"\xc8\x28\x28" * width for _ in range(height))

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def named(data, name):
    file = io.BytesIO(data)
    file.name = name
    return file


def has(videos, name):
    """Whether the package knows a method; older ones have fewer."""
    return hasattr(videos, name)


def can_send_ids(client):
    """Whether the package can name a source by its id: some versions take it for a file and refuse it."""
    try:
        client.videos.edit(prompt="x", video={"id": "video_none"})
    except RuntimeError:
        return False
    except openai.APIStatusError:
        return True


def expect_done(video, what):
    assert video.status == "completed", (what, video)
    assert video.object == "video" and video.progress == 100, (what, video)
    assert video.completed_at and video.error is None, (what, video)
    return video


def check_sync(client):
    videos, done = client.videos, []
    for old in list(videos.list(limit=100)):
        videos.delete(old.id)
    video = expect_done(
        videos.create_and_poll(prompt="a red ball", poll_interval_ms=100, extra_body=QUICK), "create")
    done.append("create, poll, create_and_poll, retrieve")
    assert videos.retrieve(video.id).id == video.id
    for variant, magic in (("video", b"ftyp"), ("thumbnail", b"WEBP"), ("spritesheet", b"\xff\xd8")):
        data = videos.download_content(video.id, variant=variant).read()
        assert magic in data[:16], (variant, data[:16])
    done.append("download_content, three variants")
    clip = videos.download_content(video.id).read()

    animated = videos.create(
        prompt="a red ball", input_reference=named(picture(), "red.png"), extra_body=QUICK)
    expect_done(videos.poll(animated.id, poll_interval_ms=100), "input_reference")
    done.append("create with a file")

    remixed = videos.remix(video.id, prompt="a blue ball", extra_body={"steps": 2})
    assert remixed.remixed_from_video_id == video.id
    expect_done(videos.poll(remixed.id, poll_interval_ms=100), "remix")
    done.append("remix")

    by_id = has(videos, "edit") and can_send_ids(client)
    also = " and by id" if by_id else " (this version of the package can't send ids)"

    def sources(video, clip):
        return [named(clip, "clip.mp4")] + ([{"id": video.id}] if by_id else [])

    if has(videos, "edit"):
        for source in sources(video, clip):
            edited = videos.edit(prompt="a blue ball", video=source, extra_body={"steps": 2})
            expect_done(videos.poll(edited.id, poll_interval_ms=100), "edit")
        done.append("edit by file" + also)
    if has(videos, "extend"):
        for source in sources(video, clip):
            longer = videos.extend(
                prompt="on", seconds="4", video=source, extra_body={"steps": 2})
            longer = expect_done(videos.poll(longer.id, poll_interval_ms=100), "extend")
            assert float(longer.seconds) > 4, longer
        done.append("extend by file" + also)
    if has(videos, "create_character"):
        character = videos.create_character(name="Bobo", video=named(clip, "clip.mp4"))
        assert videos.get_character(character.id).name == "Bobo"
        done.append("create_character, get_character")

    page = videos.list(limit=2, order="asc")
    assert len(page.data) == 2 and page.data[0].id == video.id
    ids = [item.id for item in videos.list(limit=2, order="desc")]
    assert len(ids) == len(set(ids)) >= 3 and ids[-1] == video.id, ids
    done.append("list, both orders, pages followed")

    deleted = videos.delete(animated.id)
    assert deleted.deleted and deleted.object == "video.deleted" and deleted.id == animated.id
    done.append("delete")

    for call, kind, param in (
        (lambda: videos.retrieve(animated.id), openai.NotFoundError, None),
        (lambda: videos.create(prompt=""), openai.BadRequestError, "prompt"),
        (lambda: videos.create(prompt="x", size="99999x9"), openai.BadRequestError, "size"),
        (lambda: videos.create(prompt="x", model="gpt"), openai.BadRequestError, "model"),
    ):
        try:
            call()
        except kind as error:
            assert error.param == param and error.code and error.type, (error.param, error.body)
        else:
            raise AssertionError(f"no {kind.__name__}")
    done.append("errors with code, param and type")
    return done


async def check_async(client):
    videos = client.videos
    video = expect_done(
        await videos.create_and_poll(prompt="a red ball", poll_interval_ms=100, extra_body=QUICK),
        "async create")
    assert (await videos.retrieve(video.id)).id == video.id
    assert b"ftyp" in (await videos.download_content(video.id)).read()[:16]
    remixed = await videos.remix(video.id, prompt="a blue ball", extra_body={"steps": 2})
    expect_done(await videos.poll(remixed.id, poll_interval_ms=100), "async remix")
    clip = (await videos.download_content(video.id)).read()
    if has(videos, "edit"):
        edited = await videos.edit(
            prompt="x", video=named(clip, "clip.mp4"), extra_body={"steps": 2})
        expect_done(await videos.poll(edited.id, poll_interval_ms=100), "async edit")
    if has(videos, "extend"):
        longer = await videos.extend(
            prompt="on", seconds="4", video=named(clip, "clip.mp4"), extra_body={"steps": 2})
        expect_done(await videos.poll(longer.id, poll_interval_ms=100), "async extend")
    if has(videos, "create_character"):
        character = await videos.create_character(name="Bobo", video=named(clip, "clip.mp4"))
        assert (await videos.get_character(character.id)).id == character.id
    seen = [item.id async for item in videos.list(limit=1)]
    assert len(seen) >= 2
    assert (await videos.delete(video.id)).deleted
    return ["all of them by AsyncOpenAI"]


def main():
    base = sys.argv[1] + "/v1"
    lines = check_sync(openai.OpenAI(base_url=base, api_key="none", max_retries=0))
    lines += asyncio.run(check_async(openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0)))
    print(f"openai {openai.__version__}: " + "; ".join(lines))


if __name__ == "__main__":
    main()
