#!/usr/bin/env python3
# figure: ResNet-50 served over HTTP against the engine alone, p50 of a closed loop of one
# seconds: 200
"""What HTTP, the dispatcher and a lane add to an inference: closed loop of one, batch 1, binary
tensors, one thread each. The peer is perseus bench on the CPU that the server has. Before the
timing, one answer is compared with that of the official Python package of ONNX Runtime, which reads
the unconverted file."""
import json
import os
import tempfile

import numpy as np
import onnxruntime

from lib import figures, programs

SECONDS, BLOCKS = 6, 10
CLOSE = 1e-3  # relative error: converted and plain graphs add in different order


def check_answer(server, path):
    x = np.random.default_rng(1).random((1, 3, 224, 224), dtype=np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {"input": x})
    head = json.dumps({"inputs": [{"name": "input", "datatype": "FP32", "shape": list(x.shape),
                                   "parameters": {"binary_data_size": x.nbytes}}]}).encode()
    status, _, body = server.get(
        "/v2/models/resnet50/infer", "POST", head + x.tobytes(),
        {"Inference-Header-Content-Length": str(len(head))})
    server.asked["resnet50"].add(1)
    if status != 200:
        raise RuntimeError(f"the server answers {status}: {body[:300]}")
    got = np.array(json.loads(body)["outputs"][0]["data"])
    error = np.linalg.norm(got - want.ravel()) / np.linalg.norm(want)
    if not error < CLOSE:
        raise RuntimeError(f"the answer differs from the reference by {error:.2g}, relatively")
    figures.say(f"  one answer against the reference: relative difference {error:.2g}")


def served(server):
    tenant, _, _, _ = programs.load(server, "resnet50", "--concurrency", 1, "--duration",
                                    f"{SECONDS}s", "--warmup", "0.5s", "--inputs", 4,
                                    "--check-repeats")
    return tenant["latency"]["p50_ms"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        cache = os.path.join(folder, "cache")
        _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", "resnet50", "--dir", folder])
        if code != 0:
            raise RuntimeError(f"perseus zoo ended with {code}")
        path = os.path.join(folder, "resnet50.onnx")
        with programs.serve({"resnet50": path}) as server:
            check_answer(server, path)
            r = figures.interleave(
                lambda: served(server),
                lambda: programs.bench(path, SECONDS, cache)["latency"]["p50"]["value_ns"] / 1e6,
                BLOCKS, "p50 (ms)")
    figures.ratio_row("serve: ResNet-50 over HTTP, p50", r, "ms", at_most=1.05,
                      note="peer: perseus bench, the engine alone on the same CPU")


main()
