#!/usr/bin/env python3
# figure: goodput under 3 x capacity, the admitted inside the SLA, memory, recovery
# seconds: 240
"""Overload. One lane on CPU 0, a model that takes 10 ms (spinning), SLA p99 <= 100 ms; the generator
is on CPU 1. Capacity is 100 requests/s by construction.

Goodput: answers inside the SLA per second. Blocks of 0.9, 1.0, 1.2 and 3 x capacity; the peak is the
rate below 3 x whose goodput has the best median, and the figure is 3 x against it, block by block.

Then 3 x capacity for 60 s. Of the requests that were admitted, the share inside the SLA, by three
clocks: the server's (queue + compute, as it says in its answers), from the instant when the request
was sent, and from the instant when it was due. The second is judged, over six parts of 10 s: what lies
between due and sent is the generator's lag on this machine, which is shown. The server's resident
memory is sampled meanwhile.

Recovery: one tenant offers 0.65 x capacity all the while, more than its half; another one comes in
bursts of 2.4 x capacity and leaves again. After each fall: how long until the steady tenant has half a
second without a request that is refused or late. All on one schedule and one clock. The median of the
falls is judged, the worst is shown.
"""
import threading

from lib import figures, peers, programs, scene

MEAN_MS, LIMIT_MS, BLOCKS = 10, 100, 10
SECONDS, LONG_SECONDS = figures.seconds(3), 8 if figures.QUICK else 60
PARTS = 6  # of the long run
CAPACITY = 1000 / MEAN_MS
SLA = f"p99<={LIMIT_MS}ms"
MODELS = {"m": programs.synthetic(mean=f"{MEAN_MS}ms", mode="spin")}
TENANTS = {"a": {"sla": SLA}, "b": {"sla": SLA}}
RATES = (0.9, 1.0, 1.2, 3.0)
FALLS, BURST_S, QUIET_S = figures.count(6), 1.0, 1.2
FALL_SECONDS, FALL_RUNS = 10 if figures.QUICK else 25, 2


def offer(s, share, seconds, seed):
    rows = s.offer({"a": {"model": "m", "rate": share * CAPACITY, "sla": SLA,
                          "check_repeats": True}}, seconds, seed=seed)["a"][1]
    _, _, other = scene.counts(rows)
    if other:
        raise RuntimeError(f"{other} requests ended neither well nor with a refusal")
    return rows


def goodput(s):
    found, *disturbed = figures.rounds(
        {f"{share:g} x": lambda i, x=share: scene.goodput(offer(s, x, SECONDS, i + 1), LIMIT_MS,
                                                          SECONDS) for share in RATES},
        BLOCKS, "goodput (1/s)")
    names = [f"{share:g} x" for share in RATES]
    peak = max(names[:-1], key=lambda n: figures.median(found[n]))
    figures.ratio_row("serve: goodput at 3 x capacity", figures.paired(found, names[-1], peak,
                                                                       *disturbed), "/s",
                      at_least=0.95, note=f"peer: its own peak, at {peak} capacity")
    return figures.median(found[peak])


def sample_memory(pid, stop, out):
    while not stop.wait(0.25):
        out.append(peers.resident_bytes(pid))


def with_memory(s, work):
    """(what `work` returns, resident bytes every quarter of a second)."""
    memory, stop = [], threading.Event()
    watcher = threading.Thread(target=sample_memory, args=(s.server.process.pid, stop, memory))
    watcher.start()
    try:
        return work(), memory
    finally:
        stop.set()
        watcher.join()


def between(row, first, last):
    return (int(row[last]) - int(row[first])) / 1e6


CLOCKS = {
    "server's clock": lambda r: (int(r["server_queue_ns"]) + int(r["server_compute_ns"])) / 1e6,
    "from sent": lambda r: between(r, "sent_ns", "done_ns"),
    "from due": lambda r: between(r, "scheduled_ns", "done_ns"),
}


def inside(rows, clock):
    """Share of the answered requests that were inside the SLA by a clock, for each part of the run."""
    answered = [r for r in rows if r["outcome"] == "ok"]
    size = len(answered) / PARTS
    parts = [answered[round(i * size):round((i + 1) * size)] for i in range(PARTS)]
    return [sum(CLOCKS[clock](r) <= LIMIT_MS for r in part) / len(part) for part in parts]


