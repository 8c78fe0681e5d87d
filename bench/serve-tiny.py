#!/usr/bin/env python3
# figure: a tiny model beside nginx (HTTP), nghttpd and an asynchronous gRPC C++ server (gRPC)
# seconds: 130
"""What the front end costs. A synthetic model that takes no time, 1 KiB in and the same out; the server
has CPU 0, the client CPU 1, and so has each peer.

HTTP: binary infer from wrk (16 connections) against nginx (one worker) returning 1 KiB to the same
POST: requests per second; and, at a fixed 20,000/s from h2load over HTTP/1.1, CPU of the server per
request. gRPC: unary ModelInfer from h2load (4 connections x 16 streams) against nghttpd serving
1 KiB to the same load, and against an asynchronous C++ server (libgrpc++) that echoes the message.
h2load sees HTTP statuses only: the server's own counters must show every request as a success.
"""
import json
import pathlib
import struct
import tempfile

from lib import figures, peers, programs

SECONDS, BLOCKS, RATE = figures.seconds(2), 10, 20000
GRPC_REQUESTS = figures.count(40000, 5000)
LUA = """wrk.method = "POST"
wrk.headers["Inference-Header-Content-Length"] = "%d"
local f = io.open("%s", "rb")
wrk.body = f:read("*a")
f:close()
"""


class Ours:
    def __init__(self, server, folder):
        self.server = server
        tensor = struct.pack("<256f", *(i / 256 for i in range(256)))
        head = json.dumps({"inputs": [{"name": "x", "shape": [1, 256], "datatype": "FP32",
                                       "parameters": {"binary_data_size": 1024}}],
                           "parameters": {"binary_data_output": True}},
                          separators=(",", ":")).encode()
        self.body = pathlib.Path(folder, "body")
        self.body.write_bytes(head + tensor)
        self.header = f"inference-header-content-length: {len(head)}"
        self.script = pathlib.Path(folder, "post.lua")
        self.script.write_text(LUA % (len(head), self.body))
        self.message = peers.grpc_body(f"{folder}/message", peers.infer_message(
            "tiny", "x", (1, 256), tensor))
        self.url = f"{server.http}/v2/models/tiny/infer"
        self.grpc_url = f"http://{server.ready['grpc']}/inference.GRPCInferenceService/ModelInfer"
        self.pids = [server.process.pid]

    def succeeded(self):
        status, _, body = self.server.get("/v2/models/tiny/stats")
        return json.loads(body)["model_stats"][0]["inference_stats"]["success"]["count"]

    def counted(self, ask, unsure=0):
        """Runs `ask`, which returns (requests answered, what else); the server must have counted as
        many successes (a client that ends by the clock leaves up to `unsure` under way)."""
        before = self.succeeded()
        try:
            n, result = ask()
        except figures.Disturbed as e:
            self.server.asked["tiny"].add(e.answered, unsure)
            raise
        found = self.succeeded() - before
        self.server.asked["tiny"].add(n, unsure)
        if not n <= found <= n + unsure:
            raise RuntimeError(f"clients had {n} answers, the server counts {found}")
        return result


def http_rate(url, script):
    n = peers.wrk(url, SECONDS, script)
    return n, n / SECONDS


def cpu(url, pids, *args, headers=()):
    before = peers.cpu_seconds(pids)
    n, took = peers.h2load(url, "--h1", "-c", 4, "--rps", RATE // 4, *args, seconds=SECONDS,
                           headers=headers)
    if n < 0.9 * RATE * took and not figures.QUICK:
        raise figures.Disturbed(f"h2load sent {n / took:.0f}/s, not {RATE}/s", n)
    return n, (peers.cpu_seconds(pids) - before) / n


def grpc_rate(url, body):
    n, took = peers.h2load(url, "-c", 4, "-m", 16, "-d", body, requests=GRPC_REQUESTS,
                           headers=peers.GRPC_HEADERS)
    return n, n / took


def check_echo(server):
    for seed in (1, 2):
        values = [(i * seed % 256) / 256 for i in range(256)]
        status, _, body = server.infer("tiny", [{"name": "x", "datatype": "FP32",
                                                 "shape": [1, 256], "data": values}])
        if status != 200 or body["outputs"][0]["data"] != values:
            raise RuntimeError(f"the echo answers {status}: {body}")
    server.asked["tiny"].add(2)


def main():
    peers.need("wrk", "h2load", "nghttpd", "nginx", "g++")
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, 256))],
                              outputs=[programs.tensor("y", shape=(-1, 256))], mean="0ms",
                              echo=True)
    with tempfile.TemporaryDirectory() as folder, programs.serve({"tiny": spec}) as server:
        ours = Ours(server, folder)
        check_echo(server)
        with figures.part("tiny model over HTTP"), peers.nginx(folder) as (url, pids):
            r = figures.interleave(
                lambda: ours.counted(lambda: http_rate(ours.url, ours.script), unsure=16),
                lambda: http_rate(url, ours.script)[1], BLOCKS, "HTTP requests/s")
            figures.ratio_row("tiny model over HTTP", r, "/s", note="peer: nginx", at_least=0.8)
        with figures.part("CPU per request over HTTP"), peers.nginx(folder) as (url, pids):
            r = figures.interleave(
                lambda: ours.counted(lambda: cpu(ours.url, ours.pids, "-d", ours.body,
                                                 headers=(ours.header,)), unsure=4),
                lambda: cpu(url, pids, "-d", ours.body, headers=(ours.header,))[1], BLOCKS,
                "CPU per request (s)")
            figures.ratio_row(f"CPU per request at {RATE}/s over HTTP", r, "us", 1e6,
                              note="peer: nginx", at_most=1.5)
        for peer, what, least in ((peers.nghttpd, "nghttpd, same POST", 0.3),
                                  (lambda _: peers.grpc_echo(), "libgrpc++, asynchronous echo", 2)):
            with figures.part(f"tiny model over gRPC, {what}"), peer(folder) as (url, _):
                r = figures.interleave(
                    lambda: ours.counted(lambda: grpc_rate(ours.grpc_url, ours.message)),
                    lambda: grpc_rate(url, ours.message)[1], BLOCKS, "gRPC requests/s")
                figures.ratio_row("tiny model over gRPC", r, "/s", note=f"peer: {what}",
                                  at_least=least)


main()
figures.finish()
