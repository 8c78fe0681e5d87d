"""The program under test, its server and its load generator, with stated pins."""
import csv
import json
import os
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
os.environ.setdefault("PERSEUS", str(ROOT / "build/release/perseus"))
sys.path.insert(0, str(ROOT / "tests"))

from support.perseus import Server, synthetic, tensor  # noqa: E402,F401

PERSEUS = os.environ["PERSEUS"]
SERVER_CPU, LOAD_CPU = 0, 1 if (os.cpu_count() or 1) > 1 else 0


def serve(models, **more):
    """A server pinned to SERVER_CPU with one lane and a long queue unless told otherwise."""
    config = {"cpus": str(SERVER_CPU), "lanes": 1, **more.pop("config", {})}
    tenants = [{"name": "default", "queue_limit": 100000}]
    return Server(models=models, tenants=tenants, config=config, **more)


def timed(args, **more):
    """Runs a child; (its stdout, CPU seconds of it alone, exit code)."""
    p = subprocess.Popen([str(a) for a in args], stdout=subprocess.PIPE, text=True, **more)
    out = p.stdout.read()
    _, status, usage = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    return out, usage.ru_utime + usage.ru_stime, p.returncode


def load(server, model, *args, records=False):
    """perseus load pinned to LOAD_CPU: (result of the tenant, whole result, CPU seconds, records).
    Raises when a request failed: a bench times right answers only."""
    with tempfile.TemporaryDirectory() as d:
        path = pathlib.Path(d) / "records.csv"
        more = ["--records", path] if records else []
        out, cpu, code = timed([PERSEUS, "load", "--url", server.http, "--model", model, "--cpu",
                                LOAD_CPU, "--json", *args, *more])
        if code not in (0, 1):
            raise RuntimeError(f"perseus load ended with {code}")
        whole = json.loads(out)
        rows = list(csv.DictReader(open(path))) if records else []
    tenant = whole["tenants"][0]
    if tenant["outcomes"]["ok"] != tenant["scheduled"]:
        raise RuntimeError(f"requests failed: {tenant['outcomes']} {tenant['first_failure']}")
    return tenant, whole, cpu, rows
