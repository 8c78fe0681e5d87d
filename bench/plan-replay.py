#!/usr/bin/env python3
# figure: perseus plan --replay: simulated requests per second on one core; the same arrivals on the real server
# seconds: 50
"""How fast a day is replayed, and whether the server does what the replay says.

Speed: the machines of examples/plan/shop.yaml (two lanes each, up to eleven tenants, gamma service
times, agreements checked at each arrival by the server's own code). What planning alone takes is taken
off: a long replay less a short one, in wall time, one thread.

Truth: two tenants with constant service times on one planned machine of two lanes. The server runs the
configuration that the plan wrote, with synthetic models of exactly those service times, and `perseus
load` sends at the instants of the same traces that the replay had. Once at the planned rates, where
latencies are compared; once at 1.5 times what the machine can do, where admission decides: there the
share of requests answered in time is compared. The server's overhead (network, hand-over between threads, sleeps that
end late) is in the measurement and not in the replay: that is what the ratios show.
"""
import json
import pathlib
import random
import resource
import subprocess
import tempfile
import time

import yaml

from lib import figures, programs, scene

SHOP = programs.ROOT / "examples/plan/shop.yaml"
LONG_S, SHORT_S = (3600, 60) if figures.QUICK else (18000, 60)
BLOCKS = figures.count(4)
CALM_S, RUSH_S = figures.seconds(4), figures.seconds(3)

# name, service in ms, requests/s as planned, agreement
TENANTS = (("a", 20, 30, "p99 <= 300ms"), ("b", 10, 50, "p95 <= 150ms"))
LANES = 2
RUSH = 1.5 / sum(ms * rate / 1e3 / LANES for _, ms, rate, _ in TENANTS)  # times the planned rates


def plan(path, *args):
    """(what --json prints, seconds)."""
    begin = time.monotonic()
    done = subprocess.run([programs.PERSEUS, "plan", path, "--json", "--no-compare", "--time-limit",
                           "2s", "--today", "2026-11-22", *map(str, args)], capture_output=True,
                          text=True, timeout=300)
    took = time.monotonic() - begin
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.strip())
    return json.loads(done.stdout), took


