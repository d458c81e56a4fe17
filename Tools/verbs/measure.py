#!/usr/bin/env python3
"""Measures the cases that Tools/verbs/run made, and chains of extensions.

    measure.py cases FOLDER [NAME...]  a Markdown table of every case, or of some
    measure.py chain KINO MODEL WORK   eight extensions of three world clips
    measure.py seams KINO MODEL WORK   the change over the seam of an extension, after and before, of twenty world clips
    measure.py drift KINO MODEL WORK   colour, contrast and sharpness over a clip of 60 seconds, and its memory
    measure.py truth KINO MODEL WORK   a second of continuation, and one between, of twelve world clips against the truth

Needs the packages av and numpy.
"""

import csv
import os
import resource
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


def staying(source, truth, found, side=8):
    """The drift of flat squares in which nothing happens in the true continuation."""
    height, width = source.shape[:2]
    drifts = []
    for place in ((y, x) for y in range(0, height - side + 1, side) for x in range(0, width - side + 1, side)):
        own = patch(source, place, side).astype(np.float32)
        moved = max(np.abs(patch(frame, place, side) - own).max() for frame in truth)
        if own.std(axis=(0, 1)).max() < 2 and moved < 6:
            drifts.append(float(np.abs(patch(found, place, side).mean((0, 1)) - own.mean((0, 1))).max()))
    return drifts


def chain(kino, model, work):
    os.makedirs(work, exist_ok=True)
    print("| Clip | Source's frames, mean difference | Flat patches of the source, largest drift | "
          "Flat patches of its last frame, in each extension's last | Patches that stay in truth: how many, median "
          "drift, share within 3 | Bytes a frame, first and last |")
    print("|---|---|---|---|---|---|")
    for seed in (21, 22, 23):
        path = f"{work}/{seed}-0.mp4"
        run(kino, "world", "--seed", seed, "--seconds", 2, "--size", "256x256", "--output", path)
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
        truth = f"{work}/{seed}-truth.mp4"
        run(kino, "world", "--seed", seed, "--seconds", 10, "--size", "256x256", "--output", truth)
        stays = np.array(staying(first[-1], frames(truth)[len(first) :], clip[-1]))
        sizes = [os.path.getsize(f"{work}/{seed}-{i}.mp4") / len(frames(f"{work}/{seed}-{i}.mp4")) for i in (0, 8)]
        print(f"| world {seed} | {same:.2f} | {flat:.2f} | {' '.join(f'{d:.1f}' for d in drifts)} | "
              f"{len(stays)}, {np.median(stays):.1f}, {100 * (stays <= 3).mean():.0f}% | "
              f"{sizes[0]:.0f}, {sizes[1]:.0f} |", flush=True)


def seams(kino, model, work):
    os.makedirs(work, exist_ok=True)
    for name, options in (("extend", []), ("extend --before", ["--before"])):
        ratios = []
        for seed in range(31, 51):
            source, path = f"{work}/{seed}.mp4", f"{work}/{seed}-{len(options)}.mp4"
            run(kino, "world", "--seed", seed, "--seconds", 2, "--size", "256x256", "--output", source)
            run(kino, "extend", source, *options, "--seconds", 1, "--steps", 12, "--seed", 1, "--model", model,
                "--output", path)
            clip, old = frames(path), frames(source)
            seam = len(clip) - len(old) - 1 if options else len(old) - 1
            # What moves unevenly also changes unevenly inside the source.
            own = [change(a, b) for a, b in zip(old, old[1:])]
            # Where nothing moves the median is 0, and a quarter of a level can't be seen.
            usual = max(np.median(own), 0.25)
            ratios.append((change(clip[seam], clip[seam + 1]) / usual, max(own) / usual, seed))
        good = sum(r <= 1.5 for r, _, _ in ratios)
        others = [f"{r:.1f} (inside the source up to {most:.1f}, seed {seed})"
                  for r, most, seed in sorted(ratios) if r > 1.5]
        print(f"{name}: {good} of {len(ratios)} at most 1.5 times the source's median change"
              + ("; the others " + ", ".join(others) if others else ""))


def sharpness(frame):
    grey = frame.astype(np.float32).mean(2)
    return float(np.abs(np.diff(grey, axis=0)).mean() + np.abs(np.diff(grey, axis=1)).mean())


