#!/usr/bin/env python3
"""What each inexact saving costs in exactness and brings in time, as rows of a Markdown table.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install numpy pillow
    swift build -c release --product kino
    /tmp/peers/bin/python Benchmarks/savings.py --prompts 16

Every prompt is made with full sampling and with each saving, by the same seed. PSNR is over six frames of
each clip against full sampling; time is that of sampling alone, without loading and decoding.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
FULL = []
SAVINGS = [
    ["--cache", "0.05"], ["--cache", "0.1"], ["--cache", "0.2"], ["--cache", "0.3"],
    ["--guidance-range", "0.3:1"], ["--guidance-range", "0.5:1"], ["--guidance-range", "0.3:0.95"],
    ["--steps", "12"], ["--steps", "8"],
    ["--cache", "0.1", "--guidance-range", "0.3:1"],
    ["--precision", "int8"],
]


def prompts(kino, count, folder):
    """Captions of combinations that no model here was trained on."""
    subprocess.run([kino, "world", "--held-out", "--seed", "9000", "--count", str(count), "--frames", "1",
                    "--size", "32x32", "--output", folder, "--quiet"], check=True)
    return [path.read_text().strip() for path in sorted(pathlib.Path(folder).glob("*.txt"))]


def made(arguments, prompt, seed, options, folder):
    """The six frames of a clip as an array, and the seconds that sampling took."""
    import numpy
    from PIL import Image

    sheet = pathlib.Path(folder) / "sheet.png"
    command = [arguments.kino, "generate", prompt, "--model", arguments.model, "--seed", str(seed), "--json",
               "--overwrite", "--output", f"{folder}/clip.mp4", "--sheet", str(sheet), *options]
    if "--precision" not in options:
        command += ["--precision", arguments.precision]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    start = end = None
    for line in process.stdout:
        event = json.loads(line)["event"]
        if event == "step":
            end = time.perf_counter()
            # The first step also warms up.
            start = start or end
    if process.wait() != 0 or end is None:
        raise SystemExit(f"{' '.join(command)} failed")
    image = numpy.asarray(Image.open(sheet).convert("RGB"), dtype=float)
    # Without the label above the frames.
    return image[-arguments.height:], end - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=16)
    parser.add_argument("--height", type=int, default=128, help="of a clip by the model")
    parser.add_argument("--precision", default="f32")
    parser.add_argument("--model", default=str(ROOT / "Models/kino-mini"))
    parser.add_argument("--kino", default=str(ROOT / ".build/release/kino"))
    arguments = parser.parse_args()
    import numpy

    with tempfile.TemporaryDirectory() as folder:
        texts = prompts(arguments.kino, arguments.prompts, f"{folder}/world")
        full = [made(arguments, text, seed, FULL, folder) for seed, text in enumerate(texts)]
        base = statistics.median(seconds for _, seconds in full)
        print("| Saving | time of sampling | PSNR mean | PSNR least |\n|---|---|---|---|")
        for options in SAVINGS:
            clips = [made(arguments, text, seed, options, folder) for seed, text in enumerate(texts)]
            errors = [numpy.mean((a[0] - b[0]) ** 2) for a, b in zip(full, clips)]
            psnr = [10 * math.log10(255 ** 2 / max(error, 1e-9)) for error in errors]
            share = statistics.median(seconds for _, seconds in clips) / base
            print(f"| `{' '.join(options)}` | {share:.2f} | {statistics.mean(psnr):.1f} dB | {min(psnr):.1f} dB |",
                  flush=True)


if __name__ == "__main__":
    main()
