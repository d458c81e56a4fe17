#!/usr/bin/env python3
"""Makes a folder of awkward footage, to see what `kino prepare` says of each file.

    python3 Tools/prepare/awkward.py FOLDER

Needs av, numpy and pillow. Cuts, black and still parts, flashes, rotation, uneven rates, edit lists, clips of one
and two frames, captions with byte order marks, in UTF-16, empty, missing, one name twice, doubles, damage.
"""
import fractions
import os
import struct
import sys
import wave

import av
import numpy as np
from PIL import Image

ROOT = sys.argv[1]
SIZE = (160, 96)


def scene(count, seed, size=SIZE, still=False):
    """A square that moves over a gradient, in the colours of a seed."""
    width, height = size
    random = np.random.default_rng(seed)
    low, high, box = (random.integers(30, 226, 3) for _ in range(3))
    ramp = np.linspace(0, 1, width)[None, :, None]
    ground = np.repeat(low + (high - low) * ramp, height, 0)
    grain = random.integers(-12, 12, ground.shape)
    start, speed = random.integers(0, width // 2), int(random.integers(1, 3))
    frames = []
    for index in range(count):
        picture = np.clip(ground + grain, 0, 255).astype(np.uint8)
        x = (start + (0 if still else index) * speed) % (width - 24)
        y = height // 2 - 12 + int(0 if still else 10 * np.sin(index / 4))
        picture[y:y + 24, x:x + 24] = box
        frames.append(picture)
    return frames


def flat(count, level, size=SIZE):
    return [np.full((size[1], size[0], 3), level, np.uint8)] * count


def path(name):
    full = os.path.join(ROOT, name)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    return full


def clip(name, frames, rate=12, times=None, codec="libx264", pixels="yuv420p", caption=True, crf="16", sound=False):
    full = path(name)
    rate = fractions.Fraction(rate)
    with av.open(full, "w") as file:
        stream = file.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        if codec == "libx264":
            stream.options = {"crf": crf}
        stream.codec_context.time_base = 1 / rate if times is None else fractions.Fraction(1, 120)
        audio = file.add_stream("aac", rate=48000, layout="mono") if sound else None
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = index if times is None else times[index]
            frame.time_base = stream.codec_context.time_base
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if audio:
            count = int(len(frames) / rate * 48000) // 1024
            for index in range(count):
                t = (np.arange(1024) + index * 1024) / 48000
                piece = (np.sin(t * 2 * np.pi * 440) * 0.1).astype(np.float32)[None]
                frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 48000, index * 1024
                file.mux(audio.encode(frame))
            file.mux(audio.encode(None))
    if caption:
        text(os.path.splitext(name)[0] + ".txt", f"a square moves, {os.path.basename(name)}\n".encode())
    return full


def text(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def rotate(full):
    """Writes a quarter turn into the track header of an MP4."""
    data = bytearray(open(full, "rb").read())
    at = data.index(b"tkhd") + 4 + 40
    data[at:at + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 96 << 16, 0, 1 << 30)
    open(full, "wb").write(data)


os.makedirs(ROOT, exist_ok=True)
clip("cuts.mp4", scene(24, 1) + scene(24, 2) + scene(24, 3))
clip("black.mp4", scene(24, 4) + flat(12, 0) + scene(24, 5))
clip("still.mp4", scene(24, 6) + scene(36, 7, still=True) + scene(24, 8))
clip("flash.mp4", scene(20, 9) + flat(1, 255) + scene(40, 9)[20:])
clip("long.mp4", scene(144, 10))
clip("short-scene.mp4", scene(24, 11) + scene(6, 12) + scene(24, 13))
rotate(clip("rotated.mp4", scene(24, 14)))
clip("uneven.mp4", scene(30, 15), rate=30, times=[i * 4 if i < 10 else 40 + (i - 10) * 12 for i in range(30)])
clip("one-frame.mp4", scene(1, 16))
clip("two-frames.mp4", scene(2, 17))
clip("bom.mp4", scene(24, 18), caption=False)
text("bom.txt", b"\xef\xbb\xbfa square,\r\nand a mark\r\n")
clip("utf16.mp4", scene(24, 19), caption=False)
text("utf16.txt", "a square in two bytes".encode("utf-16"))
clip("no-caption.mp4", scene(24, 20), caption=False)
clip("empty-caption.mp4", scene(24, 21), caption=False)
text("empty-caption.txt", b" \n")
clip("latin1.mp4", scene(24, 22), caption=False)
text("latin1.txt", "un carré bouge".encode("latin-1"))
clip("twin.mp4", scene(24, 23))
clip("twin.mov", scene(24, 24))
clip("zz-double.mp4", [f[::2, ::2] for f in scene(144, 10)], crf="28")
clip("tall.mp4", scene(24, 25, (96, 160)))
clip("wide.mp4", scene(24, 26, (256, 96)))
clip("odd.mkv", scene(24, 27, (97, 65)), codec="ffv1", pixels="bgr0")
clip("film.mp4", scene(60, 28), rate="30000/1001", sound=True)
clip("blank.mp4", flat(24, 255))
clip("сон/кадр | один.mp4", scene(24, 29))
clip("listed.mp4", scene(24, 33), caption=False)
text("manifest.jsonl",
     b'{"file_name": "listed.mp4", "text": "a square from a list"}\n{"file": "gone.mp4", "caption": "nothing"}\n')
Image.fromarray(scene(1, 30)[0]).save(path("photo.jpg"), quality=92)
text("photo.txt", b"a square, still")
exif = Image.Exif()
exif[0x0112] = 6
Image.fromarray(scene(1, 31)[0]).save(path("turned.jpg"), exif=exif, quality=92)
text("turned.txt", b"a square on its side")
pictures = [Image.fromarray(f) for f in scene(24, 32)]
pictures[0].save(path("moving.gif"), save_all=True, append_images=pictures[1:], duration=80, loop=0)
text("moving.txt", b"a square in 256 colours")
whole = open(os.path.join(ROOT, "film.mp4"), "rb").read()
text("cut-off.mp4", whole[:len(whole) // 2])
text("cut-off.txt", b"half a file")
damaged = bytearray(open(os.path.join(ROOT, "odd.mkv"), "rb").read())
damaged[len(damaged) // 2:len(damaged) // 2 + 4000] = bytes(4000)
text("damaged.mkv", bytes(damaged))
text("damaged.txt", b"a hole in the middle")
text("noise.mp4", np.random.default_rng(0).bytes(20000))
text("empty.mp4", b"")
with wave.open(path("sound.wav"), "wb") as file:
    file.setparams((1, 2, 8000, 0, "NONE", ""))
    file.writeframes(bytes(16000))
text("orphan.txt", b"of nothing")
text("notes.md", b"# notes")
text(".DS_Store", b"x")
os.symlink("nowhere.mp4", path("link.mp4"))
os.mkfifo(path("pipe.mp4"))
