#!/usr/bin/env python3
# figure: six tenants' CNNs on two CPUs: one Perseus, a process per model, MLServer
# seconds: 700
# long: six tenants on three systems; the hour is full
"""Sharing pays. Six tenants, each with one CNN of the zoo, bursty arrivals (a fifth of the time at
four times the mean rate, bursts of 1 s). The SLA of each is p95 <= 5 x the time that its batch of one
takes alone on one CPU, measured and fixed before anything else; what is refused or lost counts as
never answered. The load ray is fixed, too: each tenant asks for the same share of a CPU's time. The
figure is the largest scale of that ray, in shares of both CPUs, at which all six SLAs hold over a
run: by bisection on a grid of 0.025, from the second block on beginning at what the system had in the
block before. All systems of a block meet the same arrival instants at the same scale (one seed for
each block). Generator and servers share the two CPUs, as on a small machine. No two systems are asked
at the same time; those that wait sleep.

Ours: one server with all six models, and two narrow lanes for each CPU, so that a short run shares a
CPU with a long one instead of waiting for it (one lane for each CPU, and automatic width still more,
held less in a first try). Peers, each one process per model, with no knowledge of the others
and not pinned, first come first served, the models' own files: (i) ONNX Runtime with the threads and
the spinning that it has when nobody sets them (peers/ort-default.c), (ii) one thread each and no
spinning. The same program serves both, so that the front end makes no difference. Beside them, in one
block: MLServer with the engine's Python package, which sets nothing; it has no binary tensors over
HTTP, so all of its requests are JSON. It runs without its pool of worker processes, which does not
start with the event loop of its own dependencies (uvloop under Python 3.11).
"""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time
import urllib.request

import numpy as np
import onnxruntime
import yaml

from lib import figures, peers, programs, scene
from support import perseus

NETWORKS = ("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "resnet18", "efficientnet_b0",
            "googlenet")
SECONDS, BLOCKS, MLSERVER_BLOCKS = 3 if figures.QUICK else 9, 5, 1
STEP, LOWEST, HIGHEST = 0.025, 2, 6 if figures.QUICK else 48  # ends in steps
CPUS = 2
LANES = 2 * CPUS
SHAPE, CLOSE = (1, 3, 224, 224), 1e-3  # relative error: optimised graphs add in different order


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
        result = programs.bench(path, figures.seconds(3), cache)
        found[name] = result["latency"]["p50"]["value_ns"] / 1e6
        figures.say(f"  {name} alone: {found[name]:.1f} ms; SLA p95 <= {5 * found[name]:.0f} ms")
    return found


def make_references(paths):
    """For each network a request as JSON, the answer of ONNX Runtime's official package to it, and the
    name of the input."""
    x = np.random.default_rng(1).random(SHAPE, dtype=np.float32)
    found = {}
    for name, path in paths.items():
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        (tensor,) = session.get_inputs()
        request = {"inputs": [{"name": tensor.name, "datatype": "FP32", "shape": list(x.shape),
                               "data": x.ravel().tolist()}]}
        found[name] = (json.dumps(request).encode(), session.run(None, {tensor.name: x})[0].ravel(),
                       tensor.name)
    return found


def describe(t):
    p95 = "never" if t["p95"]["infinite"] else f"{t['p95']['value_ms']:.0f} ms"
    return f"{t['tenant']} {p95} ({t['outcomes']['ok']} of {t['scheduled']} answered)"


