#!/usr/bin/env python3
"""Measures the cases that Tools/verbs/run made, and chains of extensions.

    measure.py cases FOLDER [NAME...]  a Markdown table of every case, or of some
    measure.py chain KINO MODEL WORK   eight extensions of three world clips

Needs the packages av and numpy.
"""

import csv
import os
import subprocess
import sys

import av
import numpy as np


def frames(path):
    """All frames of a clip, [F, H, W, 3], RGB; those that are shown for longer than others are repeated."""
    with av.open(path) as container:
        rate = container.streams.video[0].average_rate
        result, start = [], None
        for frame in container.decode(video=0):
            start = frame.time if start is None else start
            place = round(float((frame.time - start) * rate)) if rate and frame.time else len(result)
            result += result[-1:] * (place - len(result))
            result.append(frame.to_ndarray(format="rgb24"))
        return np.stack(result)


def change(a, b):
    """The mean difference of two frames."""
    return float(np.abs(a.astype(np.int16) - b.astype(np.int16)).mean())


def psnr(a, b):
    """The least PSNR over the frames of two clips, in decibels."""
    worst = max(float(((x.astype(np.float32) - y) ** 2).mean()) for x, y in zip(a, b))
    return float("inf") if worst == 0 else 10 * np.log10(255**2 / worst)


def median_change(clip):
    return float(np.median([change(a, b) for a, b in zip(clip, clip[1:])])) if len(clip) > 1 else 0.0


def kept(result, text):
    """Pairs of what was kept and its source, and the places after which a seam lies with their clip's own
    median change."""
    pairs, seams = [], []
    for item in [text] if text.count(":") == 1 else text.split():
        name, place = item.split(":", 1)
        source = frames(name)
        n, own = len(source), median_change(source)
        if source.shape[1:] != result.shape[1:]:
            return [], []
        if place == "start":
            pairs.append((result[:n], source))
            seams.append((n - 1, own))
        elif place == "end":
            pairs.append((result[-n:], source))
            seams.append((len(result) - n - 1, own))
        elif place == "reversed":
            pairs.append((result[::-1], source))
        else:
            rate = rate_of(name)
            first, last = (round(float(t) * rate) for t in place.split()[1:])
            pairs += [(result[:first], source[:first]), (result[last:], source[last:])]
            seams += [(first - 1, own), (last - 1, own)]
    return pairs, seams


def rate_of(path):
    with av.open(path) as container:
        return float(container.streams.video[0].average_rate)


def cases(folder, *names):
    os.chdir(folder)
    print("| Case | Frames, size | Kept, least PSNR | Seam / own change | Seconds |")
    print("|---|---|---|---|---|")
    for verb, name, file, text, seconds, status in csv.reader(open("cases.tsv"), delimiter="\t"):
        if names and name not in names:
            continue
        if status != "0" or not os.path.exists(file):
            print(f"| {name} | failed ({status}) | | | {seconds} |")
            continue
        result = frames(file)
        pairs, seams = kept(result, text) if text != "-" else ([], [])
        if verb == "loop" and seams:
            # From the last frame to the first.
            seams.append((len(result) - 1, seams[0][1]))
        decibels = min((psnr(a, b) for a, b in pairs if len(a) == len(b) and len(a)), default=None)
        ratios = [
            change(result[i], result[(i + 1) % len(result)]) / own
            for i, own in seams
            if own > 0 and (i + 1 < len(result) or verb == "loop")
        ]
        quality = "" if decibels is None else "equal" if decibels == float("inf") else f"{decibels:.1f} dB"
        ratio = ", ".join(f"{r:.1f}" for r in ratios)
        size = f"{len(result)}, {result.shape[2]}x{result.shape[1]}"
        print(f"| {name} | {size} | {quality} | {ratio} | {seconds} |", flush=True)


def flat_patches(frame, side=8, count=12):
    """Places of the flattest squares of a frame."""
    height, width = frame.shape[:2]
    places = [(y, x) for y in range(0, height - side, side) for x in range(0, width - side, side)]
    return sorted(places, key=lambda p: patch(frame, p, side).astype(np.float32).std(axis=(0, 1)).sum())[:count]


def patch(frame, place, side=8):
    y, x = place
    return frame[y : y + side, x : x + side]


def chain(kino, model, work):
    os.makedirs(work, exist_ok=True)
    print("| Clip | Source's frames, mean difference | Flat patches of the source, largest drift | "
          "Flat patches of its last frame, in each extension's last | Bytes a frame, first and last |")
    print("|---|---|---|---|---|")
    for seed in (21, 22, 23):
        path = f"{work}/{seed}-0.mp4"
        run(kino, "world", "--seed", seed, "--seconds", 2, "--size", "128x128", "--output", path)
        first, last = frames(path), path
        drifts = []
        for step in range(1, 9):
            path = f"{work}/{seed}-{step}.mp4"
            run(kino, "extend", last, "--seconds", 1, "--steps", 12, "--seed", step, "--model", model,
                "--output", path)
            last = path
            clip = frames(path)
            places = flat_patches(first[-1])
            drifts.append(max(
                float(np.abs(patch(clip[-1], p).mean((0, 1)) - patch(first[-1], p).mean((0, 1))).max())
                for p in places))
        kept_frames = clip[: len(first)]
        same = change(kept_frames, first)
        flat = max(
            float(np.abs(patch(a, p).mean((0, 1)) - patch(b, p).mean((0, 1))).max())
            for a, b in zip(kept_frames, first) for p in flat_patches(b))
        sizes = [os.path.getsize(f"{work}/{seed}-{i}.mp4") / len(frames(f"{work}/{seed}-{i}.mp4")) for i in (0, 8)]
        print(f"| world {seed} | {same:.2f} | {flat:.2f} | {' '.join(f'{d:.1f}' for d in drifts)} | "
              f"{sizes[0]:.0f}, {sizes[1]:.0f} |", flush=True)


def run(*arguments):
    if not os.path.exists(arguments[-1]):
        subprocess.run([str(a) for a in arguments] + ["--quiet"], check=True)


if __name__ == "__main__":
    if len(sys.argv) >= 3 and sys.argv[1] == "cases":
        cases(*sys.argv[2:])
    elif len(sys.argv) == 5 and sys.argv[1] == "chain":
        chain(*sys.argv[2:])
    else:
        sys.exit(__doc__)
