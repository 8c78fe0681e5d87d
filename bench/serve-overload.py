#!/usr/bin/env python3
# figure: goodput under 3 x capacity, the admitted inside the SLA, memory, recovery
# seconds: 170
"""Overload. One lane on CPU 0, a model that takes 10 ms (spinning), SLA p99 <= 100 ms; the generator
is on CPU 1. Capacity is 100 requests/s by construction.

Peak: the best goodput (answers inside the SLA per second) over offered rates of 0.8, 0.9, 1.0 and
1.1 x capacity. Overload: 3 x capacity for 60 s. Its goodput is compared with the peak; of what was
admitted, the share inside the SLA is shown; the server's resident memory is sampled. Recovery: a
second tenant has offered 0.5 x capacity all the while and goes on after the load has fallen: how
long after the fall its last late or refused request was scheduled.
"""
import threading
import time

from lib import figures, peers, programs, scene

MEAN_MS, LIMIT_MS, SECONDS = 10, 100, 60
CAPACITY = 1000 / MEAN_MS
SLA = f"p99<={LIMIT_MS}ms"
MODELS = {"m": programs.synthetic(mean=f"{MEAN_MS}ms", mode="spin")}
TENANTS = {"a": {"sla": SLA}, "b": {"sla": SLA}}


def one(s, rate, seconds, seed=1):
    found = s.offer({"a": {"model": "m", "rate": rate, "sla": SLA}}, seconds, seed=seed)
    return found["a"][1]


def sample_memory(pid, stop, out):
    while not stop.wait(0.5):
        out.append(peers.resident_bytes(pid))


def main():
    with scene.scene(MODELS, TENANTS, {"lanes": 1}) as s:
        peak = 0
        for share in (0.8, 0.9, 1.0, 1.1):
            good = scene.goodput(one(s, share * CAPACITY, 8), LIMIT_MS, 8)
            figures.say(f"  offered {share} x capacity: goodput {good:.1f}/s")
            peak = max(peak, good)
        memory, stop = [], threading.Event()
        watcher = threading.Thread(target=sample_memory, args=(s.server.process.pid, stop, memory))
        watcher.start()
        rows, steal, repeats = figures.undisturbed(lambda: one(s, 3 * CAPACITY, SECONDS, 2))
        stop.set()
        watcher.join()
        ok, refused, other = scene.counts(rows)
        if other:
            raise RuntimeError(f"{other} requests ended neither well nor with a refusal")
        good = scene.goodput(rows, LIMIT_MS, SECONDS)
        inside = sum(ms <= LIMIT_MS for ms in scene.answered_ms(rows)) / ok
        tenth = len(memory) // 10 or 1
        growth = max(memory[-tenth:]) / max(memory[tenth:2 * tenth])
        recovery = recover(s)
    figures.row("serve: goodput at 3 x capacity", f"{good:.1f}/s", f"{peak:.1f}/s (its own peak)",
                good / peak, None, None, ">= 0.95", "met" if good >= 0.95 * peak else "missed",
                f"one run of {SECONDS} s, steal {100 * steal:.1f} %, {repeats} repeated;"
                f" {ok} answered, {refused} refused")
    figures.row("serve: admitted and inside the SLA at 3 x", f"{100 * inside:.2f} %", "99 %", inside,
                None, None, ">= 0.99", "met" if inside >= 0.99 else "missed")
    figures.row("serve: memory, last tenth to second tenth of 60 s", f"{memory[-1] / 2**20:.1f} MiB",
                f"{memory[tenth] / 2**20:.1f} MiB", growth, None, None, "<= 1.05",
                "met" if growth <= 1.05 else "missed")
    figures.row("serve: recovery after 3 x capacity", f"{recovery:.3f} s", "1 s", recovery, None,
                None, "<= 1 s", "met" if recovery <= 1 else "missed",
                "last late or refused request of a steady tenant, after the load fell")


def recover(s):
    """Seconds from the last scheduled request of the overload to the last request of the steady
    tenant that was late or refused."""
    results = {}

    def steady():
        found = s.offer({"b": {"model": "m", "rate": 0.5 * CAPACITY, "sla": SLA}}, 16, seed=3)
        results["b"] = found["b"][1]

    thread = threading.Thread(target=steady)
    thread.start()
    time.sleep(3)  # the overload begins inside the steady run; its end is known by its own instants
    over = s.offer({"a": {"model": "m", "rate": 3 * CAPACITY, "sla": SLA}}, 6, warmup=0, seed=4)
    thread.join()
    fell_ns = max(int(r["scheduled_ns"]) for r in over["a"][1])
    bad = [int(r["scheduled_ns"]) for r, ms in zip(results["b"], scene.latencies_ms(results["b"]))
           if ms > LIMIT_MS]
    after = [ns for ns in bad if ns > fell_ns]
    if max(int(r["scheduled_ns"]) for r in results["b"]) < fell_ns + 2e9:
        raise RuntimeError("the steady tenant ended before recovery could be seen")
    return (max(after) - fell_ns) / 1e9 if after else 0.0


main()
