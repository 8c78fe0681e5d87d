#!/usr/bin/env python3
# figure: perseus load as a client beside wrk (HTTP) and h2load (gRPC): closed loops and top rates
# seconds: 95
"""Closed loops of the same number of connections, each client alone on CPU 1, the server on CPU 0.

Agreement: a model that takes 2 ms on one lane, 4 connections: both clients must find the same
throughput, that of the server, within 3 %. Top rate over HTTP: nginx answers every infer with the
same Open Inference reply of 1 KiB; both clients as fast as they can, 16 connections, one thread.
perseus load reads and checks each answer, stamps four instants and keeps a record; wrk does not. Top
rate over gRPC: our own server with a model that takes no time; h2load with the same connections and
streams. The server's counters must agree with what both were answered.
"""
import json
import pathlib
import struct
import tempfile

from lib import figures, peers, programs

SECONDS, BLOCKS = figures.seconds(1), 10
CONNECTIONS, GRPC_CONNECTIONS, STREAMS = 16, 4, 16
COLUMNS = 256
LUA = """wrk.method = "POST"
wrk.headers["Inference-Header-Content-Length"] = "%d"
local f = io.open("%s", "rb")
wrk.body = f:read("*a")
f:close()
"""
METADATA = {"name": "m", "versions": ["1"], "platform": "nginx",
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, COLUMNS]}],
            "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, COLUMNS]}]}
REPLY = {"model_name": "m", "model_version": "1",
         "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, COLUMNS],
                      "parameters": {"binary_data_size": 4 * COLUMNS}}]}


def write_request(folder):
    """The body that perseus load sends, and wrk's script for it."""
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, COLUMNS], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 4 * COLUMNS}}],
                       "parameters": {"binary_data_output": True}}, separators=(",", ":")).encode()
    body, script = pathlib.Path(folder, "body"), pathlib.Path(folder, "post.lua")
    body.write_bytes(head + struct.pack(f"<{COLUMNS}f", *(i / COLUMNS for i in range(COLUMNS))))
    script.write_text(LUA % (len(head), body))
    return script


def locations():
    """nginx in the place of an Open Inference server."""
    reply = json.dumps(REPLY, separators=(",", ":"))
    # 0x20202020 is a number like any other
    return (f"location = /v2/models/m {{ default_type application/json;"
            f" return 200 '{json.dumps(METADATA)}'; }}\n"
            f"location = /v2/models/m/infer {{ default_type application/octet-stream;"
            f" add_header Inference-Header-Content-Length {len(reply)};"
            f" return 200 '{reply}{' ' * 4 * COLUMNS}'; }}\n")


def run(url, model, *args):
    """perseus load on LOAD_CPU: the tenant's result; every request must have been answered well."""
    out, _, code = programs.timed(
        [programs.PERSEUS, "load", "--url", url, "--model", model, "--cpus", programs.LOAD_CPU,
         "--json", "--warmup", "0s", "--duration", f"{SECONDS}s", "--inputs", 1, *args])
    if code not in (0, 1):
        raise RuntimeError(f"perseus load ended with {code}")
    tenant = json.loads(out)["tenants"][0]
    if tenant["outcomes"]["ok"] != tenant["scheduled"]:
        raise RuntimeError(f"requests failed: {tenant['outcomes']} {tenant['first_failure']}")
    return tenant


def wrk_rate(url, script, connections, asked=None):
    n = peers.wrk(url, SECONDS, script, connections)
    if asked:
        asked.add(n, unsure=connections)
    return n / SECONDS


def our_rate(url, model, *args, asked=None):
    tenant = run(url, model, *args)
    if asked:
        asked.add(tenant["scheduled"])
    return tenant["throughput_rps"]


def agreement(folder):
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, COLUMNS))], mean="2ms",
                              mode="spin")
    script = write_request(folder)
    with programs.serve({"weight": spec}) as server:
        programs.check_synthetic(server, "weight", COLUMNS)
        asked, url = server.asked["weight"], f"{server.http}/v2/models/weight/infer"
        r = figures.interleave(
            lambda: our_rate(server.http, "weight", "--concurrency", 4, asked=asked),
            lambda: wrk_rate(url, script, 4, asked), BLOCKS, "closed loop of 4, requests/s")
    figures.ratio_row("load: closed-loop throughput", r, "/s", note="peer: wrk, same server",
                      within=0.03)


def top_http(folder):
    script = write_request(folder)
    with peers.nginx(folder, more=locations()) as (url, _):
        r = figures.interleave(
            lambda: our_rate(url, "m", "--concurrency", CONNECTIONS),
            lambda: wrk_rate(f"{url}/v2/models/m/infer", script, CONNECTIONS), BLOCKS,
            "HTTP requests/s of one core")
    figures.ratio_row("load: top HTTP rate of one core", r, "/s",
                      note="peer: wrk, same nginx; it checks and records nothing", at_least=0.9)


def top_grpc(folder):
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, COLUMNS))],
                              outputs=[programs.tensor("y", shape=(-1, COLUMNS))], mean="0ms",
                              echo=True)
    users = GRPC_CONNECTIONS * STREAMS
    with programs.serve({"tiny": spec}) as server:
        programs.check_synthetic(server, "tiny", COLUMNS)
        asked, at = server.asked["tiny"], server.ready["grpc"]
        body = peers.grpc_body(f"{folder}/message", peers.infer_message(
            "tiny", "x", (1, COLUMNS), struct.pack(f"<{COLUMNS}f", *([0.5] * COLUMNS))))
        url = f"http://{at}/inference.GRPCInferenceService/ModelInfer"

        def h2load():
            n, took = peers.h2load(url, "-c", GRPC_CONNECTIONS, "-m", STREAMS, "-d", body,
                                   requests=figures.count(30000, 3000),
                                   headers=peers.GRPC_HEADERS)
            asked.add(n)
            return n / took

        r = figures.interleave(
            lambda: our_rate(f"grpc://{at}", "tiny", "--protocol", "grpc", "--streams", STREAMS,
                             "--concurrency", users, asked=asked),
            h2load, BLOCKS, "gRPC requests/s of one core")
    figures.ratio_row("load: top gRPC rate of one core", r, "/s",
                      note="peer: h2load, same server; it reads no message", at_least=0.5)


def main():
    peers.need("wrk", "h2load", "nginx")
    for name, part in (("load: closed-loop throughput", agreement),
                       ("load: top HTTP rate of one core", top_http),
                       ("load: top gRPC rate of one core", top_grpc)):
        with figures.part(name), tempfile.TemporaryDirectory() as folder:
            part(folder)


main()
figures.finish()
