"""The program under test, its server and its load generator, with stated pins.

Every figure times right answers only: load() and bench() raise when one failed, and at its end
serve() compares the server's counters with what the clients say they were given.
"""
import contextlib
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("PERSEUS", str(ROOT / "build/release/perseus"))
os.environ.setdefault("PS_SOURCE_DIR", str(ROOT))  # where the tests look for ONNX Runtime
sys.path.insert(0, str(ROOT / "tests"))

from support.perseus import Server, new_key, synthetic, tensor  # noqa: E402,F401

PERSEUS = os.environ["PERSEUS"]
SERVER_CPU, LOAD_CPU = 0, 1 if (os.cpu_count() or 1) > 1 else 0


class Asked:
    """What clients had of one model: the least and the most requests that may have reached it."""

    def __init__(self):
        self.least = self.most = 0

    def add(self, n, unsure=0):
        self.least += n
        self.most += n + unsure


@contextlib.contextmanager
def serve(models, **more):
    """A server pinned to SERVER_CPU with one lane and a long queue unless told otherwise. Its cache
    is in its own temporary folder. At the end its counters must be those of the clients, which
    keep theirs in `asked` (model -> Asked)."""
    config = {"cpus": str(SERVER_CPU), "lanes": 1, **more.pop("config", {})}
    tenants = [{"name": "default", "queue_limit": 100000}]
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as cache:
        config["cache"] = cache
        with Server(models=models, tenants=tenants, config=config, **more) as server:
            server.asked = {name: Asked() for name in models}
            yield server
            check_counters(server)


def counted(server, model):
    """(successes, failures) that the server has counted of a model."""
    status, _, body = server.get(f"/v2/models/{model}/stats")
    if status != 200:
        raise RuntimeError(f"the statistics of {model} answer {status}: {body[:300]}")
    stats = json.loads(body)["model_stats"][0]["inference_stats"]
    return stats["success"]["count"], stats["fail"]["count"]


def check_counters(server):
    """Every request that a client had answered was a success here, and there were no others but
    those that a client left under way."""
    for model, asked in server.asked.items():
        before, now = None, counted(server, model)
        while before != now:  # what was under way when the client ended
            time.sleep(0.05)
            before, now = now, counted(server, model)
        succeeded, failed = now
        unsure = asked.most - asked.least
        if not asked.least <= succeeded <= asked.most or failed > unsure:
            raise RuntimeError(f"clients had {asked.least} to {asked.most} answers of {model}, but"
                               f" the server counts {succeeded} successes and {failed} failures")


def check_synthetic(server, model, columns):
    """Sampled values of a synthetic model: rows alone give what they give together; rows that
    differ give answers that differ; each value is a multiple of 1/256 in [0, 1)."""
    def ask(*rows):
        status, _, body = server.infer(model, [{"name": "x", "datatype": "FP32", "shape":
                                                [len(rows), columns], "data": sum(rows, [])}])
        server.asked[model].add(1)
        if status != 200:
            raise RuntimeError(f"{model} answers {status}: {body}")
        return body["outputs"][0]["data"]

    a, b = [i / columns for i in range(columns)], [1 - i / columns for i in range(columns)]
    one, other = ask(a), ask(b)
    if (ask(a, b) != one + other or one == other
            or not all(0 <= v < 1 and v * 256 == int(v * 256) for v in one + other)):
        raise RuntimeError(f"{model} gives wrong values")


def timed(args, **more):
    """Runs a child; (its stdout, CPU seconds of it alone, exit code)."""
    p = subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, text=True, **more)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return out, usage.ru_utime + usage.ru_stime, p.returncode


def load(server, model, *args, records=False):
    """perseus load pinned to LOAD_CPU: (result of the tenant, CPU seconds, records, whole result).
    Raises when a request failed, or when counts do not agree: a bench times right answers only."""
    with tempfile.TemporaryDirectory() as d:
        path = pathlib.Path(d) / "records.csv"
        more = ["--records", path] if records else []
        out, cpu, code = timed([PERSEUS, "load", "--url", server.http, "--model", model, "--cpus",
                                LOAD_CPU, "--json", *args, *more])
        if code not in (0, 1):
            raise RuntimeError(f"perseus load ended with {code}")
        whole = json.loads(out)
        rows = list(csv.DictReader(open(path))) if records else []
    tenant = whole["tenants"][0]
    server.asked[model].add(tenant["sent"] + tenant["warmup_scheduled"])
    if not tenant["outcomes"]["ok"] == tenant["completed"] == tenant["sent"] == tenant["scheduled"]:
        raise RuntimeError(f"requests failed: {tenant['outcomes']} {tenant['first_failure']}")
    if records and (len(rows) != tenant["scheduled"] + tenant["warmup_scheduled"]
                    or any(r["http"] != "200" for r in rows)):
        raise RuntimeError("the records are not those of the requests counted")
    return tenant, cpu, rows, whole


def bench(path, seconds, cache, *args):
    """perseus bench of one thread pinned to SERVER_CPU: its result."""
    out, _, code = timed([PERSEUS, "bench", path, "--cpus", SERVER_CPU, "--threads", 1, "--batch",
                          1, "--duration", f"{seconds}s", "--cache-dir", cache, "--json", *args])
    result = json.loads(out) if code == 0 else {"runs": 0}
    if result["runs"] == 0:
        raise RuntimeError(f"perseus bench ended with {code}, {result['runs']} runs")
    return result
