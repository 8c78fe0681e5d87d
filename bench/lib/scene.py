"""Several tenants on one server: who they are, what each offers, and what each was given. At the end
the server's own counters, per tenant and model, must be those of the clients.

Generator and server are pinned apart (programs.SERVER_CPU, LOAD_CPU) unless a figure says
otherwise. Every tenant has a key of its own.
"""
import contextlib
import csv
import json
import math
import pathlib
import tempfile
import time

import yaml

from . import programs
from support.perseus import Server, new_key


class Scene:
    def __init__(self, server, keys):
        self.server, self.keys = server, keys
        self.asked = {}  # (tenant, model) -> programs.Asked

    def count(self, tenant, model, rows):
        ok, refused, other = counts(rows)
        self.asked.setdefault((tenant, model), programs.Asked()).add(ok, unsure=other)

    def counted(self, tenant, model):
        head = {"Authorization": f"Bearer {self.keys[tenant]}"}
        status, _, body = self.server.get(f"/v2/models/{model}/stats", headers=head)
        if status != 200:
            raise RuntimeError(f"the statistics of {model} answer {status}: {body[:300]}")
        stats = json.loads(body)["model_stats"]  # none of a model that was never asked for
        return stats[0]["inference_stats"]["success"]["count"] if stats else 0

    def check(self):
        for (tenant, model), asked in self.asked.items():
            before, now = None, self.counted(tenant, model)
            while before != now:  # what was under way when the client ended
                time.sleep(0.05)
                before, now = now, self.counted(tenant, model)
            if not asked.least <= now <= asked.most:
                raise RuntimeError(f"{tenant} had {asked.least} to {asked.most} answers of {model},"
                                   f" but the server counts {now} successes")

    def offer(self, tenants, seconds, warmup=1, timeout="10s", seed=1, cpu=programs.LOAD_CPU):
        """Drives all tenants on one schedule: name -> keys of a load file's tenant. Returns
        name -> (result, records of the measured part)."""
        plan = {"url": self.server.http, "duration": f"{seconds}s", "warmup": f"{warmup}s",
                "timeout": timeout, "seed": seed,
                "tenants": [{"name": n, "api_key": self.keys[n], **keys}
                            for n, keys in tenants.items()]}
        with tempfile.TemporaryDirectory() as folder:
            path, records = pathlib.Path(folder, "load.yaml"), pathlib.Path(folder, "r.csv")
            path.write_text(yaml.safe_dump(plan, sort_keys=False))
            out, _, code = programs.timed([programs.PERSEUS, "load", "--file", path, "--cpus", cpu,
                                           "--json", "--records", records])
            if code not in (0, 1):
                raise RuntimeError(f"perseus load ended with {code}")
            rows = list(csv.DictReader(open(records)))
        found = {}
        for name, options in tenants.items():
            self.count(name, options.get("model", "*"), [r for r in rows if r["tenant"] == name])
        for tenant in json.loads(out)["tenants"]:
            if tenant["records_dropped"]:
                raise RuntimeError(f"records of {tenant['tenant']} were dropped")
            mine = [r for r in rows if r["tenant"] == tenant["tenant"] and r["warmup"] == "0"]
            found[tenant["tenant"]] = (tenant, mine)
        return found


@contextlib.contextmanager
def scene(models, tenants, config=None, cpus=str(programs.SERVER_CPU), **more):
    """A server with these tenants (name -> keys of its configuration)."""
    keys, rows = {}, []
    for name, options in tenants.items():
        key, digest = new_key()
        keys[name] = key
        rows.append({"name": name, "keys": [digest], "queue_limit": 100000, **options})
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as cache:
        with Server(models=models, tenants=rows,
                    config={"cpus": cpus, "cache": cache, **(config or {})}, **more) as server:
            made = Scene(server, keys)
            yield made
            made.check()


def latencies_ms(rows):
    """Latency from the scheduled instant; infinite for what was not answered well."""
    return [(int(r["done_ns"]) - int(r["scheduled_ns"])) / 1e6 if r["outcome"] == "ok" else math.inf
            for r in rows]


def answered_ms(rows):
    return [ms for ms in latencies_ms(rows) if ms < math.inf]


def quantile(values, q):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(q * len(ordered)) - 1)]


def counts(rows):
    """(good answers, refusals with a status of overload, everything else)."""
    ok = sum(r["outcome"] == "ok" for r in rows)
    refused = sum(r["outcome"] in ("refused", "rejected") and r["http"] in ("429", "503", "504")
                  for r in rows)
    return ok, refused, len(rows) - ok - refused


def goodput(rows, limit_ms, seconds):
    return sum(ms <= limit_ms for ms in latencies_ms(rows)) / seconds


def p99(rows):
    """The 99th percentile of the latencies; raises when one request was lost."""
    _, refused, other = counts(rows)
    if refused or other:
        raise RuntimeError(f"{refused + other} of {len(rows)} requests were lost")
    return quantile(latencies_ms(rows), 0.99)


def falls(due_ns, end_ns, quiet_s, burst_s=0.4, gap_s=0.3):
    """Where a load that comes in bursts fell: (instant of the last request of a burst of at least
    burst_s, instant of the next request) for each fall that is followed by quiet_s of nothing. A gap
    of gap_s ends a burst; end_ns is the end of the run."""
    due = sorted(due_ns)
    found, begin = [], due[0] if due else 0
    for at, following in zip(due, due[1:] + [end_ns]):
        if following - at < gap_s * 1e9:
            continue
        if at - begin >= burst_s * 1e9 and following - at >= quiet_s * 1e9:
            found.append((at, following))
        begin = following
    return found


def recovered_s(fell_ns, until_ns, bad_ns, calm_s=0.5):
    """Seconds from a fall to the last bad request before calm_s without one, or before until_ns."""
    last = fell_ns
    for at in sorted(ns for ns in bad_ns if fell_ns < ns < until_ns):
        if at - last > calm_s * 1e9:
            break
        last = at
    return (last - fell_ns) / 1e9
