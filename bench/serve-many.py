#!/usr/bin/env python3
# figure: 100 models: threads and idle CPU; 10,000 tenants x 1,000 models: CPU per request, ready time
# seconds: 240
"""Many of everything.

(a) 100 ONNX models (a small LSTM each) loaded: threads of the process beside those with one model,
    and CPU while nobody asks, over 20 s.
(b) 10,000 tenants, each with a key, and 1,000 synthetic models registered: CPU of the server per
    request (h2load, HTTP/1.1, at a fixed rate) against a server with ten tenants and the same
    models' files; and how long it takes to be ready beyond what its models' own loading takes (the
    same 1,000 models with ten tenants).
"""
import hashlib
import json
import os
import pathlib
import struct
import subprocess
import tempfile
import time

import yaml

from lib import figures, peers, programs
from support.perseus import Server

BLOCKS, RATE, SECONDS = 10, 2000, 4


def threads(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


def hundred():
    with tempfile.TemporaryDirectory() as folder:
        _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", "lstm_256", "--dir", folder])
        if code != 0:
            raise RuntimeError(f"perseus zoo ended with {code}")
        path = os.path.join(folder, "lstm_256.onnx")
        found = {}
        for n in (1, 100):
            with Server(models={f"m{i}": path for i in range(n)},
                        tenants=[{"name": "a"}], config={"cpus": "0", "cache": folder}) as s:
                time.sleep(2)  # what start-up leaves behind
                before = peers.cpu_seconds([s.process.pid])
                time.sleep(20)
                found[n] = (threads(s.process.pid),
                            (peers.cpu_seconds([s.process.pid]) - before) / 20)
    figures.row("threads with 100 models", str(found[100][0]), f"{found[1][0]} (with one model)",
                found[100][0] / found[1][0], None, None, "<= 1",
                "met" if found[100][0] <= found[1][0] else "missed")
    share = 100 * found[100][1]
    figures.row("idle CPU with 100 models", f"{share:.2f} %", "1 %", share, None, None, "< 1 %",
                "met" if share < 1 else "missed")


def write_config(folder, tenants, models):
    path = pathlib.Path(folder, f"{tenants}.yaml")
    rows = [{"name": f"t{i}", "keys": ["sha256:" + hashlib.sha256(f"key{i}".encode()).hexdigest()]}
            for i in range(tenants)]
    path.write_text(yaml.safe_dump({
        "cpus": "0", "lanes": 1, "cache": str(folder), "grpc": "off", "metrics": "off",
        "models": [{"name": f"m{i}", "path": f"m{i}.synthetic.yaml"} for i in range(models)],
        "tenants": rows}, Dumper=yaml.CSafeDumper))
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
            ready = json.loads(f.read())
        self.seconds = time.monotonic() - begin
        self.http = "http://" + ready["http"]

    def stop(self):
        self.process.terminate()
        if self.process.wait() != 0:
            raise RuntimeError("perseus serve failed")


def per_request(server, folder, key):
    body = pathlib.Path(folder, "body")
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, 256], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 1024}}],
                       "parameters": {"binary_data_output": True}}).encode()
    body.write_bytes(head + struct.pack("<256f", *([0.5] * 256)))
    before = peers.cpu_seconds([server.process.pid])
    n, _ = peers.h2load(f"{server.http}/v2/models/m7/infer", "--h1", "-c", 4, "--rps", RATE // 4,
                        "-d", body, seconds=SECONDS,
                        headers=(f"authorization: Bearer {key}",
                                 f"inference-header-content-length: {len(head)}"))
    return (peers.cpu_seconds([server.process.pid]) - before) / n


def registered():
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, 256))],
                              outputs=[programs.tensor("y", shape=(-1, 256))], mean="0ms")
    with tempfile.TemporaryDirectory() as folder:
        for i in range(1000):
            pathlib.Path(folder, f"m{i}.synthetic.yaml").write_text(yaml.safe_dump(spec))
        few, many = (Started(write_config(folder, n, 1000)) for n in (10, 10000))
        try:
            r = figures.interleave(lambda: per_request(many, folder, "key9876"),
                                   lambda: per_request(few, folder, "key3"), BLOCKS, "CPU (s)")
        finally:
            few.stop()
            many.stop()
    middle, low, high = figures.log_interval(r["ratios"])
    figures.row("CPU per request, 10,000 tenants x 1,000 models",
                f"{1e6 * figures.median(r['ours']):.1f} us", f"{1e6 * figures.median(r['peer']):.1f} us"
                " (ten tenants)", middle, low, high, "<= 1.05",
                figures.verdict(low, high, at_most=1.05),
                figures.steal_note(r["repeated"], r["disturbed"]))
    extra = many.seconds - few.seconds
    figures.row("ready: 10,000 tenants, beside the models' own loading", f"{many.seconds:.2f} s",
                f"{few.seconds:.2f} s (ten tenants)", extra, None, None, "< 2 s more",
                "met" if extra < 2 else "missed", "ratio column: seconds more")


hundred()
registered()
