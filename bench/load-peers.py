#!/usr/bin/env python3
# figure: perseus load beside wrk (HTTP) and h2load (gRPC): closed loops, top rates, CPU per request
# seconds: 130
"""Closed loops of the same number of connections, each client alone on CPU 1, the server on CPU 0.

Agreement: a model that takes 2 ms on one lane, 4 connections: both clients must find the same
throughput, that of the server, within 3 %. Top rate over HTTP: nginx answers every infer with the
same Open Inference reply of 1 KiB; both clients as fast as they can, 16 connections, one thread.
perseus load reads and checks each answer, stamps four instants and keeps a record; wrk does not. Top
rate over gRPC: our own server with a model that takes no time; h2load with the same connections and
streams. The server's counters must agree with what both were answered.

CPU per request of the whole process, start and report included: wrk has no rate, so the server makes
one: it sleeps 10 ms (exponential, so that answers do not come in clumps that wrk could read with one
wake-up) in 16 lanes, which gives 11 connections about 1,000 requests/s; perseus load then sends at
the rate that wrk reached in its latest run. wrk wakes once per request (an answer is at once the next
request), an open loop twice (the instant and the answer): wrk is the lower bound there, not a rival.
"""
import json
import pathlib
import re
import struct
import tempfile

from lib import figures, peers, programs

SECONDS, CPU_SECONDS, BLOCKS = figures.seconds(1), figures.seconds(2), 10
CPU_CONNECTIONS, CONNECTIONS, GRPC_CONNECTIONS, STREAMS = 11, 16, 4, 16
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
         "--json", "--warmup", "100ms", "--duration", f"{SECONDS}s", "--inputs", 1, *args])
    if code not in (0, 1):
        raise RuntimeError(f"perseus load ended with {code}")
    tenant = json.loads(out)["tenants"][0]
    if tenant["outcomes"]["ok"] != tenant["scheduled"]:
        raise RuntimeError(f"requests failed: {tenant['outcomes']} {tenant['first_failure']}")
    return tenant


def wrk(url, seconds, script, connections, asked=None):
    """wrk on LOAD_CPU: (requests answered, requests per second, CPU seconds)."""
    out, cpu, code = programs.timed(["taskset", "-c", programs.LOAD_CPU, "wrk", "-t1",
                                     f"-c{connections}", f"-d{seconds}s", "-s", script, url])
    if code != 0 or "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    n = int(re.search(r"(\d+) requests in", out).group(1))
    if asked:
        asked.add(n, unsure=connections)
    return n, float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)), cpu


def wrk_rate(url, script, connections, asked=None):
    return wrk(url, SECONDS, script, connections, asked)[1]


def our_rate(url, model, *args, asked=None):
    tenant = run(url, model, *args)
    if asked:
        asked.add(tenant["scheduled"] + tenant["warmup_scheduled"])
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


def check_echo(server):
    values = [i / COLUMNS for i in range(COLUMNS)]
    status, _, body = server.infer("tiny", [{"name": "x", "datatype": "FP32", "shape": [1, COLUMNS],
                                             "data": values}])
    if status != 200 or body["outputs"][0]["data"] != values:
        raise RuntimeError(f"the echo answers {status}: {body}")
    server.asked["tiny"].add(1)


def top_grpc(folder):
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, COLUMNS))],
                              outputs=[programs.tensor("y", shape=(-1, COLUMNS))], mean="0ms",
                              echo=True)
    users = GRPC_CONNECTIONS * STREAMS
    with programs.serve({"tiny": spec}) as server:
        check_echo(server)
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


class Pair:
    """Both clients at the rate that wrk reaches."""

    def __init__(self, server, script):
        self.server, self.script, self.rate = server, script, 1000.0

    def wrk(self):
        n, self.rate, cpu = wrk(f"{self.server.http}/v2/models/nap/infer", CPU_SECONDS, self.script,
                                CPU_CONNECTIONS, self.server.asked["nap"])
        return cpu / n

    def ours(self):
        tenant, cpu, _, _ = programs.load(
            self.server, "nap", "--rate", f"{self.rate:.1f}", "--arrival", "constant", "--duration",
            f"{CPU_SECONDS}s", "--warmup", "0s", "--inputs", 1)
        return cpu / tenant["scheduled"]


def cpu_per_request(folder):
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, COLUMNS))], mean="10ms",
                              service="exponential", mode="sleep")
    with programs.serve({"nap": spec}, config={"lanes": 16}) as server:
        programs.check_synthetic(server, "nap", COLUMNS)
        pair = Pair(server, write_request(folder))
        pair.wrk()  # the rate, and warm caches
        r = figures.interleave(pair.ours, pair.wrk, BLOCKS, "CPU per request (s)")
    figures.ratio_row("load: CPU per 1 KiB request", r, "us", 1e6,
                      note=f"peer: wrk, closed loop of {CPU_CONNECTIONS} at {pair.rate:.0f}/s; no"
                           " goal")


def main():
    peers.need("wrk", "h2load", "nginx")
    for name, part in (("load: closed-loop throughput", agreement),
                       ("load: top HTTP rate of one core", top_http),
                       ("load: top gRPC rate of one core", top_grpc),
                       ("load: CPU per 1 KiB request", cpu_per_request)):
        with figures.part(name), tempfile.TemporaryDirectory() as folder:
            part(folder)


main()
figures.finish()
