#!/usr/bin/env python3
# figure: 100 models: threads and idle CPU; 10,000 tenants x 1,000 models: CPU per request, ready time
# seconds: 125
"""Many of everything.

(a) 100 ONNX models (small LSTMs whose files all differ, so that nothing is shared) loaded on one CPU:
    threads of the process beside those with one model, and CPU while nobody asks.
(b) 10,000 tenants, each with a key, and 1,000 synthetic models (which load in no time): CPU of the
    server per request at a fixed rate (h2load, HTTP/1.1, one of the last tenants and models) against
    a server with ten tenants and ten models; and the time until ready, beyond that of a server with
    ten tenants and the same 1,000 models. Every request must be a success by the server's counters.
"""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import time
import urllib.request

import onnx
import yaml

from lib import figures, peers, programs
from support import perseus

BLOCKS, RATE, SECONDS, IDLE_SECONDS = 10, 5000, figures.seconds(4), figures.seconds(10)
HUNDRED, TENANTS, MODELS = figures.count(100, 5), 10000, 1000
STARTS = figures.count(5)
perseus.START_SECONDS = 300  # 100 conversions, one at a time


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def write_different(folder, n):
    """Files with the same network, none like another: path by name."""
    _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", "lstm_256", "--dir", folder])
    if code != 0:
        raise RuntimeError(f"perseus zoo ended with {code}")
    model, paths = onnx.load(os.path.join(folder, "lstm_256.onnx")), {}
    for i in range(n):
        model.producer_name = f"number {i}"
        paths[f"m{i}"] = os.path.join(folder, f"m{i}.onnx")
        onnx.save(model, paths[f"m{i}"])
    return paths


def idle(folder, paths):
    """(threads, share of a CPU that a server with these models takes while nobody asks)."""
    with perseus.Server(models=paths, tenants=[{"name": "a"}],
                        config={"cpus": str(programs.SERVER_CPU), "cache": folder}) as s:
        time.sleep(2)  # what start-up leaves behind
        before = peers.cpu_seconds([s.process.pid])
        time.sleep(IDLE_SECONDS)
        used = peers.cpu_seconds([s.process.pid]) - before
        return threads(s.process.pid), used / IDLE_SECONDS


def hundred():
    with tempfile.TemporaryDirectory() as folder:
        paths = write_different(folder, HUNDRED)
        one, _ = idle(folder, {"m0": paths["m0"]})
        many, share = idle(folder, paths)
    figures.row(f"threads with {HUNDRED} models", str(many), f"{one} (with one model)", many / one,
                None, None, "<= 1", "met" if many <= one else "missed")
    figures.row(f"idle CPU with {HUNDRED} models", f"{100 * share:.3f} %", "1 %", 100 * share, None,
                None, "< 1 %", "met" if share < 0.01 else "missed", f"over {IDLE_SECONDS} s")


def write_config(folder, tenants, models):
    path = pathlib.Path(folder, f"{tenants}-{models}.yaml")
    rows = [{"name": f"t{i}", "keys": ["sha256:" + hashlib.sha256(f"key{i}".encode()).hexdigest()]}
            for i in range(tenants)]
    path.write_text(yaml.dump({
        "cpus": str(programs.SERVER_CPU), "lanes": 1, "cache": str(folder), "grpc": "off",
        "metrics": "off", "tenants": rows,
        "models": [{"name": f"m{i}", "path": f"m{i}.synthetic.yaml"} for i in range(models)]},
        Dumper=yaml.CSafeDumper))
    return path


class Started:
    """A server from a file of its own; seconds from start to ready."""

    def __init__(self, path):
        read_fd, write_fd = os.pipe()
        begin = time.monotonic()
        self.process = subprocess.Popen(
            [programs.PERSEUS, "serve", "--config", path, "--listen", "127.0.0.1:0", "--ready-fd",
             str(write_fd)], pass_fds=[write_fd], stderr=subprocess.DEVNULL)
        os.close(write_fd)
        with os.fdopen(read_fd) as f:
            ready = json.loads(f.read() or '{"error": "no ready line"}')
        self.seconds = time.monotonic() - begin
        if "error" in ready:
            self.process.wait()
            raise RuntimeError(f"perseus serve: {ready['error']}")
        self.http = "http://" + ready["http"]

    def succeeded(self, model, key):
        request = urllib.request.Request(f"{self.http}/v2/models/{model}/stats",
                                         headers={"Authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request) as answer:
            stats = json.loads(answer.read())
        return stats["model_stats"][0]["inference_stats"]["success"]["count"]

    def stop(self):
        self.process.terminate()
        if self.process.wait() != 0:
            raise RuntimeError("perseus serve failed")


def per_request(server, folder, model, key):
    """CPU seconds of the server per request."""
    body = pathlib.Path(folder, "body")
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, 256], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 1024}}],
                       "parameters": {"binary_data_output": True}}).encode()
    body.write_bytes(head + struct.pack("<256f", *([0.5] * 256)))
    counted, before = server.succeeded(model, key), peers.cpu_seconds([server.process.pid])
    n, _ = peers.h2load(f"{server.http}/v2/models/{model}/infer", "--h1", "-c", 4, "--rps",
                        RATE // 4, "-d", body, seconds=SECONDS,
                        headers=(f"authorization: Bearer {key}",
                                 f"inference-header-content-length: {len(head)}"))
    used = peers.cpu_seconds([server.process.pid]) - before
    counted = server.succeeded(model, key) - counted
    if not n <= counted <= n + 4:  # as many may be under way at the end
        raise RuntimeError(f"h2load had {n} answers, the server counts {counted}")
    return used / n


def ready_seconds(path):
    server = Started(path)
    server.stop()
    return server.seconds


def registered():
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, 256))],
                              outputs=[programs.tensor("y", shape=(-1, 256))], mean="0ms")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(MODELS):
            pathlib.Path(folder, f"m{i}.synthetic.yaml").write_text(yaml.safe_dump(spec))
        all_of_it, few_tenants = (write_config(folder, n, MODELS) for n in (TENANTS, 10))
        with figures.part("ready with 10,000 tenants"):
            ready(all_of_it, few_tenants)
        many, few = Started(all_of_it), Started(write_config(folder, 10, 10))
        try:
            found, *disturbed = figures.rounds(
                {"many": lambda _: per_request(many, folder, f"m{MODELS - 7}", f"key{TENANTS - 7}"),
                 "few": lambda _: per_request(few, folder, "m3", "key3")}, BLOCKS, "CPU (s)")
        finally:
            few.stop()
            many.stop()
    figures.ratio_row("CPU per request, 10,000 tenants x 1,000 models",
                      figures.paired(found, "many", "few", *disturbed), "us", 1e6, at_most=1.05,
                      note=f"peer: ten tenants, ten models; at {RATE}/s")


def ready(all_of_it, few_tenants):
    found, _, _ = figures.rounds({"many": lambda _: ready_seconds(all_of_it),
                                  "few": lambda _: ready_seconds(few_tenants)}, STARTS, "ready (s)")
    more, low, high = figures.mean_interval([a - b for a, b in zip(found["many"], found["few"])])
    figures.row("ready: 10,000 tenants x 1,000 models", f"{figures.median(found['many']):.2f} s",
                f"{figures.median(found['few']):.2f} s", more, low, high, "< 2 s more",
                figures.verdict(low, high, at_most=2),
                "peer: ten tenants, the same models; ratio column: seconds more")


for name, what in (("100 models", hundred), ("10,000 tenants", registered)):
    with figures.part(name):
        what()
figures.finish()