def drift(kino, model, work):
    os.makedirs(work, exist_ok=True)
    options = ["--steps", 12, "--seed", 1, "--model", model, "--output"]
    prompt = "a red ball rolls on grass"
    for seconds in (5, 60):
        run(kino, "generate", prompt, "--seconds", seconds, *options, f"{work}/{seconds}.mp4")
        # The most of any child so far: the longer clip comes last.
        print(f"{seconds} s: {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6:.2f} GB")
    clip, rate = frames(f"{work}/60.mp4"), rate_of(f"{work}/60.mp4")
    second = int(round(rate))
    measures = {
        "red": lambda f: f[..., 0].mean(), "green": lambda f: f[..., 1].mean(), "blue": lambda f: f[..., 2].mean(),
        "contrast": lambda f: f.astype(np.float32).std(), "sharpness": sharpness,
    }
    print("| from s | " + " | ".join(measures) + " |")
    print("|---" * (len(measures) + 1) + "|")
    first = None
    for start in [0, *range(5, 60, 5), 59]:
        part = clip[start * second : (start + 1) * second]
        values = [float(np.mean([measure(frame) for frame in part])) for measure in measures.values()]
        first = first or values
        print(f"| {start} | " + " | ".join(f"{100 * (v / f - 1):+.0f}%" for v, f in zip(values, first)) + " |")


# Scenes of `kino world` in which one object moves before a camera that stands still.
TRUTH_SEEDS = (409, 412, 414, 415, 429, 434, 442, 444, 448, 450, 453, 457)


def write(path, clip, rate):
    with av.open(path, "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"qp": "4"})
        stream.height, stream.width, stream.pix_fmt = *clip.shape[1:3], "yuv444p"
        for frame in clip:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())


def place(frame, ground):
    """Where what is not the ground lies, in pixels; nothing where there is too little of it."""
    seen = np.abs(frame.astype(np.int16) - ground).max(axis=2) > 40
    return np.argwhere(seen).mean(axis=0) if seen.sum() >= 12 else None


def against(found, true, ground):
    """The PSNR of a clip, and how far its object is from its true place on average, in pixels."""
    error = np.mean((found.astype(np.float32) - true) ** 2)
    lost = true.shape[1] / 2
    distances = []
    for a, b in zip(found, true):
        here, there = place(a, ground), place(b, ground)
        if there is not None:
            distances.append(lost if here is None else float(np.linalg.norm(here - there)))
    return 10 * np.log10(255**2 / error), float(np.mean(distances)) if distances else float("nan")


def truth(kino, model, work):
    """A second is 12 frames: 24 are known and 12 follow; or 12, the second that is made, and 12."""
    os.makedirs(work, exist_ok=True)
    names = ("extend", "last frame repeated", "connect", "last frame repeated ", "cross-fade")
    all_figures = {name: [] for name in names}
    for seed in TRUTH_SEEDS:
        path = f"{work}/{seed}.mp4"
        run(kino, "world", "--seed", seed, "--seconds", 3, "--fps", 12, "--size", "256x256", "--output", path)
        caption = open(f"{work}/{seed}.txt").read().strip()
        clip = frames(path)
        ground = np.median(clip, axis=0)
        for name, part in {"head": clip[:24], "first": clip[:12], "last": clip[24:]}.items():
            write(f"{work}/{seed}-{name}.mp4", part, 12)
        options = ["--seconds", 1, "--steps", 16, "--seed", 1, "--model", model, "--output"]
        run(kino, "extend", f"{work}/{seed}-head.mp4", caption, *options, f"{work}/{seed}-extend.mp4")
        run(kino, "connect", f"{work}/{seed}-first.mp4", f"{work}/{seed}-last.mp4", caption, *options,
            f"{work}/{seed}-connect.mp4")
        shares = (np.arange(1, 13) / 13)[:, None, None, None]
        made = {
            "extend": (frames(f"{work}/{seed}-extend.mp4")[24:36], clip[24:36]),
            "last frame repeated": (np.repeat(clip[23:24], 12, 0), clip[24:36]),
            "connect": (frames(f"{work}/{seed}-connect.mp4")[12:24], clip[12:24]),
            "last frame repeated ": (np.repeat(clip[11:12], 12, 0), clip[12:24]),
            "cross-fade": (clip[11:12] * (1 - shares) + clip[24:25] * shares, clip[12:24]),
        }
        for name, (found, true) in made.items():
            all_figures[name].append(against(found, true, ground))
    print("| | PSNR, median | distance from the true place, median |")
    print("|---|---|---|")
    for name, figures in all_figures.items():
        decibels, pixels = (np.nanmedian([f[i] for f in figures]) for i in (0, 1))
        print(f"| {name.strip()} | {decibels:.1f} dB | {pixels:.1f} pixels |")
    for index, seed in enumerate(TRUTH_SEEDS):
        print(seed, *(f"{all_figures[n][index][0]:.1f}/{all_figures[n][index][1]:.1f}" for n in names))


def run(*arguments):
    if not os.path.exists(arguments[-1]):
        subprocess.run([str(a) for a in arguments] + ["--quiet"], check=True)


if __name__ == "__main__":
    measures = {"chain": chain, "seams": seams, "drift": drift, "truth": truth}
    if len(sys.argv) >= 3 and sys.argv[1] == "cases":
        cases(*sys.argv[2:])
    elif len(sys.argv) == 5 and sys.argv[1] in measures:
        measures[sys.argv[1]](*sys.argv[2:])
    else:
        sys.exit(__doc__)
