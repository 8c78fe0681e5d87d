#!/usr/bin/env python3
# figure: ResNet-50 served over HTTP and gRPC against the engine alone, p50 of a closed loop of one
# seconds: 210
"""What the front end, the dispatcher and a lane add to an inference: closed loop of one, batch 1,
tensors in binary (HTTP) and raw (gRPC), one thread each. The server has CPU 0, the client CPU 1:
perseus load over HTTP, h2load with a log of every request over gRPC. The peer is perseus bench on the
CPU that the server has. All three in each block. Before the timing, one answer of each protocol is
compared with that of the official Python package of ONNX Runtime, which reads the unconverted file;
afterwards the server's counters must be those of the clients.
"""
import json
import os
import statistics
import tempfile

import numpy as np
import onnxruntime
import tritonclient.grpc

from lib import figures, peers, programs

SECONDS, BLOCKS = figures.seconds(2), 24  # short: a CPU's speed drifts within seconds
SHAPE = (1, 3, 224, 224)
CLOSE = 1e-3  # relative error: converted and plain graphs add in different order


def over_http(server, x):
    head = json.dumps({"inputs": [{"name": "input", "datatype": "FP32", "shape": list(x.shape),
                                   "parameters": {"binary_data_size": x.nbytes}}]}).encode()
    status, _, body = server.get(
        "/v2/models/resnet50/infer", "POST", head + x.tobytes(),
        {"Inference-Header-Content-Length": str(len(head))})
    if status != 200:
        raise RuntimeError(f"the server answers {status}: {body[:300]}")
    return np.array(json.loads(body)["outputs"][0]["data"])


def over_grpc(server, x):
    with tritonclient.grpc.InferenceServerClient(server.ready["grpc"]) as client:
        tensor = tritonclient.grpc.InferInput("input", x.shape, "FP32")
        tensor.set_data_from_numpy(x)
        return client.infer("resnet50", [tensor]).as_numpy("output").ravel()


def check_answers(server, path):
    x = np.random.default_rng(1).random(SHAPE, dtype=np.float32)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (want,) = session.run(None, {"input": x})
    for ask in (over_http, over_grpc):
        error = np.linalg.norm(ask(server, x) - want.ravel()) / np.linalg.norm(want)
        server.asked["resnet50"].add(1)
        if not error < CLOSE:
            raise RuntimeError(f"the answer differs from the reference by {error:.2g}, relatively")
        figures.say(f"  one answer against the reference: relative difference {error:.2g}")


def http_ms(server):
    tenant, _, _, _ = programs.load(server, "resnet50", "--concurrency", 1, "--duration",
                                    f"{SECONDS}s", "--warmup", "0.5s", "--inputs", 4,
                                    "--check-repeats")
    return tenant["latency"]["p50_ms"]


def grpc_ms(server, body):
    url = f"http://{server.ready['grpc']}/inference.GRPCInferenceService/ModelInfer"
    n, logged, times = peers.h2load_times(url, SECONDS, "-d", body, headers=peers.GRPC_HEADERS)
    server.asked["resnet50"].add(n, unsure=logged - n + 1)  # one may be under way at the end
    return statistics.median(times[1:])  # the first one opens the connection


def main():
    peers.need("h2load")
    with tempfile.TemporaryDirectory() as folder:
        cache = os.path.join(folder, "cache")
        _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", "resnet50", "--dir", folder])
        if code != 0:
            raise RuntimeError(f"perseus zoo ended with {code}")
        path = os.path.join(folder, "resnet50.onnx")
        tensor = np.random.default_rng(2).random(SHAPE, dtype=np.float32).tobytes()
        body = peers.grpc_body(f"{folder}/message",
                               peers.infer_message("resnet50", "input", SHAPE, tensor))
        with programs.serve({"resnet50": path}) as server:
            check_answers(server, path)
            found, *disturbed = figures.rounds(
                {"http": lambda _: http_ms(server), "grpc": lambda _: grpc_ms(server, body),
                 "alone": lambda _: programs.bench(path, SECONDS, cache)["latency"]["p50"][
                     "value_ns"] / 1e6}, BLOCKS, "p50 (ms)")
    for kind, name in (("http", "HTTP"), ("grpc", "gRPC")):
        figures.ratio_row(f"serve: ResNet-50 over {name}, p50",
                          figures.paired(found, kind, "alone", *disturbed), "ms", at_most=1.03,
                          note="peer: perseus bench, the engine alone on the same CPU")


main()
