#!/usr/bin/env python3
# figure: fair model memory: the policies under the published workload, 60 seeds
# seconds: 10
"""perseus cache simulate under the ROBUS workload (docs/cache.md has every parameter): the same
requests for all policies in each seed, so throughputs compare by seed. Shares are those that a plan
foresees over its draw. The scenario with a minority is examples/cache/minority.yaml."""
import json
import subprocess

from lib import figures, programs

SEEDS = figures.count(60, 6)
MINORITY = programs.ROOT / "examples/cache/minority.yaml"


def perseus(*args):
    done = subprocess.run([programs.PERSEUS, "cache", *map(str, args), "--json"],
                          capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return {row["policy"]: row for row in json.loads(done.stdout)["policies"]}


def exact(name, ours, peer, value, goal, holds, note=""):
    figures.row(name, ours, peer, value, value, value, goal, "met" if holds else "missed", note)


def throughput(found):
    for policy in ("pf", "mmf", "rsd", "lru", "static"):
        r, best = found[policy]["against_optp"], found["optp"]["requests_per_s"]["value"]
        goal = {"at_least": 0.95} if policy == "pf" else {}
        figures.row(f"cache: throughput of {policy}",
                    f"{found[policy]['requests_per_s']['value']:.4f}/s", f"optp {best:.4f}/s",
                    r["value"], r["low"], r["high"], ">= 0.95" if goal else "",
                    figures.verdict(r["low"], r["high"], **goal), f"{SEEDS} seeds, paired")


def fairness(found):
    for policy in ("pf", "mmf"):
        worst = found[policy]["worst_epoch"]
        exact(f"cache: worst tenant's share under {policy}", f"{worst:.9f}", "its entitlement",
              worst, ">= 1 - 1e-6", worst >= 1 - 1e-6,
              f"the worst tenant of the worst of {found[policy]['epochs']} epochs")
    pf = found["pf"]
    exact("cache: epochs of pf outside the core", f"{pf['epochs_outside']} of "
          f"{pf['epochs_looked_at']}", "none", pf["epochs_outside"], "0",
          pf["epochs_outside"] == 0 and pf["epochs_looked_at"] == pf["epochs"] > 0,
          "all groups of tenants asked; optp is outside in "
          f"{found['optp']['epochs_outside']}, mmf in {found['mmf']['epochs_outside']}")
    exact("cache: certificate of pf", f"{pf['gap']:.1e}", "of the weights", pf["gap"], "<= 1e-6",
          pf["gap"] <= 1e-6, f"the largest of {pf['epochs']} epochs")


def minority():
    found = perseus("explain", MINORITY)
    worst = {p: found[p]["worst_share"] for p in ("optp", "pf", "mmf")}
    exact("cache: two against one, optp", f"{worst['optp']:.4f}", "its entitlement", worst["optp"],
          "< 1", worst["optp"] < 1, "the same under pf "
          f"{worst['pf']:.6f}, mmf {worst['mmf']:.6f}; who objects to optp: "
          + " and ".join(found["optp"]["objection"]["tenants"]))


def lru():
    """In utilities that do not count what is in memory twice."""
    found = perseus("simulate", "--seeds", SEEDS, "--warm-factor", 1)
    for policy in ("lru", "pf"):
        r = found[policy]["worst_share"]
        slow = max(t["mean_slowdown"]["value"] for t in found[policy]["tenants"])
        figures.row(f"cache: worst tenant's share, {policy}", f"{r['value']:.4f}",
                    "its entitlement", r["value"], r["low"], r["high"], "", "shown",
                    f"over all epochs of a run; outside the core in "
                    f"{100 * found[policy]['outside_core']['value']:.0f} % of epochs, the slowest "
                    f"tenant's mean slowdown {slow:.2f}")


with figures.part("cache: policies"):
    result = perseus("simulate", "--seeds", SEEDS)
    throughput(result)
    fairness(result)
with figures.part("cache: two against one"):
    minority()
with figures.part("cache: lru"):
    lru()
figures.finish()
