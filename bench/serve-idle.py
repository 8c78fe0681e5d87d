#!/usr/bin/env python3
# figure: 10,000 idle connections beside a loaded tenant: p99, memory per connection
# seconds: 190
"""Idle connections. A process of its own opens 10,000 cleartext HTTP/1.1 connections, asks one
question on each so that the server has seen them work, and then leaves them idle. Beside them a
tenant offers 40 requests/s to a model of 10 ms (spinning) in one lane on CPU 0; generator and idle
client are on CPU 1. The peer: the same load before they are opened and after they are closed.
Memory: the server's resident growth per connection.
"""
import resource
import subprocess
import sys

from lib import figures, peers, programs, scene

WANTED, SECONDS, BLOCKS, RATE = 10000, figures.seconds(7), 10, 40
MODELS = {"m": programs.synthetic(mean="10ms", mode="spin")}
CLIENT = r"""
import resource, socket, sys
host, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
held = []
try:
    while len(held) < n:
        s = socket.create_connection((host, port))
        s.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        if not s.recv(4096).startswith(b"HTTP/1.1 200"):
            raise OSError("not answered")
        held.append(s)
except OSError as e:
    print(f"{len(held)} {e}", flush=True)
else:
    print(len(held), flush=True)
sys.stdin.read()
closed = 0
for s in held:  # one that the server had closed can be read
    s.setblocking(False)
    try:
        closed += not s.recv(1)
    except BlockingIOError:
        pass
print(closed, flush=True)
"""


class Idle:
    def __init__(self, address):
        self.process = subprocess.Popen(
            ["taskset", "-c", str(programs.LOAD_CPU), sys.executable, "-c", CLIENT, address[0],
             str(address[1]), str(WANTED)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said = self.process.stdout.readline().split(" ", 1)
        self.n, self.why = int(said[0]), said[1].strip() if len(said) > 1 else ""

    def close(self):
        self.process.stdin.close()
        closed = int(self.process.stdout.readline())
        self.process.wait()
        if closed:
            raise RuntimeError(f"the server closed {closed} of {self.n} idle connections")


def p99(s, block):
    return scene.p99(s.offer({"a": {"model": "m", "rate": RATE, "check_repeats": True}}, SECONDS,
                             seed=block + 1)["a"][1])


def main():
    opened, grown, notes = [], [], set()
    config = {"lanes": 1, "max_connections": WANTED + 2000, "idle_timeout": "1h"}
    with scene.scene(MODELS, {"a": {}}, config) as s:
        p99(s, 0)  # warm

        def beside(block):
            before = peers.resident_bytes(s.server.process.pid)
            idle = Idle(s.server.address)
            grown.append((peers.resident_bytes(s.server.process.pid) - before) / max(1, idle.n))
            opened.append(idle.n)
            if idle.n < WANTED:
                notes.add(f"only {idle.n} could be opened: {idle.why}")
            try:
                return p99(s, block)
            finally:
                idle.close()

        found, *disturbed = figures.rounds({"beside": beside, "without": lambda i: p99(s, i)},
                                           BLOCKS, "p99 (ms)")
        r = figures.paired(found, "beside", "without", *disturbed)
    figures.ratio_row(f"serve: p99 beside {min(opened)} idle connections", r, "ms", at_most=1.1,
                      note="; ".join(["peer: the same load without them", *sorted(notes)]))
    kib = max(grown) / 1024
    figures.row("serve: memory per idle connection (largest block)", f"{kib:.2f} KiB", "20 KiB", kib / 20,
                None, None, "<= 20 KiB", "met" if kib < 20 else "missed",
                "later blocks reuse what the first one took, so the largest is the first")


if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < WANTED + 2000:
    figures.say("  the hard limit of descriptors is under what 10,000 connections need")
main()
