#!/usr/bin/env python3
# figure: tenants of a server whose models do not fit in memory, beside one that walks through all of its own
# seconds: 2850
# long: seven loads a block on servers that need time to settle; in stretches: PS_BENCH_STRETCH_S
"""Model memory in the server, with real models.

Four tenants with six zoo models each, two of them common to all (18 contents). The budget is 40 % of
what all of them hold, as the server measures it. Three tenants ask for their models by the weights 1,
1/4, 1/9, ... (Poisson arrivals), and their models would fit; the fourth asks for all of its six alike,
and they are large and quick to run: what it takes from the others is memory, not time. One server per
policy. In each block every policy has a load with the scanner, and pf and lru one without it, all with
the same arrivals of the three, in an order that is reversed in every other block. Their p99 and goodput
(answers within LIMIT_MS per second) with the scanner are set against those without it, and their cold
starts, which say what the policy did where a load is as quick as a mapped file makes it; the goodput of
all four under pf against that of the policy with the most. Every model was loaded once before by each
server, so that it is converted and known, and has had all four for SETTLE_S seconds that do not count;
between two loads of a server come WARMUP_S seconds of the next one that do not count, in which its
policy learns who asks for what.
"""
import contextlib
import statistics
import tempfile
import time

from lib import figures, memory, programs, scene, stretch
from support.perseus import Server

SHARED = ["mobilenet_v1", "squeezenet1_1"]
OWN = {"a": ["mobilenet_v2", "googlenet", "lstm_256", "resnet18"],
       "b": ["efficientnet_b0", "lstm_512", "gru_512", "lstm_1536"],
       "c": ["densenet121", "gru_1024", "lstm_1024", "gru_1536"],
       "scan": ["lstm_2048", "gru_2048", "gru_2560", "gru_2816"]}
STEADY = ["a", "b", "c"]
RATE, SCAN_RATE, LIMIT_MS = 4, 2, 100
SHARE = 0.4  # of what all models hold
SECONDS, WARMUP_S, BLOCKS = figures.seconds(30), 2 if figures.QUICK else 8, figures.count(10)
SETTLE_S = 2 if figures.QUICK else 20
POLICIES = ["pf", "lru"] if figures.QUICK else ["pf", "lru", "gdsf", "optp", "mmf"]
EPOCH = "2s"
SYSTEMS = {f"{p}+scan": (p, list(OWN)) for p in POLICIES} | \
          {f"{p} alone": (p, STEADY) for p in ("pf", "lru")}
SETTING = [SHARED, OWN, RATE, SCAN_RATE, LIMIT_MS, SHARE, SECONDS, WARMUP_S, SETTLE_S, EPOCH,
           list(SYSTEMS)]


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


@contextlib.contextmanager
def server(files, cache, budget, policy):
    keys, rows = {}, []
    for name in OWN:
        keys[name], digest = programs.new_key()
        rows.append({"name": name, "keys": [digest], "queue_limit": 100000,
                     "models": SHARED + OWN[name]})
    admin, digest = programs.new_key()
    config = {"cache": cache, "model_memory": str(int(budget)), "memory_policy": policy,
              "memory_epoch": EPOCH, "min_residency": 0, "lanes": 1, "admin_keys": [digest],
              "cpus": str(programs.SERVER_CPU)}
    with Server(models=files, tenants=rows, config=config) as s:
        made = Mixed(s, keys)
        made.admin = admin
        for name, own in OWN.items():  # each model's first load in this process
            for model in SHARED + own:
                head = {"Authorization": f"Bearer {keys[name]}"}
                status, _, body = s.get(f"/v2/models/{model}", headers=head, timeout=120)
                if status != 200:
                    raise RuntimeError(f"{model} answers {status}: {body[:300]}")
        yield made
        made.check()


def cold_starts(s):
    return {n: s.server.metric("perseus_model_cold_starts_total", s.admin, tenant=n) for n in OWN}


def measured(rows, seconds):
    """Of the records of some tenants."""
    return {"p99": scene.p99(rows), "goodput": scene.goodput(rows, LIMIT_MS, seconds)}


