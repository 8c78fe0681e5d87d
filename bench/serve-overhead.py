#!/usr/bin/env python3
# figure: ResNet-50 served over HTTP against the engine alone, p50 of a closed loop of one
# seconds: 200
"""What HTTP, the dispatcher and a lane add to an inference: closed loop of one, batch 1, binary
tensors, one thread each. The peer is perseus bench on the CPU that the server has."""
import json
import os
import tempfile

from lib import figures, programs

SECONDS, BLOCKS = 6, 10


def bench(path):
    out, _, code = programs.timed([programs.PERSEUS, "bench", path, "--cpus", programs.SERVER_CPU,
                                   "--threads", 1, "--batch", 1, "--duration", f"{SECONDS}s",
                                   "--json"])
    if code != 0:
        raise RuntimeError(f"perseus bench ended with {code}")
    return json.loads(out)["latency"]["p50"]["value_ns"] / 1e6


def served(server):
    tenant, _, _, _ = programs.load(server, "resnet50", "--concurrency", 1, "--duration",
                                    f"{SECONDS}s", "--warmup", "0.5s")
    return tenant["latency"]["p50_ms"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        programs.timed([programs.PERSEUS, "zoo", "write", "resnet50", "--dir", folder])
        path = os.path.join(folder, "resnet50.onnx")
        with programs.serve({"resnet50": path}) as server:
            r = figures.interleave(lambda: served(server), lambda: bench(path), BLOCKS, "p50 (ms)")
    figures.ratio_row("serve: ResNet-50 over HTTP, p50", r, "ms", at_most=1.05,
                      note="peer: perseus bench, the engine alone on the same CPU")


main()
