#!/usr/bin/env python3
# figure: six tenants' CNNs on two CPUs: one Perseus, a process per model, MLServer
# seconds: 1500
"""Sharing pays. Six tenants, each with one CNN of the zoo, bursty arrivals (a fifth of the time at
four times the mean rate, bursts of 1 s). The SLA of each is p95 <= 5 x the time that its batch of one
takes alone on one CPU, measured and fixed before anything else. The load ray is fixed, too: each
tenant asks for the same share of a CPU's time. The figure is the largest scale of that ray, in shares
of both CPUs, at which all six SLAs hold over a run, found by bisection over a grid of 2.5 % steps;
each system in interleaved blocks.

Ours: one server with all six models. Peers: one server process per model on both CPUs, (i) with the
engine's default threads (wide runs on both CPUs, pools that spin), (ii) with one thread each and no
spinning; the same program serves them, each process with one model and no knowledge of the others.
Beside it: MLServer with the engine's Python package; it has no binary tensors over HTTP, so all of
its requests are JSON. Generator and servers share the two CPUs, as on a small machine.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

import yaml

from lib import figures, peers, programs, scene
from support.perseus import Server

NETWORKS = ("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "resnet18", "efficientnet_b0",
            "googlenet")
SECONDS, BLOCKS, STEP, LOW, HIGH = 12, 4, 0.025, 0.05, 1.2
CPUS = 2


def write_models(folder):
    for name in NETWORKS:
        _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", name, "--dir", folder])
        if code != 0:
            raise RuntimeError(f"perseus zoo ended with {code}")
    return {name: os.path.join(folder, f"{name}.onnx") for name in NETWORKS}


def alone(paths, cache):
    """Milliseconds of a batch of one on one CPU, the median of runs."""
    found = {}
    for name, path in paths.items():
        result = programs.bench(path, 3, cache)
        found[name] = result["latency"]["p50"]["value_ns"] / 1e6
        figures.say(f"  {name} alone: {found[name]:.1f} ms; SLA p95 <= {5 * found[name]:.0f} ms")
    return found


class System:
    """Something that serves the six: `urls` by network and, for ours, keys."""

    def __init__(self, name, urls, keys=None, json_tensors=False):
        self.name, self.urls, self.keys, self.json = name, urls, keys or {}, json_tensors

    def holds(self, times, scale, seed):
        """Whether every tenant's p95 is inside its SLA at this scale of the ray."""
        tenants = []
        for name, ms in times.items():
            rate = scale * CPUS / len(times) / (ms / 1000)
            tenants.append({"name": name, "url": self.urls[name], "model": name, "rate": rate,
                            "arrival": "bursts", "inputs": 2, "json_tensors": self.json,
                            "sla": f"p95<={5 * ms:.3f}ms", "connections": 64,
                            **({"api_key": self.keys[name]} if name in self.keys else {})})
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            yaml.safe_dump({"url": self.urls[NETWORKS[0]], "duration": f"{SECONDS}s",
                            "warmup": "1s", "seed": seed, "tenants": tenants}, f)
            f.flush()
            out, _, code = programs.timed([programs.PERSEUS, "load", "--file", f.name, "--json"])
        if code not in (0, 1):
            raise RuntimeError(f"perseus load ended with {code}")
        found = json.loads(out)["tenants"]
        return all(t["latency"]["p95_ms"] is not None and not t["latency"].get("lost")
                   and t["latency"]["p95_ms"] <= 5 * times[t["tenant"]] for t in found)

    def scale(self, times, seed):
        low, high = round(LOW / STEP), round(HIGH / STEP)
        while high - low > 1:
            middle = (low + high) // 2
            if self.holds(times, middle * STEP, seed):
                low = middle
            else:
                high = middle
        return low * STEP


@contextlib.contextmanager
def ours(paths, times, cache):
    tenants = {n: {"models": [n], "sla": f"p95<={5 * times[n]:.3f}ms"} for n in paths}
    with scene.scene(paths, tenants, {"width": "auto", "cache": cache}, cpus="0-1") as s:
        yield System("perseus", {n: s.server.http for n in paths}, s.keys)


@contextlib.contextmanager
def apart(paths, cache, name, config):
    with contextlib.ExitStack() as stack:
        urls = {}
        for n, path in paths.items():
            server = stack.enter_context(Server(
                models={n: path}, tenants=[{"name": "default", "queue_limit": 100000}],
                config={"cpus": "0-1", "cache": cache, **config}))
            urls[n] = server.http
        yield System(name, urls)


@contextlib.contextmanager
def mlserver(paths, folder):
    port, root = peers.free_port(), pathlib.Path(folder, "mlserver")
    for name, path in paths.items():
        (root / name).mkdir(parents=True)
        (root / name / "model-settings.json").write_text(json.dumps(
            {"name": name, "implementation": "ort_runtime.OnnxModel",
             "parameters": {"uri": path}}))
    (root / "settings.json").write_text(json.dumps(
        {"host": "127.0.0.1", "http_port": port, "grpc_port": peers.free_port(),
         "metrics_port": peers.free_port(), "parallel_workers": 0, "debug": False}))
    env = {**os.environ, "PYTHONPATH": str(peers.SOURCE)}
    with open(root / "log", "wb") as log, peers.running(subprocess.Popen(
            [peers.MADE / "mlserver/bin/mlserver", "start", root], stdout=log, stderr=log,
            env=env)) as p:
        end = time.monotonic() + 60
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5)
                break
            except OSError:
                if time.monotonic() > end or p.poll() is not None:
                    raise RuntimeError((root / "log").read_text()[-2000:])
                time.sleep(0.2)
        yield System("mlserver", {n: f"http://127.0.0.1:{port}" for n in paths}, json_tensors=True)


def show(name, r, goal):
    middle, low, high = figures.log_interval(r["ratios"])
    figures.row(f"six tenants' scale: {name}", f"{figures.median(r['ours']):.3f}",
                f"{figures.median(r['peer']):.3f}", middle, low, high, f">= {goal}" if goal else "",
                figures.verdict(low, high, at_least=goal),
                figures.steal_note(r["repeated"], r["disturbed"]))


def main():
    seeds = iter(range(1, 10000))
    with tempfile.TemporaryDirectory() as folder:
        cache = os.path.join(folder, "cache")
        paths = write_models(folder)
        times = alone(paths, cache)
        for name, goal, system in (
                ("against a process per model, default threads", 1.5,
                 lambda: apart(paths, cache, "default", {"width": "wide", "lane_spin": "1ms"})),
                ("against a process per model, one thread, no spinning", 1.15,
                 lambda: apart(paths, cache, "single", {"width": "narrow", "lanes": 1})),
                ("against MLServer (JSON tensors)", None, lambda: mlserver(paths, folder))):
            # The two systems never run at the same time: each block starts its own.
            def run(make):
                with make() as s:
                    return s.scale(times, next(seeds))

            r = figures.interleave(lambda: run(lambda: ours(paths, times, cache)),
                                   lambda: run(system), BLOCKS, name)
            show(name, r, goal)


main()
