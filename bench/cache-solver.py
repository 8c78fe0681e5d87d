#!/usr/bin/env python3
# figure: fair model memory: how long a plan takes, its certificate, and 10,000 small cases against every set
# seconds: 45
"""perseus-cache-check (bench/cache) solves random problems: models of 10 MB to 1 GB, memory for a
third of their bytes, every tenant asking for every model by Zipf over its own ranking. The small
cases (up to 4 tenants and 7 models, weights, pins, guarantees) are held against every set there is:
WELFARE against enumeration, MMF against a textbook simplex that asks each tenant alone, PF against
an interior point method, and its certificate against every set."""
import json
import pathlib
import subprocess

from lib import figures, programs

BUILD = pathlib.Path(programs.PERSEUS).parent
CHECK = BUILD / "bench/perseus-cache-check"
SIZES = ((4, 20, 1e-3, 50), (20, 200, 50e-3, 20), (100, 2000, 2.0, 6))


def check(*args):
    done = subprocess.run([CHECK, *map(str, args)], capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError((done.stderr or done.stdout).strip()[-2000:])
    return [json.loads(line) for line in done.stdout.splitlines()]


def solver(tenants, items, limit_s, repeat, policy):
    repeat = figures.count(repeat, 3)
    found, steal, repeated = figures.undisturbed(
        lambda: check("time", tenants, items, policy, repeat, 1, 3))
    ratios = [r["seconds"] / limit_s for r in found]
    middle, low, high = figures.log_interval(ratios)
    gap = max(r["gap"] for r in found)
    cpu_s = max(r["cpu_seconds"] for r in found)
    result = figures.verdict(low, high, at_most=1)
    what = "of the weights" if policy == "pf" else "of what each would have alone"
    figures.row(f"cache: {policy} of {tenants} tenants x {items} models",
                f"{1e3 * limit_s * middle:.3g} ms", f"{1e3 * limit_s:g} ms", middle, low, high,
                "<= 1", "missed" if gap > 1e-6 or cpu_s > limit_s else result,
                f"{repeat} problems; the longest took {1e3 * cpu_s:.3g} ms of CPU time, which must "
                f"keep the limit, too; certificates to {gap:.1e} {what}; at most "
                f"{max(r['priced'] for r in found)} knapsacks; steal {100 * steal:.1f} %, "
                f"{repeated} repeated")


def shown(name, found):
    times = [r["cpu_seconds"] for r in found]
    figures.row(f"cache: {name}", f"{max(times):.3g} s", "", max(times), min(times), max(times), "",
                "shown",
                f"seconds of CPU time; at most {max(r['configurations'] for r in found)} "
                f"configurations, certificates to {max(r['gap'] for r in found):.1e}")


def scarce():
    """Where little fits, many configurations must be mixed: the hard end."""
    for policy, part in (("pf", 30), ("pf", 200), ("mmf", 30)):
        shown(f"{policy} of 100 x 2000, memory for 1/{part}",
              check("time", 100, 2000, policy, figures.count(2, 1), 1, part))


def by_bytes():
    """Models that are worth as much as they are large: no bound of the knapsack tells sets apart."""
    for policy in ("pf", "mmf"):
        shown(f"{policy} of 20 x 200, worth by bytes",
              check("time", 20, 200, policy, figures.count(5, 2), 1, 3, "same"))


def small():
    found = check("small", figures.count(10000, 500), 1)[0]
    figures.row("cache: small cases against every set",
                f"{found['cases'] - found['wrong']} of {found['cases']}", "every set tried",
                found["wrong"], found["wrong"], found["wrong"], "0 differ",
                "met" if found["wrong"] == 0 else "missed",
                f"largest differences: WELFARE {found['welfare']:.1e}, MMF {found['mmf']:.1e}, PF "
                f"objective {found['pf_gap']:.1e} of the weights, utilities "
                f"{found['pf_utility']:.1e}")


subprocess.run(["cmake", "--build", BUILD, "--target", "perseus-cache-check"], check=True,
               stdout=subprocess.DEVNULL)
for policy in ("pf", "mmf"):
    for size in SIZES:
        with figures.part(f"cache: {policy} of {size[0]} x {size[1]}"):
            solver(*size, policy)
with figures.part("cache: little memory"):
    scarce()
with figures.part("cache: worth by bytes"):
    by_bytes()
with figures.part("cache: small cases"):
    small()
figures.finish()