class System:
    """Something that serves the six: `urls` by network and, for ours, keys."""

    def __init__(self, name, urls, keys=None, json_tensors=False, guess=None):
        self.name, self.urls, self.keys = name, urls, keys or {}
        self.json, self.last = json_tensors, guess

    def check(self, references):
        """One answer of every network against the reference."""
        for name, (request, want, _) in references.items():
            head = {"Content-Type": "application/json"}
            if name in self.keys:
                head["Authorization"] = f"Bearer {self.keys[name]}"
            with urllib.request.urlopen(urllib.request.Request(
                    f"{self.urls[name]}/v2/models/{name}/infer", request, head)) as answer:
                got = np.ravel(json.loads(answer.read())["outputs"][0]["data"])
            error = np.linalg.norm(got - want) / np.linalg.norm(want)
            if not error < CLOSE:
                raise RuntimeError(f"{name} differs from the reference by {error:.2g}, relatively")

    def offer(self, times, scale, seed):
        tenants = []
        for name, ms in times.items():
            tenants.append({"name": name, "url": self.urls[name], "model": name,
                            "rate": scale * CPUS / len(times) / (ms / 1000), "arrival": "bursts",
                            "inputs": 2, "json_tensors": self.json,
                            "sla": f"p95<={5 * ms:.3f}ms",
                            **({"api_key": self.keys[name]} if name in self.keys else {})})
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as f:
            yaml.safe_dump({"url": self.urls[NETWORKS[0]], "duration": f"{SECONDS}s",
                            "warmup": "1s", "timeout": "5s", "seed": seed, "connections": 64,
                            "tenants": tenants}, f)
            f.flush()
            out, _, code = programs.timed([programs.PERSEUS, "load", "--file", f.name, "--json"])
        if code not in (0, 1):
            raise RuntimeError(f"perseus load ended with {code}")
        return json.loads(out)["tenants"]

    def holds(self, times, scale, seed):
        """Whether every tenant's p95 is inside its SLA at this scale of the ray."""
        late = [describe(t) for t in self.offer(times, scale, seed)
                if t["p95"]["infinite"] or t["p95"]["value_ms"] > 5 * times[t["tenant"]]]
        figures.say(f"    {self.name} at {scale:.3f}: "
                    + ("late: " + ", ".join(late) if late else "holds"))
        return not late

    def scale(self, times, block):
        steps = figures.search(lambda n: self.holds(times, n * STEP, block + 1),
                               LOWEST, HIGHEST, self.last)
        self.last = max(steps, LOWEST)
        return steps * STEP


@contextlib.contextmanager
def ours(paths, times, cache):
    tenants = {n: {"models": [n], "sla": f"p95<={5 * times[n]:.3f}ms"} for n in paths}
    with scene.scene(paths, tenants, {"lanes": LANES, "cache": cache}, cpus="0-1") as s:
        yield System("ours", {n: s.server.http for n in paths}, s.keys)


def build(name):
    """A library of bench/peers."""
    made = peers.MADE / f"{name}.so"
    peers.MADE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-std=gnu17", "-shared", "-fPIC", "-o", made,
                    peers.SOURCE / f"{name}.c", "-ldl"], check=True)
    return str(made)


@contextlib.contextmanager
def apart(paths, default_threads):
    """One process per model, not pinned; each opens the model's own file."""
    env = {"LD_PRELOAD": build("unpinned"), "PS_PEER_ORT_LIBRARY": perseus.ORT_LIBRARY}
    library = build("ort-default") if default_threads else perseus.ORT_LIBRARY
    with contextlib.ExitStack() as stack:
        servers = {n: stack.enter_context(perseus.Server(
            models={n: path}, tenants=[{"name": "default", "queue_limit": 100000}], env=env,
            config={"cpus": "0-1", "lanes": 1, "cache": "", "library": library}))
            for n, path in paths.items()}
        system = System("default" if default_threads else "single",
                        {n: s.http for n, s in servers.items()})
        system.servers = list(servers.values())
        yield system


def check_threads(default, single):
    """The peers are what they are said to be: no lane is pinned, and the engine has a team of as many
    threads as there are CPUs (of which the lane is one) or none."""
    for with_team, without in zip(default.servers, single.servers):
        names = [sorted((t / "comm").read_text().strip() for t in tasks(s))
                 for s in (with_team, without)]
        pinned = sum(len(os.sched_getaffinity(int(t.name))) < CPUS
                     for s in (with_team, without) for t in tasks(s)
                     if (t / "comm").read_text().startswith("ps-lane"))
        if pinned or len(names[0]) != len(names[1]) + CPUS - 1:
            raise RuntimeError(f"the peers' threads are not as they should be: {names[0]} and"
                               f" {names[1]}, {pinned} pinned")


