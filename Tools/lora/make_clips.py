#!/usr/bin/env python3
"""Draws clips of a thing that no model of Kino has seen, a zorbix, with captions beside them.

    pip install pillow av
    python3 Tools/lora/make_clips.py FOLDER [COUNT]

A zorbix is a four-pointed star with a checker of magenta and cyan. It stands, slides or hovers on the grounds and
under the skies of the world that kino-mini knows.
"""

import math
import pathlib
import random
import sys

import av
from PIL import Image, ImageDraw, ImageFilter

SIDE, FRAMES, RATE, SCALE = 128, 24, 12, 2
GROUNDS = {"grass": (74, 128, 56), "sand": (206, 178, 122), "snow": (226, 232, 240), "wood": (140, 96, 58)}
SKIES = {"": ((96, 158, 222), (186, 214, 238)), " at sunset": ((92, 80, 140), (242, 160, 96)),
         ", overcast sky": ((150, 156, 164), (192, 196, 200))}
MOTIONS = {"stands": (0, 0), "slides to the left": (-1, 0), "slides to the right": (1, 0), "hovers": (0, 1)}


def background(ground, sky):
    side = SIDE * SCALE
    page = Image.new("RGB", (side, side))
    pen = ImageDraw.Draw(page)
    horizon = int(side * 0.45)
    for row in range(horizon):
        part = row / horizon
        pen.line([(0, row), (side, row)], tuple(int(a + (b - a) * part) for a, b in zip(*sky)))
    for row in range(horizon, side):
        light = 0.8 + 0.3 * (row - horizon) / (side - horizon)
        pen.line([(0, row), (side, row)], tuple(min(255, int(c * light)) for c in ground))
    return page


def zorbix(radius, turn):
    size = int(radius * 2.4)
    checker = Image.new("RGB", (size, size))
    pen = ImageDraw.Draw(checker)
    cell = max(4, size // 6)
    for x in range(0, size, cell):
        for y in range(0, size, cell):
            color = (226, 32, 200) if (x // cell + y // cell) % 2 else (32, 214, 226)
            pen.rectangle([x, y, x + cell, y + cell], color)
    mask = Image.new("L", (size, size))
    points = []
    for corner in range(8):
        reach = radius * (1.1 if corner % 2 == 0 else 0.45)
        angle = turn + corner * math.pi / 4
        points.append((size / 2 + reach * math.cos(angle), size / 2 + reach * math.sin(angle)))
    ImageDraw.Draw(mask).polygon(points, 255)
    return checker.rotate(-math.degrees(turn)), mask


def frames(draw):
    ground, sky, motion = (draw.choice(list(d)) for d in (GROUNDS, SKIES, MOTIONS))
    page = background(GROUNDS[ground], SKIES[sky])
    side = SIDE * SCALE
    radius = side * draw.uniform(0.16, 0.24)
    x, y = side * draw.uniform(0.35, 0.65), side * draw.uniform(0.52, 0.66)
    across, up = MOTIONS[motion]
    for index in range(FRAMES):
        time = index / RATE
        centre = (x + across * side * 0.2 * (time - 1), y - up * side * 0.06 * (1 + math.sin(time * 5)))
        frame = page.copy()
        shadow = Image.new("L", (side, side))
        ImageDraw.Draw(shadow).ellipse(
            [centre[0] - radius, y + radius * 0.9, centre[0] + radius, y + radius * 1.3], 110)
        frame.paste((20, 20, 24), mask=shadow.filter(ImageFilter.GaussianBlur(5)))
        picture, mask = zorbix(radius, math.pi / 2)
        frame.paste(picture, (int(centre[0] - picture.width / 2), int(centre[1] - picture.height / 2)), mask)
        yield frame.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    article = f"a zorbix {motion} on {ground}{sky}"
    yield article


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    draw = random.Random(7)
    for number in range(int(sys.argv[2]) if len(sys.argv) > 2 else 20):
        *pictures, caption = frames(draw)
        name = folder / f"zorbix-{number:02}"
        with av.open(str(name.with_suffix(".mp4")), "w") as file:
            stream = file.add_stream("libx264", rate=RATE, options={"crf": "12"})
            stream.width = stream.height = SIDE
            stream.pix_fmt = "yuv420p"
            for picture in pictures:
                file.mux(stream.encode(av.VideoFrame.from_image(picture)))
            file.mux(stream.encode())
        name.with_suffix(".txt").write_text(caption + "\n")


main()
