#!/usr/bin/env python3
"""Trains a tiny transformer by one process and by several, kills some, and says whether all of it is the same run.

    python3 Tools/scale/check.py [KINO] [--kills N] [--hosts | --speed]

Checks that two processes have the loss of one to 1e-4 over 200 steps; that a process that is killed ends the others
within a minute with a sentence; that one and three processes go on from the checkpoint of two; and that a run of one
or two processes, killed at N random moments or more, ends with the bytes of an unbroken one. Prints the time of a step.

With --hosts, which needs root and a system with network namespaces, it checks that alone: two hosts with a link of
100 Mbit/s have the loss of one process, and both end within a minute when the link falls silent.

With --speed it only times steps of a network of kino-mini's size by 1, 2 and 4 processes of one thread.
"""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
STEPS = 200
COMMON = """\
output: {output}
seed: 3
steps: {steps}
precision: float32
optimizer: {{learning_rate: 1.0e-3, matrix_rate: 1.0e-3, warmup_steps: 1, decay_fraction: 0.2, weight_decay: 0.01,
  beta2: 0.99, clip_norm: 1, average_decay: 0.9}}
data: {{world: 1, folders: [], frames_per_second: 12}}
schedule: {{checkpoint_minutes: {minutes}, log_steps: 1, held_out_steps: 0, sample_steps: 0}}
"""
BUCKETS = """\
buckets:
  - {{width: 32, height: 32, frames: 5, batch: 6, weight: 1}}
  - {{width: 64, height: 32, frames: 1, batch: 12, weight: 1}}
"""
AUTOENCODER = """\
autoencoder: {{base_width: 4, decoder_base_width: 4, latent_channels: 4, residual_blocks: 1, patch: 4,
  squared_weight: 1, gradient_weight: 0.2, divergence_weight: 1.0e-4}}
"""
TINY = """\
transformer:
  autoencoder: {vae}
  heads: 4
  head_width: 16
  layers: 3
  feed_forward_width: 128
  patch: 1
  text: {{vocabulary: 700, width: 32, heads: 2, head_width: 16, layers: 1, feed_forward_width: 64}}
  latents: {{initial: 60, per_step: 0.5, limit: 200}}
  caption_dropout: 0.2
  russian: 0.2
  base_shift: 1.5
  base_tokens: 80
  object_weight: 3
  truth: {{weight: 0.3, block: 1, until: 0.8}}
  defaults: {{name: tiny, width: 64, height: 64, frames: 5, steps: 2, guidance: 2}}
"""
MINI = """\
buckets:
  - {{width: 128, height: 128, frames: 1, batch: 48, weight: 1}}
transformer:
  autoencoder: {vae}
  heads: 6
  head_width: 32
  layers: 6
  feed_forward_width: 768
  patch: 1
  text: {{vocabulary: 700, width: 128, heads: 4, head_width: 32, layers: 2, feed_forward_width: 256}}
  latents: {{initial: 48, per_step: 0, limit: 48}}
  caption_dropout: 0.1
  russian: 0
  base_shift: 1.5
  base_tokens: 80
  defaults: {{name: mini, width: 128, height: 128, frames: 1, steps: 2, guidance: 2}}
"""
failed = False


def report(name, holds, text):
    global failed
    failed = failed or not holds
    print(f"{'ok ' if holds else 'BAD'} {name}: {text}", flush=True)