def offer(s, names, block):
    before = cold_starts(s)
    found = s.offer({n: tenant_of(n) for n in names}, SECONDS, warmup=WARMUP_S, timeout="30s",
                    seed=block + 1)
    after = cold_starts(s)
    rows = {n: r for n, (_, r) in found.items()}
    result = measured([r for n in STEADY for r in rows[n]], SECONDS)
    result["all"] = measured([r for rs in rows.values() for r in rs], SECONDS)["goodput"]
    result["cold"] = sum(after[n] - before[n] for n in STEADY)
    return result


def settle(scenes):
    """A server's first seconds are of loads of which it does not know yet what they cost."""
    for s in scenes.values():
        s.offer({n: tenant_of(n) for n in OWN}, SETTLE_S, warmup=0, timeout="30s", seed=1000)


def measure(scenes, block):
    order = list(SYSTEMS) if block % 2 == 0 else list(reversed(SYSTEMS))
    found = {}
    for name in order:
        policy, tenants = SYSTEMS[name]
        found[name] = offer(scenes[policy], tenants, block)
    return found


def main():
    blocks = stretch.Blocks("cache-server", BLOCKS, SETTING)
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as d, contextlib.ExitStack() as stack:
        files = memory.zoo(d, *SHARED, *(m for own in OWN.values() for m in own))
        held = memory.measured_bytes(files, d + "/cache")
        figures.say(f"  all hold {held / 2**20:.0f} MiB, the budget is {SHARE * held / 2**20:.0f} MiB")
        scenes = {p: stack.enter_context(server(files, d + "/cache", SHARE * held, p))
                  for p in POLICIES}
        settle(scenes)
        for block in blocks.left():
            found, steal, repeats = figures.undisturbed(lambda: measure(scenes, block))
            blocks.keep({"systems": found, "steal": steal, "repeats": repeats})
            figures.say(f"  block {block + 1}/{BLOCKS}: " + "; ".join(
                f"{n} p99 {x['p99']:.1f} ms, good {x['goodput']:.1f}/s, cold {x['cold']:.0f}"
                for n, x in found.items()) + f"; steal {100 * steal:.1f} %")
    rows(blocks.found)


def compared(blocks, ours, peer, what):
    systems = [b["systems"] for b in blocks]
    found = {n: [s[n][what] for s in systems] for n in (ours, peer)}
    return figures.paired(found, ours, peer, sum(b["repeats"] for b in blocks),
                          sum(b["steal"] > figures.MAX_STEAL for b in blocks))


def rows(blocks):
    goals = {"pf": ({"at_most": 1.1}, {"at_least": 0.9}), "lru": ({}, {})}
    for policy, (slower, less) in goals.items():
        ours, peer = f"{policy}+scan", f"{policy} alone"
        note = "peer: the same three without it"
        figures.ratio_row(f"{policy}: p99 of three tenants beside one that scans",
                          compared(blocks, ours, peer, "p99"), "ms", note=note, **slower)
        figures.ratio_row(f"{policy}: goodput of three tenants beside one that scans",
                          compared(blocks, ours, peer, "goodput"), "/s",
                          note=f"answers within {LIMIT_MS} ms; {note}", **less)
        few, many = (statistics.fmean(b["systems"][n]["cold"] for b in blocks) for n in (peer, ours))
        figures.row(f"{policy}: cold starts of three tenants beside one that scans",
                    f"{many:.1f} a block", f"{few:.1f} a block", many / few if few else None, None,
                    None, "", "shown", f"of about {len(STEADY) * RATE * (SECONDS + WARMUP_S):.0f} "
                    f"requests, warm-up and all; {note}")
    most = max(POLICIES, key=lambda p: statistics.median(b["systems"][f"{p}+scan"]["all"]
                                                         for b in blocks))
    figures.ratio_row("pf: goodput of all four tenants",
                      compared(blocks, "pf+scan", f"{most}+scan", "all"), "/s", at_least=0.95,
                      note=f"peer: {most}, the best of {', '.join(POLICIES)}")


if __name__ == "__main__":
    main()
