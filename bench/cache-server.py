#!/usr/bin/env python3
# figure: tenants of a server whose models do not fit in memory, beside one that walks through all of its own
# seconds: 1500
# long: seven loads a block on servers that need time to settle, and 200 evictions under load
"""Model memory in the server, with real models.

(scan) Four tenants with six zoo models each, two of them common to all (18 contents). The budget is
40 % of what all of them hold, as the server measures it. Three tenants ask for their models by the
weights 1, 1/4, 1/9, ... (Poisson arrivals); the fourth asks for all of its six alike, and they are large
and quick to run: what it takes from the others is memory, not time. One server per policy; in each block every policy has a load with the scanner, and pf and lru
one without it, all with the same arrivals of the three. Their p99 and goodput (answers within LIMIT_MS
per second) with the scanner are set against those without it; the goodput of all four under pf against
that of the policy with the most. Every model was loaded once before, so that the converted files are
there; between two loads of a server come WARMUP_S seconds of the next one that do not count.

(cycles) Two copies of ResNet-50 that cannot both be there, asked for in turn 200 times, beside a tenant
that offers a small model all the while. Ten times a second the resident memory of the server and of its
children is read, less what it was before the first model; the budget holds one ResNet-50, the small
model and 60 MB for the runs. No request may fail. Drift is the mean of the last tenth of the samples
over that of the second tenth.

(again) ResNet-50 loaded with an empty cache, and again once it is gone from memory.
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import statistics
import tempfile
import threading
import time
import urllib.request

from lib import figures, programs, scene
from support.perseus import Server, until

SHARED = ["mobilenet_v1", "squeezenet1_1"]
OWN = {"a": ["mobilenet_v2", "googlenet", "lstm_512", "gru_1024"],
       "b": ["efficientnet_b0", "resnet18", "lstm_256", "gru_512"],
       "c": ["densenet121", "lstm_1024", "gru_1536", "inception_v3"],
       "scan": ["lstm_1536", "lstm_2048", "gru_2048", "gru_2560"]}
STEADY = ["a", "b", "c"]
RATE, SCAN_RATE, LIMIT_MS = 4, 3, 500
SECONDS, WARMUP_S, BLOCKS = figures.seconds(20), 2 if figures.QUICK else 10, figures.count(6)
POLICIES = ["pf", "lru"] if figures.QUICK else ["pf", "lru", "gdsf", "optp", "mmf"]
EPOCH = "2s"
CYCLES = 20 if figures.QUICK else 200
SETTLED_S = 5  # what was written a moment ago is read again at each load
INPUT = {"name": "input", "datatype": "FP32", "shape": [1, 3, 224, 224],
         "data": [0.5] * (3 * 224 * 224)}


def zoo(folder, *names):
    _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", *names, "--dir", folder])
    if code != 0:
        raise RuntimeError(f"perseus zoo ended with {code}")
    return {n: pathlib.Path(folder, f"{n}.onnx") for n in names}


def metric(server, name, key=None, **labels):
    request = urllib.request.Request("http://" + server.ready["metrics"] + "/metrics",
                                     headers={"Authorization": f"Bearer {key}"} if key else {})
    with urllib.request.urlopen(request) as answer:
        text = answer.read().decode()
    total = 0
    for line in text.splitlines():
        m = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
        if m and all(f'{k}="{v}"' in (m[1] or "") for k, v in labels.items()):
            total += float(m[2])
    return total


# --- (scan) ---

def mix(tenant):
    names = SHARED + OWN[tenant]
    if tenant == "scan":
        return [f"{n},weight=1" for n in names]
    names = OWN[tenant][:2] + SHARED + OWN[tenant][2:]
    return [f"{n},weight={1 / (k + 1) ** 2:.6f}" for k, n in enumerate(names)]


def tenant_of(name):
    return {"mix": mix(name), "rate": SCAN_RATE if name == "scan" else RATE}


class Mixed(scene.Scene):
    """Who asks for several models is counted over all of them."""

    def check(self):
        for tenant, asked in {t: a for (t, _), a in self.asked.items()}.items():
            def now():
                return sum(self.counted(tenant, m) for m in SHARED + OWN[tenant])
            before, found = None, now()
            while before != found:
                time.sleep(0.05)
                before, found = found, now()
            if not asked.least <= found <= asked.most:
                raise RuntimeError(f"{tenant} had {asked.least} to {asked.most} answers, but the "
                                   f"server counts {found} successes")


def measured_bytes(files, cache):
    """What all of them hold; and their converted files are made."""
    admin, digest = programs.new_key()
    with Server(models=files, config={"cache": cache, "admin_keys": [digest]}) as s:
        return metric(s, "perseus_models_resident_bytes", admin)


def start(files, cache, budget, policy):
    keys, rows = {}, []
    for name in OWN:
        keys[name], digest = programs.new_key()
        rows.append({"name": name, "keys": [digest], "queue_limit": 100000,
                     "models": SHARED + OWN[name]})
    config = {"cache": cache, "model_memory": str(int(budget)), "memory_policy": policy,
              "memory_epoch": EPOCH, "min_residency": 0, "lanes": 1,
              "cpus": str(programs.SERVER_CPU)}
    server = Server(models=files, tenants=rows, config=config)
    return Mixed(server, keys)


def offer(s, names, block):
    found = s.offer({n: tenant_of(n) for n in names}, SECONDS, warmup=WARMUP_S, timeout="30s",
                    seed=block + 1)
    for name, (result, rows) in found.items():
        _, refused, other = scene.counts(rows)
        if refused or other:
            raise RuntimeError(f"{refused + other} requests of {name} were lost: "
                               f"{result['first_failure']}")
    rows = [r for n in STEADY for r in found[n][1]]
    good = scene.goodput(rows, LIMIT_MS, SECONDS)
    everybody = [r for _, r in found.values()]
    return {"p99": scene.quantile(scene.latencies_ms(rows), 0.99), "goodput": good,
            "all": scene.goodput([r for rs in everybody for r in rs], LIMIT_MS, SECONDS)}


def scan():
    names = SHARED + [m for own in OWN.values() for m in own]
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as d:
        files = zoo(d, *names)
        held = measured_bytes(files, d + "/cache")
        budget = 0.4 * held
        figures.say(f"  all hold {held / 2**20:.0f} MiB, the budget is {budget / 2**20:.0f} MiB")
        scenes = {p: start(files, d + "/cache", budget, p) for p in POLICIES}
        try:
            systems = {f"{p}+scan": (p, list(OWN)) for p in POLICIES}
            systems |= {f"{p} alone": (p, STEADY) for p in ("pf", "lru")}
            found, details = {n: [] for n in systems}, {n: [] for n in systems}
            for block in range(BLOCKS):
                order = list(systems) if block % 2 == 0 else list(reversed(systems))
                for n in order:
                    policy, tenants = systems[n]
                    details[n].append(offer(scenes[policy], tenants, block))
                figures.say(f"  block {block + 1}/{BLOCKS}: " + "; ".join(
                    f"{n} p99 {details[n][-1]['p99']:.0f} ms, good {details[n][-1]['goodput']:.1f}/s"
                    for n in systems))
            for s in scenes.values():
                s.check()
        finally:
            for s in scenes.values():
                s.server.stop()
                s.server._clean()
    rows_of_scan(details)


def compared(details, ours, peer, what):
    a, b = [x[what] for x in details[ours]], [x[what] for x in details[peer]]
    return {"ours": a, "peer": b, "ratios": [x / y if y else float("inf") for x, y in zip(a, b)],
            "repeated": 0, "disturbed": 0}


def rows_of_scan(details):
    for policy, goals in (("pf", ({"at_most": 1.1}, {"at_least": 0.9})), ("lru", ({}, {}))):
        for what, unit, goal in (("p99", "ms", goals[0]), ("goodput", "/s", goals[1])):
            figures.ratio_row(f"{policy}: {what} of three tenants beside one that scans",
                              compared(details, f"{policy}+scan", f"{policy} alone", what), unit,
                              note="peer: the same tenants without it, same policy", **goal)
    most = max(POLICIES, key=lambda p: statistics.median(x["all"] for x in details[f"{p}+scan"]))
    figures.ratio_row("pf: goodput of all four tenants",
                      compared(details, "pf+scan", f"{most}+scan", "all"), "/s", at_least=0.95,
                      note=f"peer: {most}, the best of {', '.join(POLICIES)}")


# --- (cycles) and (again) ---

def copy_of(path, serial):
    """The same network in a file of other contents."""
    import onnx
    model = onnx.load(path)
    model.producer_name = f"copy-{serial}"
    to = path.with_name(f"{path.stem}_{serial}.onnx")
    onnx.save(model, to)
    return to


def children(pid):
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(c) for c in task.read_text().split()]
        except OSError:
            pass
    return found


def resident(pid):
    """Of a process and its children."""
    total = 0
    for p in [pid, *children(pid)]:
        try:
            total += int(pathlib.Path(f"/proc/{p}/statm").read_text().split()[1])
        except (OSError, IndexError):
            pass
    return total * os.sysconf("SC_PAGE_SIZE")


class Sampler:
    """Ten samples a second of the memory that counts."""

    def __init__(self, server, idle):
        self.server, self.idle, self.found, self.stop = server, idle, [], threading.Event()

    def run(self):
        while not self.stop.wait(0.1):
            self.found.append((resident(self.server.process.pid) - self.idle,
                               metric(self.server, "perseus_model_memory_used_bytes")))

    def __enter__(self):
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()


def ask(server, model):
    status, _, body = server.infer(model, [INPUT], timeout=120)
    if status != 200:
        raise RuntimeError(f"{model} answers {status}: {body}")


def steady(server, stop):
    n = 0
    while not stop.is_set():
        ask(server, "small")
        n += 1
    return n


def cycles():
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as d:
        files = zoo(d, "resnet50", "squeezenet1_1")
        files = {"big0": files["resnet50"], "big1": copy_of(files["resnet50"], 1),
                 "small": files["squeezenet1_1"]}
        held = measured_bytes(files, d + "/cache")
        budget = int(held / 2 + 60e6)
        config = {"cache": d + "/cache", "model_memory": str(budget), "memory_policy": "lru",
                  "min_residency": 0}
        with Server(models=files, config=config) as s, \
                concurrent.futures.ThreadPoolExecutor(1) as pool:
            idle = resident(s.process.pid)
            stop = threading.Event()
            with Sampler(s, idle) as sampler:
                other = pool.submit(steady, s, stop)
                for i in range(CYCLES):
                    ask(s, f"big{i % 2}")
                stop.set()
                answered = other.result()
            evicted = metric(s, "perseus_model_evictions_total")
    if evicted < CYCLES - 2:
        raise RuntimeError(f"only {evicted} evictions in {CYCLES} cycles")
    rss, counted = [x[0] for x in sampler.found], [x[1] for x in sampler.found]
    tenth = max(1, len(rss) // 10)
    note = f"{CYCLES} cycles, {len(rss)} samples, {answered} answers beside them, none failed"
    for name, values in (("as measured from outside", rss), ("as the server counts", counted)):
        figures.row(f"most memory of {CYCLES} evictions over the budget, {name}",
                    f"{max(values) / 2**20:.0f} MiB", f"{budget / 2**20:.0f} MiB",
                    max(values) / budget, None, None, "<= 1",
                    "met" if max(values) <= budget else "missed", note)
    drift = statistics.fmean(rss[-tenth:]) / statistics.fmean(rss[tenth:2 * tenth])
    figures.row(f"drift of memory over {CYCLES} evictions", f"{drift:.4f}", "1", drift, None, None,
                "within 0.02", "met" if abs(drift - 1) < 0.02 else "missed", note)


def again():
    first, second = [], []
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as d:
        files = zoo(d, "resnet50")
        time.sleep(SETTLED_S)
        for i in range(figures.count(10)):
            cache = f"{d}/cache{i}"
            size = files["resnet50"].stat().st_size
            with Server(models=files, config={"cache": cache, "min_residency": 0,
                                              "model_memory": str(3 * size)}) as s:
                for found in (first, second):
                    before = metric(s, "perseus_model_load_seconds_total")
                    if s.get("/v2/repository/models/resnet50/load", "POST", b"")[0] != 200:
                        raise RuntimeError("resnet50 does not load")
                    found.append(metric(s, "perseus_model_load_seconds_total") - before)
                    s.get("/v2/repository/models/resnet50/unload", "POST", b"")
                    until(lambda: metric(s, "perseus_models_resident_bytes") == 0)
            shutil.rmtree(cache)
    r = {"ours": second, "peer": first, "ratios": [x / y for x, y in zip(second, first)],
         "repeated": 0, "disturbed": 0}
    figures.ratio_row("ResNet-50 ready again once it was gone", r, "ms", scale=1e3,
                      at_most=1 / 8, note="peer: its first load, with an empty cache")
    worst = statistics.median(second)
    figures.row("ResNet-50 ready again: time", f"{1e3 * worst:.1f} ms", "", None, None, None,
                "<= 30 ms", "met" if worst <= 0.030 else "missed", f"median of {len(second)}")


def main():
    for name, part in (("scan", scan), ("cycles", cycles), ("again", again)):
        with figures.part(f"cache-server: {name}"):
            part()
    figures.finish()


main()