class Run:
    def __init__(self, kino, work, name, minutes=9.0, steps=STEPS, network=BUCKETS + TINY):
        self.kino, self.output, self.file = kino, work / name, work / f"{name}.yaml"
        text = COMMON + network
        self.file.write_text(text.format(output=self.output, minutes=minutes, steps=steps, vae=work / "vae"))

    def start(self, count, hosts=None):
        """Starts processes as torchrun does; the arguments and variables are all that they share."""
        with socket.socket() as place:
            place.bind(("127.0.0.1", 0))
            port = place.getsockname()[1]
        processes = []
        for rank in range(count):
            variables = dict(os.environ, GOMP_SPINCOUNT="1000")
            if count > 1:
                variables |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count),
                              "MASTER_ADDR": hosts.address(0) if hosts else "127.0.0.1", "MASTER_PORT": str(port)}
            processes.append(subprocess.Popen(
                [*(hosts.enter(rank) if hosts else []), self.kino, "train", str(self.file), "--threads", "1"], env=variables, text=True,
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE))
        return processes

    def run(self, count, hosts=None):
        processes = self.start(count, hosts)
        said = [process.communicate()[1] for process in processes]
        if any(process.returncode for process in processes):
            print(*said, sep="\n")
            sys.exit(f"{self.file.name}: {[process.returncode for process in processes]}")

    def lines(self):
        try:
            text = (self.output / "metrics.jsonl").read_text()
        except FileNotFoundError:
            return []
        found = []
        for line in text.splitlines():
            try:
                found.append(json.loads(line))
            except json.JSONDecodeError:
                pass
        return found

    def losses(self):
        return {line["step"]: line["figures"]["loss"] for line in self.lines() if "loss" in line["figures"]}

    def seconds(self):
        lines = self.lines()
        times = sorted(line["figures"]["seconds_per_step"] for line in lines[len(lines) // 4:])
        return times[len(times) // 2]

    def bytes(self):
        newest = self.output / f"checkpoint-{STEPS}"
        return [hashlib.sha256((newest / f"{part}.safetensors").read_bytes()).hexdigest()
                for part in ("parameters", "first", "second", "averages")]

    def wait_for(self, step):
        while not any(line["step"] >= step for line in self.lines()):
            time.sleep(0.05)


class Hosts:
    """Two network namespaces with a link of their own, 100 Mbit/s each way."""

    names = ["kino-host-0", "kino-host-1"]
    rate = "100mbit"

    def __enter__(self):
        self.__exit__()
        for name in self.names:
            self.do("ip", "netns", "add", name)
        self.do("ip", "link", "add", "kino-0", "netns", self.names[0], "type", "veth", "peer", "name", "kino-1",
                "netns", self.names[1])
        for rank in (0, 1):
            self.do(*self.enter(rank), "ip", "address", "add", f"{self.address(rank)}/24", "dev", f"kino-{rank}")
            for device in ("lo", f"kino-{rank}"):
                self.do(*self.enter(rank), "ip", "link", "set", device, "up")
            self.limit(rank, self.rate, "64kb", "100ms")
        return self

    def __exit__(self, *_):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)

    @staticmethod
    def do(*command):
        subprocess.run(command, check=True)

    @staticmethod
    def address(rank):
        return f"10.77.0.{rank + 1}"

    def enter(self, rank):
        return ["ip", "netns", "exec", self.names[rank]]

    def limit(self, rank, rate, burst, latency):
        self.do(*self.enter(rank), "tc", "qdisc", "replace", "dev", f"kino-{rank}", "root", "tbf", "rate", rate,
                "burst", burst, "latency", latency)

    def sent(self, rank):
        """Bytes that a host has sent."""
        text = subprocess.run([*self.enter(rank), "cat", f"/sys/class/net/kino-{rank}/statistics/tx_bytes"],
                              check=True, capture_output=True, text=True).stdout
        return int(text)

    def cut(self):
        """Makes the link lose everything, as a broken cable would: nobody is told."""
        for rank in (0, 1):
            self.limit(rank, "8bit", "1", "1ms")


def check_hosts(kino, work):
    one = Run(kino, work, "one")
    one.run(1)
    expected = one.losses()
    with Hosts() as hosts:
        apart = Run(kino, work, "apart")
        before = hosts.sent(0)
        apart.run(2, hosts)
        far = difference(apart.losses(), expected, range(1, STEPS + 1))
        report("two hosts", far < 1e-4, f"losses of {STEPS} steps within {far:.1e} of one process")
        print(f"    a step takes {one.seconds() * 1000:.1f} ms by one, {apart.seconds() * 1000:.1f} ms by two hosts at "
              f"{hosts.rate}; host 0 sent {(hosts.sent(0) - before) / STEPS / 1e6:.2f} MB a step")
        lost = Run(kino, work, "silent", minutes=0.02)
        processes = lost.start(2, hosts)
        lost.wait_for(60)
        hosts.cut()
        begin = time.time()
        for rank, process in enumerate(processes):
            said = process.communicate()[1].strip().splitlines()[-1]
            report(f"a silent link, host {rank}", time.time() - begin < 60 and "start them again" in said,
                   f"after {time.time() - begin:.1f} s it ended with {process.returncode}: {said}")
    with Hosts() as hosts:
        lost.run(2, hosts)
        far = difference(lost.losses(), expected, range(1, STEPS + 1))
        report("both go on", far < 1e-4, f"losses within {far:.1e} of one process")


def check_speed(kino, work):
    alone = None
    for count in (1, 2, 4):
        run = Run(kino, work, f"speed-{count}", steps=14, network=MINI)
        run.run(count)
        alone = alone or run.seconds()
        print(f"    {count} processes: a step takes {run.seconds():.2f} s, {alone / run.seconds():.2f} times as fast as "
              f"one; {os.cpu_count()} cores", flush=True)


def difference(found, expected, steps):
    return max(abs(found[step] - expected[step]) / expected[step] for step in steps)


def check_kills(kino, work, count, kills, draw):
    whole = Run(kino, work, f"whole-{count}", minutes=0.02)
    begin = time.time()
    whole.run(count)
    took = time.time() - begin
    done, runs, equal = 0, 0, 0
    while done < kills:
        broken = Run(kino, work, f"broken-{count}-{runs}", minutes=0.02)
        while True:
            processes = broken.start(count)
            deadline = time.time() + draw.uniform(0, took / 2)
            while time.time() < deadline and any(process.poll() is None for process in processes):
                time.sleep(0.02)
            if all(process.poll() is not None for process in processes):
                if all(process.returncode == 0 for process in processes):
                    break
                sys.exit(processes[0].stderr.read())
            # One of them, or all at once, as a power cut would.
            for process in ([draw.choice(processes)] if draw.random() < 0.5 else processes):
                process.send_signal(signal.SIGKILL)
            for process in processes:
                try:
                    process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    # One that has met nobody yet goes on waiting, until its launcher ends it.
                    process.kill()
                    if "waits for the others" not in process.communicate()[1]:
                        sys.exit("a process did not notice within a minute that another was gone")
            done += 1
        runs += 1
        equal += broken.bytes() == whole.bytes()
        shutil.rmtree(broken.output)
    report(f"{count} process{'es' if count > 1 else ''}, killed {done} times in {runs} runs", equal == runs,
           f"{equal} end with the bytes of an unbroken run")


def main():
    arguments = sys.argv[1:]
    kills = int(arguments[arguments.index("--kills") + 1]) if "--kills" in arguments else 5
    kino = arguments[0] if arguments and not arguments[0].startswith("-") else str(ROOT / ".build/release/kino")
    draw = random.Random(5)
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        start = Run(kino, work, "ae", steps=2, network=BUCKETS + AUTOENCODER)
        for more in ([], ["--export", str(work / "vae")]):
            subprocess.run([kino, "train", str(start.file), *more], check=True, capture_output=True)

        if "--hosts" in arguments:
            check_hosts(kino, work)
            sys.exit(failed)
        if "--speed" in arguments:
            check_speed(kino, work)
            sys.exit(failed)
        one, two = Run(kino, work, "one"), Run(kino, work, "two")
        one.run(1)
        two.run(2)
        expected = one.losses()
        report("two processes", (far := difference(two.losses(), expected, range(1, STEPS + 1))) < 1e-4,
               f"losses of {STEPS} steps within {far:.1e} of one process")
        print(f"    a step takes {one.seconds() * 1000:.1f} ms by one, {two.seconds() * 1000:.1f} ms by two")

        for victim in (1, 0):
            lost = Run(kino, work, f"lost-{victim}", minutes=0.02)
            processes = lost.start(2)
            lost.wait_for(60)
            processes[victim].kill()
            begin = time.time()
            said = processes[1 - victim].communicate()[1].strip().splitlines()[-1]
            processes[victim].communicate()
            report(f"process {victim} killed", time.time() - begin < 60 and "start them again" in said,
                   f"after {time.time() - begin:.1f} s the other ended with {processes[1 - victim].returncode}: {said}")
            for count in (1, 3):
                again = Run(kino, work, f"lost-{victim}-{count}")
                shutil.copytree(lost.output, again.output)
                again.run(count)
                far = difference(again.losses(), expected, range(1, STEPS + 1))
                report(f"{count} of them go on", far < 1e-4, f"losses within {far:.1e} of one process")
        for count in (1, 2):
            check_kills(kino, work, count, kills, draw)
    sys.exit(failed)


main()
