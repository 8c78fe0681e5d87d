#!/usr/bin/env python3
# figure: truth: the same campaign twice: how many of its figures disagree at their own confidence
# seconds: 85
"""The whole instrument against itself.

One campaign file, run twice into one store: three tenants of 2, 3 and 5 ms alone, in pairs and together
in blocks at their demand rates, the capacity of each alone, cold starts. `perseus report --against` then
compares each figure that both have, at the 95 % that it states: a ratio whose interval does not hold 1
disagrees. Of n honest comparisons about n / 20 do; the goal is no more than chance lets in 99 of 100
cases (the binomial limit). More would mean that intervals are too narrow for what the machine does from
one run to the next, as each run sees only itself.

The same arrivals come in both runs, so that medians are compared pair by pair; what remains between them
is the machine. A campaign that failed in part, or two that share too little, is no verdict.
"""
import json
import pathlib
import subprocess
import tempfile

import yaml

from lib import figures, programs

SLA = "p95<=40ms,success>=99%"
TENANTS = {"a": ("2ms", "40/s"), "b": ("3ms", "30/s"), "c": ("5ms", "20/s")}
BLOCKS = figures.count(4)  # the fewest that have an interval
LEAST = 12  # comparisons of a whole run: 12 medians of sets, 3 capacities, 3 cold starts


def campaign(folder):
    for name, (mean, _) in TENANTS.items():
        text = yaml.safe_dump(programs.synthetic(mean=mean, mode="spin"))
        (folder / f"{name}.synthetic.yaml").write_text(text)
    short = {"duration": "500ms", "warmup": "50ms"}
    c = {"name": "repeat", "seed": 5,
         "models": [{"name": n, "file": f"{n}.synthetic.yaml"} for n in TENANTS],
         "tenants": [{"name": n, "model": n, "demand": rate, "sla": SLA}
                     for n, (_, rate) in TENANTS.items()],
         "subsets": 2,  # and all of them together
         "slice": {"cpus": str(programs.SERVER_CPU)},
         "generator_cpu": programs.LOAD_CPU,
         "search": {"sets": "none" if figures.QUICK else "alone", "scale": "500ms", "steps": 4, "step": "700ms",
                    "warmup": "100ms", "checks": 1},
         "confirm": {"trials": BLOCKS, **short},
         "cold": {"trials": BLOCKS, "duration": "150ms"}}
    path = folder / "campaign.yaml"
    path.write_text(yaml.safe_dump(c, sort_keys=False))
    return path


def perseus(*args):
    """(exit code, standard output) of a run that could be made."""
    done = subprocess.run([programs.PERSEUS, *map(str, args)], capture_output=True, text=True)
    if done.returncode not in (0, 1) or not done.stdout:
        raise RuntimeError(f"perseus {args[0]}: {done.stderr.strip().splitlines()[-1:]}")
    return done.returncode, done.stdout


def measure(path, store, folder):
    code, out = perseus("measure", path, "--store", store, "--workdir", folder / "work", "--json")
    r = json.loads(out)
    figures.say(f"  campaign {r['campaign_id']}: {r['cells_done']} cells")
    if code != 0:
        raise RuntimeError(f"{r['cells_failed']} cells failed, {r['cells_left']} are left")


def verdict(a):
    """Where chance may let all of them disagree, nothing is told."""
    if a["comparisons"] < LEAST or a["limit"] >= a["comparisons"]:
        return "undecided"
    return "met" if a["disagreeing"] <= a["limit"] else "missed"


def main():
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as d:
        folder = pathlib.Path(d)
        path, store = campaign(folder), folder / "results.db"
        _, steal = figures.with_steal(lambda: [measure(path, store, folder) for _ in range(2)])
        _, out = perseus("report", store, "--against", 1, "--json")
    a = json.loads(out)
    for row in a["rows"]:
        if not row["agrees"]:
            figures.say(f"  {row['what']}: {row['ratio']:.4f} [{row['low']:.4f}, {row['high']:.4f}]")
    figures.row("truth: one campaign, twice", f"{a['disagreeing']} of {a['comparisons']} disagree",
                f"limit {a['limit']}", None, None, None, "<= binomial limit", verdict(a),
                f"comparisons at {100 * a['confidence']:.0f} %, limit at 99 %; {a['too_few']} could not"
                f" be compared; steal {100 * steal:.1f} %")


main()