def sustained(s, peak):
    (rows, memory), steal, repeats = figures.undisturbed(
        lambda: with_memory(s, lambda: offer(s, 3, LONG_SECONDS, 100)))
    ok, refused, _ = scene.counts(rows)
    good = scene.goodput(rows, LIMIT_MS, LONG_SECONDS)
    figures.row(f"serve: goodput over {LONG_SECONDS} s of 3 x", f"{good:.1f}/s", f"{peak:.1f}/s",
                good / peak, None, None, "", "shown",
                f"one run, no interval; steal {100 * steal:.1f} %, {repeats} repeated; {ok}"
                f" answered, {refused} refused")
    lag = scene.quantile([between(r, "scheduled_ns", "sent_ns") for r in rows], 0.99)
    for clock in CLOCKS:
        mean, low, high = figures.mean_interval(inside(rows, clock))
        judged = clock == "from sent"
        figures.row(f"serve: admitted and inside the SLA at 3 x, {clock}", f"{100 * mean:.2f} %",
                    "99 %", mean, low, high, ">= 0.99" if judged else "",
                    figures.verdict(low, high, **({"at_least": 0.99} if judged else {})),
                    f"mean of {PARTS} parts; the generator's send lag has p99 {lag:.2f} ms"
                    if clock == "from due" else "")
    tenth = len(memory) // 10 or 1
    first, last = max(memory[tenth:2 * tenth]), max(memory[-tenth:])
    figures.row(f"serve: memory, last to second tenth of {LONG_SECONDS} s", f"{last / 2**20:.1f} MiB",
                f"{first / 2**20:.1f} MiB", last / first, None, None, "<= 1.05",
                "met" if last <= 1.05 * first else "missed")


def recoveries(s, seed):
    """(seconds of each fall of one run until the steady tenant was served again, how many of its
    requests were refused or late in all)."""
    bursty = {"model": "m", "rate": 0.48 * CAPACITY, "arrival": "bursts", "burst_ratio": 5,
              "burst_share": "20%", "burst_length": f"{BURST_S}s", "sla": SLA}
    steady = {"model": "m", "rate": 0.65 * CAPACITY, "sla": SLA}
    found = s.offer({"a": bursty, "b": steady}, FALL_SECONDS, warmup=0, seed=seed)
    bad = [int(r["sent_ns"]) for r in found["b"][1]
           if r["outcome"] != "ok" or between(r, "sent_ns", "done_ns") > LIMIT_MS]
    due = [int(r["scheduled_ns"]) for r in found["a"][1]]
    out = [scene.recovered_s(fell, until, bad)
           for fell, until in scene.falls(due, int(FALL_SECONDS * 1e9), QUIET_S)]
    figures.say(f"  {len(bad)} of {len(found['b'][1])} requests of the steady tenant refused or late;"
                f" recovery after {len(out)} falls (s): {', '.join(f'{x:.3f}' for x in out)}")
    return out, len(bad)


def recovery(s):
    times, felt = [], 0
    for seed in range(1, FALL_RUNS + 1):
        more, bad = recoveries(s, seed)
        times, felt = times + more, felt + bad
        if len(times) >= FALLS:
            break
    if not times:
        raise RuntimeError("the load never fell for long enough")
    middle = figures.median(times)
    figures.row("serve: recovery after an overload", f"{middle:.3f} s", "1 s", middle, min(times),
                max(times), "<= 1 s", "met" if middle <= 1 else "missed",
                f"median of {len(times)} falls (column interval: best and worst) until half a second in"
                f" which nothing of a steady tenant is late or refused; {felt} of its requests were, in"
                " all")


def main():
    with scene.scene(MODELS, TENANTS, {"lanes": 1}) as s:
        peak = goodput(s)
        with figures.part("serve: 60 s of 3 x capacity"):
            sustained(s, peak)
        with figures.part("serve: recovery"):
            recovery(s)


main()
figures.finish()
