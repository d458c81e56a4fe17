#!/usr/bin/env python3
"""Makes the 24 clips that a model card shows, and one picture of their sheets in two columns.

    python3 -m venv /tmp/pictures && /tmp/pictures/bin/pip install pillow
    /tmp/pictures/bin/python Tools/model/sheet.py Models/kino-mini docs/media/kino-mini-24.jpg [KINO]

Prompts are the captions of the first 24 scenes of unseen combinations from seed 9000 on, seeds 1 to 24. With
`--four 3,7,9,12` another picture, of these clips alone, is written beside it: `docs/media/kino-mini.jpg`.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("kino", nargs="?", default=str(ROOT / ".build/release/kino"))
    parser.add_argument("--four", help="numbers of clips for a second picture, in one column")
    parser.add_argument("--work", help="a folder that keeps clips and sheets, and is not made anew where it has them")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = pathlib.Path(arguments.work or temporary)
        work.mkdir(parents=True, exist_ok=True)
        scenes = work / "scenes"
        if not (scenes / "manifest.jsonl").exists():
            subprocess.run([arguments.kino, "world", "--held-out", "--seed", "9000", "--count", "24", "--frames", "1",
                            "--size", "64x64", "--output", scenes, "--quiet"], check=True)
        lines = (scenes / "manifest.jsonl").read_text().splitlines()
        sheets = []
        for seed, line in enumerate(lines, start=1):
            sheet = work / f"{seed}.png"
            if not sheet.exists():
                subprocess.run([arguments.kino, "generate", json.loads(line)["caption"], "--model", arguments.model,
                                "--seed", str(seed), "--output", work / f"{seed}.mp4", "--sheet", sheet, "--overwrite",
                                "--quiet"], check=True)
            sheets.append(Image.open(sheet).convert("RGB"))
    join(sheets, 2).save(arguments.picture, quality=74)
    if arguments.four:
        chosen = [sheets[int(number) - 1] for number in arguments.four.split(",")]
        join(chosen, 1).save(arguments.picture.with_name(arguments.picture.name.replace("-24", "")), quality=82)


def join(sheets, columns):
    rows = [sheets[start:start + columns] for start in range(0, len(sheets), columns)]
    width = max(sum(sheet.width for sheet in row) for row in rows)
    heights = [max(sheet.height for sheet in row) for row in rows]
    picture = Image.new("RGB", (width, sum(heights)))
    top = 0
    for row, height in zip(rows, heights):
        left = 0
        for sheet in row:
            picture.paste(sheet, (left, top))
            left += sheet.width
        top += height
    return picture


if __name__ == "__main__":
    main()
