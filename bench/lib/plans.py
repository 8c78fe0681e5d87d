"""Made-up plans of any size: models, service times per type, tenants; prices are those of the examples."""
import json
import math
import os
import pathlib
import random
import resource
import subprocess
import sys
import tempfile
import time

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PERSEUS = os.environ.get("PERSEUS", str(ROOT / "build/release/perseus"))
MODELS = 24


def prices(types):
    """The first rows of the example sheet for machines without GPU whose size it states."""
    rows, seen = [], set()
    for path in sorted((ROOT / "examples").glob("prices/*.yaml")):
        for row in yaml.safe_load(path.read_text())["prices"]:
            key = (row["provider"], row["instance_type"])
            if row.get("gpu_kind") or not row.get("vcpu") or not row.get("memory_gib") \
                    or key in seen:
                continue
            seen.add(key)
            rows.append({k: v for k, v in row.items() if k != "source_date"}
                        | {"source_date": str(row["source_date"])})
    if len(rows) < types:
        sys.exit(f"the example sheet has {len(rows)} machines, not {types}")
    return rows[:types]


def log_uniform(r, low, high):
    return math.exp(r.uniform(math.log(low), math.log(high)))


def make(folder, tenants, types, seed, loads=(0.02, 1.5)):
    """Writes plan.yaml and what it names. Service times of 5 to 120 ms on a lane, by type up to a
    quarter faster or slower; limits of 3 to 12 services; each tenant is a kind of its own."""
    r = random.Random(seed)
    sheet = prices(types)
    models = [(f"m{i}", log_uniform(r, 5, 120), r.uniform(0, 0.3), r.randint(50, 600))
              for i in range(MODELS)]
    factors = [r.uniform(0.8, 1.25) for _ in sheet]
    profiles = [{"model": name, "instance_type": f"{row['provider']}/{row['instance_type']}",
                 "service": f"{ms * factor:.4f}ms", "cv": round(cv, 3), "error": "3%",
                 "memory": f"{mib}MiB", "load_peak": f"{mib // 2}MiB"}
                for name, ms, cv, mib in models for row, factor in zip(sheet, factors)]
    rows = []
    for i in range(tenants):
        name, ms, _, _ = r.choice(models)
        rows.append({"name": f"t{i}", "model": name,
                     "rate": f"{log_uniform(r, *loads) / ms * 1e3:.4f}/s",
                     "sla": f"p{r.choice((95, 99))} <= {ms * r.uniform(3, 12):.1f}ms"})
    for name, value in (("prices", {"prices": sheet}), ("profiles", {"profiles": profiles})):
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(value))
    (folder / "plan.yaml").write_text(yaml.safe_dump(
        {"prices": "prices.yaml", "profiles": "profiles.yaml", "tenants": rows}, sort_keys=False))
    return folder / "plan.yaml"


def plan(path, limit_s, *args):
    """(the plan as JSON, seconds, the most memory of any so far in bytes)."""
    begin = time.monotonic()
    done = subprocess.run([PERSEUS, "plan", path, "--json", "--time-limit", f"{limit_s}s", *args],
                          capture_output=True, text=True, timeout=20 * limit_s + 60)
    took = time.monotonic() - begin
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    found = json.loads(done.stdout)
    check(found, yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))
    return found, took, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def check(found, case):
    """All traffic of every tenant is somewhere, inside its limit, and the sum is the cost."""
    share = {t["name"]: 0.0 for t in case["tenants"]}
    usd = 0.0
    for machine in found["placements"]["plan"]["machines"]:
        usd += machine["usd_per_hour"]
        for t in machine["tenants"]:
            share[t["tenant"]] += t["share"]
            if t["p99_high_ms"] > t["limit_ms"] * (1 + 1e-6):
                raise RuntimeError(f"{t['tenant']} is over its limit")
    if any(abs(s - 1) > 1e-6 for s in share.values()):
        raise RuntimeError("a tenant's traffic is not whole")
    if abs(usd - found["usd_per_hour"]) > 1e-6 * usd:
        raise RuntimeError("the machines do not cost what the plan says")


def cases(tenants, types, seeds, limit_s, *args, **more):
    """Plans of several seeds, one after the other."""
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            yield plan(make(pathlib.Path(folder), tenants, types, seed, **more), limit_s, *args)
