#!/usr/bin/env python3
# figure: error of predicted service times, slowdowns and p99 on models left out, 12 networks of the zoo
# seconds: 6900
# long: profiles of 12 networks on two slices, all pairs of six and six sets of three take two hours to measure
"""How wrong `perseus predict` is on models that it has not seen (docs/prediction.md): the mean error
over models left out one by one, all choices made without them, against the project's goals. Published
beside it (one GPU, a split of rows): linear 19.1 %, support vectors 10.0 %.

The interval is Student's t over the models' errors. Where the noise of what was measured is over a
third of the goal, or not known, the goal cannot be judged by it: the row says so and is undecided.
Where nothing can be said of a model that is left out, the error has no bound: missed.

A row says how often intervals of 90 % hold the service time of a model that is predicted from the
others: twelve models are few, so the interval of that share is wide.

PS_BENCH_STORE=FILE names a store that has the profiles already (several, separated by ":"); else
they are measured now, on CPU 0 and on CPUs 0-1, and kept in build/bench/predict.
"""
import json
import math
import os
import pathlib
import subprocess

import yaml

from lib import figures, programs

SMALL = ("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "resnet18", "googlenet")
ZOO = SMALL if figures.QUICK else SMALL + ("alexnet", "densenet121", "resnet50", "resnet152",
                                           "inception_v3", "vgg16")
PAIRED = () if figures.QUICK else SMALL
LOAD = 0.70  # of the capacity alone, all of a set together
TRIPLES = [[PAIRED[(first + step) % len(PAIRED)] for step in (0, 1, 3)] for first in range(len(PAIRED))]
CONFIDENCE = 0.9
GUARANTEED = 0.8  # 1 - 2 (1 - CONFIDENCE), see docs/prediction.md
FOLDER = programs.ROOT / "build/bench/predict"


def measured(name, campaign):
    path, store = FOLDER / f"{name}.yaml", FOLDER / f"{name}.db"
    path.write_text(yaml.safe_dump(campaign, sort_keys=False))
    done = subprocess.run([programs.PERSEUS, "measure", path, "--store", store, "--workdir",
                           FOLDER / "work"] + (["--resume"] if store.exists() else []),
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{name}: {done.stderr[-500:]}")
    return store


def base(name, models, cpus):
    return {"name": name, "seed": 2020, "models": [{"name": m, "zoo": m} for m in models],
            "tenants": [{"name": m, "model": m, "demand": "1/s", "sla": "p95<=10s"} for m in models],
            "together": "none", "slice": {"cpus": cpus},
            "search": {"sets": "none"}, "confirm": {"trials": 0}}


def profiles(name, cpus, width, batches):
    c = base(name, ZOO, cpus)
    c["server"] = {"width": width}
    c["profile"] = {"trials": figures.count(6, 1), "users": 1, "batches": batches,
                    "duration": f"{figures.seconds(6)}s"}
    if width == "narrow":
        c["operators"] = {"runs": figures.count(50, 4)}
    return c


def service_s(store):
    """Seconds of one inference, by model: predictions say what was measured, row by row."""
    found = next(q for q in validated(store) if q["quantity"] == "service time")
    return {r["of"]: r["measured"] / 1e9 for m in found["models"] for r in m["rows"]
            if r["at"]["batch"] == 1}


def together(name, known, size):
    """All pairs, or the sets of three in which each model and each of its neighbours come alike."""
    c = base(name, PAIRED, "0")
    c["tenants"] = [{"name": m, "model": m, "demand": f"{LOAD / size / known[m]:.3f}/s",
                     "sla": "p95<=10s"} for m in PAIRED]
    if size == 2:
        c["together"] = "pairs"
        c["profile"] = {"trials": 4, "users": 1, "batches": [1], "duration": "4s"}
    else:
        c["sets"] = [{"name": f"three-{k}", "tenants": t} for k, t in enumerate(TRIPLES)]
    c["confirm"] = {"trials": 4, "duration": "20s"}
    return c


def stores():
    given = os.environ.get("PS_BENCH_STORE")
    if given:
        return [pathlib.Path(p) for p in given.split(":")]
    FOLDER.mkdir(parents=True, exist_ok=True)
    one = measured("one", profiles("one", "0", "narrow", [1] if figures.QUICK else [1, 2, 4, 8]))
    found = [one]
    if not figures.QUICK:
        found.append(measured("two", profiles("two", "0-1", "wide", [1, 4])))
        known = service_s(one)
        found.append(measured("pairs", together("pairs", known, 2)))
        found.append(measured("triples", together("triples", known, 3)))
    return found


def merged(found):
    if len(found) == 1:
        return found[0]
    FOLDER.mkdir(parents=True, exist_ok=True)
    out = FOLDER / "all.db"
    out.unlink(missing_ok=True)
    subprocess.run([programs.PERSEUS, "store", "merge", *found, "-o", out], check=True,
                   capture_output=True)
    return out


def validated(store):
    done = subprocess.run([programs.PERSEUS, "predict", store, "--validate", "--json"],
                          capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return json.loads(done.stdout)["quantities"]


def percent(share):
    return "none" if share is None else f"{100 * share:.1f} %"


def judged(error, errors, goal, noise):
    """(low, high, verdict): the interval of the mean error over the goal."""
    if error is None or None in errors:
        return None, None, "missed"
    _, low, high = figures.mean_interval(errors)
    low, high = (None, None) if low is None else (max(0, low) / goal, high / goal)
    if noise is None or noise > goal / 3:
        return low, high, "undecided"
    return low, high, figures.verdict(low, high, at_most=1)


def show(name, error, errors, goal, noise, note):
    low, high, verdict = judged(error, list(errors.values()), goal, noise)
    notes = [note, ", ".join(f"{m} {percent(e)}" for m, e in errors.items())]
    if noise is None:
        notes.append("the noise of the measurements is not known")
    elif noise > goal / 3:
        notes.append(f"the noise of the measurements, {100 * noise:.1f} %, is over a third of the goal")
    figures.row(f"predict: {name}", percent(error), f"goal {100 * goal:g} %",
                None if error is None else error / goal, low, high, "<= 1", verdict,
                "; ".join(n for n in notes if n))


def wilson(held, n):
    """The 95 % interval of a share of which `held` of n were seen."""
    z, p = 1.96, held / n
    middle, half = p + z * z / 2 / n, z * math.sqrt(p * (1 - p) / n + (z / 2 / n) ** 2)
    return (middle - half) / (1 + z * z / n), min(1, (middle + half) / (1 + z * z / n))


def held(store, models, batches):
    """By model, of how many of its measured service times the interval from the others holds them."""
    found = {}
    FOLDER.mkdir(parents=True, exist_ok=True)
    for model in models:
        subprocess.run([programs.PERSEUS, "zoo", "write", model, "--dir", FOLDER, "--seed", "2020"],
                       check=True, capture_output=True)
        for batch in batches:
            done = subprocess.run([programs.PERSEUS, "predict", store, FOLDER / f"{model}.onnx", "--json",
                                   "--batch", str(batch), "--confidence", f"{CONFIDENCE:.0%}"],
                                  capture_output=True, text=True)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            p = next(p for p in json.loads(done.stdout)["predictions"] if p["quantity"] == "service time")
            if p["measured"] is not None and p["low"] is not None:
                found.setdefault(model, []).append(p["low"] <= p["measured"] <= p["high"])
    return found


def show_intervals(store, q):
    batches = sorted({r["at"]["batch"] for m in q["models"] for r in m["rows"]})
    models = [m["model"] for m in q["models"]]
    enough = (len(models) - 1) / len(models) >= CONFIDENCE  # n others bound n / (n + 1) at most
    found = held(store, models, [int(b) for b in batches]) if enough else {}
    name = "predict: service time, how often intervals hold"
    if not found:
        figures.row(name, "none", f"asked {CONFIDENCE:.0%}", None, None, None, f">= {GUARANTEED:g}",
                    "undecided", f"fewer models than an interval of {CONFIDENCE:.0%} needs")
        return
    share = sum(sum(v) / len(v) for v in found.values()) / len(found)
    low, high = wilson(share * len(found), len(found))
    figures.row(name, f"{share:.0%}", f"asked {CONFIDENCE:.0%}", share, low, high, f">= {GUARANTEED:g}",
                figures.verdict(low, high, at_least=GUARANTEED),
                f"of {len(found)} models, batches {', '.join(f'{b:g}' for b in batches)}; not held: "
                + (", ".join(f"{m} {v.count(False)} of {len(v)}" for m, v in found.items()
                             if not all(v)) or "none"))


def main():
    store = merged(stores())
    for q in validated(store):
        name = q["quantity"]
        with figures.part(f"predict: {name}"):
            few, folds = q.get("from_three"), q.get("models")
            if few:
                show(f"{name}, {q['setting']}", few["error"], few["models"], q["goal"], few["noise"],
                     f"from three measured models, mean over {few['sets']} sets of three")
            elif folds:
                tried = ", ".join(f"{c} {100 * e:.1f} %" for c, e in q["candidates"].items() if e)
                show(name, q["error"], {m["model"]: m["error"] for m in folds}, q["goal"], q["noise"],
                     f"each candidate alone: {tried}")
                if name == "service time":
                    show_intervals(store, q)
            else:
                figures.row(f"predict: {name}", "", "", None, None, None, "", "shown", q["note"])
    figures.finish()


if __name__ == "__main__":
    main()