def tasks(server):
    return list(pathlib.Path(f"/proc/{server.process.pid}/task").iterdir())


@contextlib.contextmanager
def mlserver(paths, references, folder):
    port, root = peers.free_port(), pathlib.Path(folder, "mlserver")
    for name, path in paths.items():
        (root / name).mkdir(parents=True)
        (root / name / "model-settings.json").write_text(json.dumps(
            {"name": name, "implementation": "ort_runtime.OnnxModel",
             "inputs": [{"name": references[name][2], "datatype": "FP32", "shape": [-1, *SHAPE[1:]]}],
             "parameters": {"uri": path}}))
    (root / "settings.json").write_text(json.dumps(
        {"host": "127.0.0.1", "http_port": port, "grpc_port": peers.free_port(),
         "metrics_port": peers.free_port(), "parallel_workers": 0, "debug": False}))
    program = peers.MADE / "mlserver/bin/mlserver"
    if not program.exists():
        raise RuntimeError(f"no {program}: run scripts/setup bench")
    env = {**os.environ, "PYTHONPATH": str(peers.SOURCE)}
    with open(root / "log", "wb") as log, peers.running(subprocess.Popen(
            [program, "start", root], stdout=log, stderr=log, env=env)) as p:
        end = time.monotonic() + 120
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/health/ready", timeout=5)
                break
            except OSError:
                if time.monotonic() > end or p.poll() is not None:
                    raise RuntimeError((root / "log").read_text()[-2000:])
                time.sleep(0.2)
        yield System("mlserver", {n: f"http://127.0.0.1:{port}" for n in paths}, json_tensors=True,
                     guess=2 * LOWEST)


PEERS = (("default", "a process per model, default threads", 1.5),
         ("single", "a process per model, one thread, no spinning", 1.15))


def show(what, ours, peer, disturbed, note="", **goal):
    """The row of one peer. Where not even the lowest scale of the grid held it counts as half of it
    for us and whole for a peer: never in our favour."""
    floor = LOWEST * STEP
    if not all(ours) or not all(peer):
        note = "; ".join(x for x in (note, f"not even {floor} held in"
                                     f" {sum(not x for x in ours)} blocks of ours (taken as half),"
                                     f" {sum(not x for x in peer)} of the peer (taken as whole)") if x)
    found = {"ours": [x or floor / 2 for x in ours], "peer": [x or floor for x in peer]}
    figures.ratio_row(f"six tenants' scale: against {what}",
                      figures.paired(found, "ours", "peer", *disturbed), "", note=note, **goal)


def beside_mlserver(paths, times, references, folder, mine):
    with mlserver(paths, references, folder) as system:
        system.check(references)
        theirs, *disturbed = figures.rounds({"mlserver": lambda i: system.scale(times, i)},
                                            MLSERVER_BLOCKS, "scale")
    theirs = theirs["mlserver"]
    show("MLServer", mine[:len(theirs)], theirs, disturbed,
         "JSON tensors; one block, no interval")


def main():
    with tempfile.TemporaryDirectory() as folder:
        cache = os.path.join(folder, "cache")
        paths = write_models(folder)
        times = alone(paths, cache)
        references = make_references(paths)
        with ours(paths, times, cache) as us, apart(paths, True) as default, \
                apart(paths, False) as single:
            systems = {"ours": us, "default": default, "single": single}
            check_threads(default, single)
            for s in systems.values():
                s.check(references)
                s.offer(times, 0.1, 999)  # what the first runs of a session cost
            found, *disturbed = figures.rounds(
                {n: lambda i, s=s: s.scale(times, i) for n, s in systems.items()}, BLOCKS, "scale")
        for peer, what, goal in PEERS:
            show(what, found["ours"], found[peer], disturbed, at_least=goal)
        with figures.part("six tenants' scale: against MLServer"):
            beside_mlserver(paths, times, references, folder, found["ours"])


main()
figures.finish()