def children_s():
    """CPU seconds of all children so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def shop(seconds):
    """(requests, seconds, CPU seconds) of a replay, planning included."""
    before = children_s()
    found, took = plan(SHOP, "--replay", "rates", "--replay-length", f"{seconds}s", "--method",
                       "heuristic")
    return found["replay"]["requests"], took, children_s() - before


def speed():
    def measure():
        many, few = shop(LONG_S), shop(SHORT_S)
        requests, wall_s, cpu_s = (a - b for a, b in zip(many, few))
        return requests / wall_s, requests / cpu_s

    rates, of_cpu = [], []
    for i in range(BLOCKS):
        (rate, cpu), steal, _ = figures.undisturbed(measure)
        rates.append(rate)
        of_cpu.append(cpu)
        figures.say(f"  block {i + 1}: {rate:.0f} requests/s, {cpu:.0f} per CPU second; steal"
                    f" {100 * steal:.1f} %")
    middle, low, high = figures.log_interval([r / 1e6 for r in rates])
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    figures.row("replay: requests/s on one core", f"{middle * 1e6:.3g}/s", "1e6/s", middle, low,
                high, ">= 1", figures.verdict(low, high, at_least=1),
                f"the server's own scheduling and admission; {figures.median(of_cpu):.3g} per CPU"
                f" second, without what planning takes; at most {memory:.0f} MiB")


# ---- the real server ----

def write(folder, name, what):
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(what, sort_keys=False))


def case(folder):
    write(folder, "prices", {"prices": [
        {"provider": "p", "region": "r", "instance_type": "two", "vcpu": LANES, "memory_gib": 8,
         "on_demand_usd_per_hour": 0.1, "source": "made up", "source_date": "2026-01-01"}]})
    write(folder, "profiles", {"profiles": [
        {"model": name, "path": f"{name}.synthetic.yaml", "service": f"{ms}ms", "cv": 0,
         "memory": "10MiB", "load_peak": "10MiB", "source": "declared"}
        for name, ms, _, _ in TENANTS]})
    write(folder, "plan", {"prices": "prices.yaml", "profiles": "profiles.yaml", "tenants": [
        {"name": name, "model": name, "rate": f"{rate}/s", "sla": sla}
        for name, _, rate, sla in TENANTS]})
    for name, ms, _, _ in TENANTS:
        write(folder, f"{name}.synthetic", programs.synthetic(mean=f"{ms}ms"))


def traces(folder, seconds, times, seed):
    """A trace per tenant, longer than the run; timestamps in seconds."""
    found = {}
    for name, _, rate, _ in TENANTS:
        r, at, lines = random.Random(f"{seed} {name}"), 0.0, []
        while at < seconds + 1:
            at += r.expovariate(rate * times)
            lines.append(f"{at:.9f}\n")
        found[name] = folder / f"{name}.txt"
        found[name].write_text("".join(lines))
    return found


def replay(folder, found, seconds):
    args = [x for name, path in found.items() for x in ("--replay", f"{name}={path}")]
    whole, _ = plan(folder / "plan.yaml", *args, "--replay-format", "timestamps", "--replay-length",
                    f"{seconds}s", "--replay-interval", "1s", "--serve-dir", folder / "machines")
    if whole["machines"] != 1:
        raise RuntimeError("the plan has not put both tenants on one machine")
    return {t["name"]: t for t in whole["replay"]["tenants"]}


def config_of(folder):
    """The tenants of the configuration that the plan wrote."""
    config = yaml.safe_load((folder / "machines/machine-001.yaml").read_text())
    return {t.pop("name"): {"queue_limit": 100, **t} for t in config["tenants"]}


def measured(world, found, seconds):
    """name -> (latencies in ms with infinite ones, answers in time, requests)."""
    result = world.offer({name: {"model": name, "arrival": "trace", "trace": str(path),
                                 "trace_format": "timestamps"}
                          for name, path in found.items()}, seconds, warmup=0)
    ret = {}
    for name, (_, rows) in result.items():
        limit = {n: float(sla.split("<= ")[1][:-2]) for n, _, _, sla in TENANTS}[name]
        ms = scene.latencies_ms(rows)
        ret[name] = ms, sum(x <= limit for x in ms), len(rows)
    return ret


def compare(seconds, times, seed):
    """name -> (what was replayed, what was measured), of the same arrivals."""
    with tempfile.TemporaryDirectory(prefix="perseus-replay-") as d:
        folder = pathlib.Path(d)
        case(folder)
        found = traces(folder, seconds, times, seed)
        sim = replay(folder, found, seconds)
        models = {name: str(folder / f"{name}.synthetic.yaml") for name, *_ in TENANTS}
        with scene.scene(models, config_of(folder), config={"lanes": LANES}, cpus="0-1") as world:
            real = measured(world, found, seconds)
    for name in sim:
        if sim[name]["requests"] != real[name][2]:
            raise RuntimeError(f"{name}: {sim[name]['requests']} requests were replayed, but"
                               f" {real[name][2]} were sent")
    return {name: (sim[name], real[name]) for name in sim}


def show(name, unit, ours, theirs, note="", **goal):
    figures.ratio_row(name, {"ours": ours, "peer": theirs, "repeated": 0, "disturbed": 0,
                             "ratios": [x / y for x, y in zip(ours, theirs)]}, unit, note=note,
                      **goal)


def latencies():
    pairs = {}
    for block in range(BLOCKS):
        for name, (sim, (ms, _, _)) in compare(CALM_S, 1, block).items():
            for q, key in ((0.5, "p50_ms"), (0.99, "p99_ms")):
                pairs.setdefault((name, key), []).append(
                    (scene.quantile(ms, q), sim[key], sim["foreseen_ms"]))
    for (name, key), found in pairs.items():
        real, sim, foreseen = zip(*found)
        figures.say(f"  {name} {key}: measured {[round(x, 2) for x in real]}, replayed"
                    f" {[round(x, 2) for x in sim]}")
        show(f"replay: {key[:3]} of {name}, measured / replayed", "ms", real, sim,
             f"the plan foresaw at most {foreseen[0]:.0f} ms" if key == "p99_ms" else "",
             within=0.05 if key == "p50_ms" else 0.1)


def goodput():
    real, sim = [], []
    for block in range(BLOCKS):
        found = compare(RUSH_S, RUSH, 100 + block).values()
        real.append(sum(r[1] for _, r in found) / RUSH_S)
        sim.append(sum(s["in_time"] for s, _ in found) / RUSH_S)
    figures.say(f"  goodput: measured {real}, replayed {sim}")
    show("replay: goodput at 1.5 x capacity, measured / replayed", "/s", real, sim, within=0.05)


with figures.part("replay: speed"):
    speed()
with figures.part("replay: latencies"):
    latencies()
with figures.part("replay: goodput"):
    goodput()
figures.finish()
