#!/usr/bin/env python3
# figure: CPU per request of perseus load beside wrk at the same rate, 1 KiB requests
# seconds: 100
"""CPU seconds per request of the generator process, wrk as the peer.

wrk has no rate: it is a closed loop. It is made comparable by the server, which sleeps 10 ms (mean;
exponential, so that wrk's answers do not come in clumps that it could read with one wake-up) in 16
lanes: wrk's connections then give about 1,000 requests/s. perseus load sends at the
rate that wrk reached in its latest run, from an absolute schedule. Both send the same 1 KiB tensor
in binary form over keep-alive connections; wrk's request is a constant text, so no Lua runs per
request. CPU is that of the whole process, start and report included. wrk wakes once per request (an
answer is at once the next request), an open loop twice (the instant and the answer), and wrk checks
no answers: it is the lower bound, not a rival. The server's counters must agree with both; what wrk
had under way when its time was over may or may not have been counted.
"""
import json
import re
import shutil
import struct
import sys
import tempfile

from lib import figures, programs

SECONDS, CONNECTIONS, BLOCKS = figures.seconds(4), 11, 10

LUA = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/octet-stream"
wrk.headers["Inference-Header-Content-Length"] = "%d"
local f = io.open("%s", "rb")
wrk.body = f:read("*a")
f:close()
"""


def write_body(folder):
    head = json.dumps({"inputs": [{"name": "x", "shape": [1, 256], "datatype": "FP32",
                                   "parameters": {"binary_data_size": 1024}}],
                       "parameters": {"binary_data_output": True}},
                      separators=(",", ":")).encode()
    with open(f"{folder}/body", "wb") as f:
        f.write(head + struct.pack("<256f", *(i / 256 for i in range(256))))
    with open(f"{folder}/post.lua", "w") as f:
        f.write(LUA % (len(head), f"{folder}/body"))


class Pair:
    def __init__(self, server, folder):
        self.server, self.folder, self.rate = server, folder, 1000.0

    def wrk(self):
        out, cpu, code = programs.timed(
            ["taskset", "-c", programs.LOAD_CPU, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s",
             "-s", f"{self.folder}/post.lua", f"{self.server.http}/v2/models/nap/infer"])
        n = int(re.search(r"(\d+) requests in", out).group(1))
        if code != 0 or "Non-2xx" in out or "Socket errors" in out:
            raise RuntimeError(out)
        self.server.asked["nap"].add(n, unsure=CONNECTIONS)
        self.rate = n / SECONDS
        return cpu / n

    def ours(self):
        tenant, cpu, _, _ = programs.load(
            self.server, "nap", "--rate", f"{self.rate:.1f}", "--arrival", "constant", "--duration",
            f"{SECONDS}s", "--warmup", "0s", "--inputs", 1)
        return cpu / tenant["scheduled"]


def main():
    if not shutil.which("wrk"):
        sys.exit("wrk is not installed: scripts/setup bench")
    spec = programs.synthetic(inputs=[programs.tensor("x", shape=(-1, 256))], mean="10ms",
                              service="exponential", mode="sleep")
    with tempfile.TemporaryDirectory() as folder, \
            programs.serve({"nap": spec}, config={"lanes": 16}) as server:
        write_body(folder)
        programs.check_synthetic(server, "nap", 256)
        programs.load(server, "nap", "--rate", 200, "--duration", "1s", "--warmup", "0s",
                      "--check-repeats", "--inputs", 2)
        pair = Pair(server, folder)
        pair.wrk()  # the rate, and warm caches
        r = figures.interleave(pair.ours, pair.wrk, BLOCKS, "CPU per request (s)")
    figures.ratio_row("load: CPU per 1 KiB request", r, "us", 1e6,
                      note=f"peer: wrk, closed loop of {CONNECTIONS} at {pair.rate:.0f}/s; no goal")


main()
