#!/usr/bin/env python3
# figure: tenant A's p99 beside a neighbour that is always backlogged, and one of long runs
# seconds: 620
"""Noisy neighbour. Two lanes; the models sleep for their service time (10 ms), so that the lanes and the
generator on CPU 1 do not meet on a core: what is measured is the order of service.

(a) A and B have equal weights and use one model. A offers 0.6 of its share (half of capacity).
    The peer: B offers its share. Ours: B has no quota and is always backlogged (a closed loop of 64
    users). A's p99 of ours / of the peer; A must lose no request.
(b) B's run takes 10 x longer (a model of its own, 100 ms), B always backlogged: A's p99 against its
    p99 in (a) plus one B run; and with reserve_lanes: 1 (A guaranteed, B best-effort) against 1.5 x
    the peer of (a).
"""
from lib import figures, programs, scene

MEAN_MS, SECONDS, BLOCKS, LANES = 10, 10, 10, 2
CAPACITY = LANES * 1000 / MEAN_MS
MODELS = {"m": programs.synthetic(mean=f"{MEAN_MS}ms", mode="sleep"),
          "long": programs.synthetic(mean=f"{10 * MEAN_MS}ms", mode="sleep")}
A = {"model": "m", "rate": 0.6 * CAPACITY / 2}


def p99(s, b, seed):
    found = s.offer({"a": A, "b": b}, SECONDS, seed=seed)
    rows = found["a"][1]
    ok, refused, other = scene.counts(rows)
    if refused or other:
        raise RuntimeError(f"A lost {refused + other} of {len(rows)} requests")
    return scene.quantile(scene.latencies_ms(rows), 0.99)


def blocks(s, ours, peer, label):
    seed = iter(range(1, 10000))
    return figures.interleave(lambda: p99(s, ours, next(seed)), lambda: p99(s, peer, next(seed)),
                              BLOCKS, label)


def main():
    share = {"model": "m", "rate": CAPACITY / 2 * 0.95}
    backlogged = {"model": "m", "concurrency": 64}
    long = {"model": "long", "concurrency": 64}
    with scene.scene(MODELS, {"a": {}, "b": {}}, {"lanes": LANES}, cpus="0-1") as s:
        r = blocks(s, backlogged, share, "(a) p99 (ms)")
        figures.ratio_row("neighbour always backlogged, same model: A's p99", r, "ms", at_most=1.5,
                          note="peer: the neighbour at its share; A lost nothing")
        in_a = sorted(r["ours"])[len(r["ours"]) // 2]
        bound = in_a + 10 * MEAN_MS
        values = [p99(s, long, 20000 + i) for i in range(BLOCKS)]
        mean, low, high = figures.log_interval([v / bound for v in values])
        figures.row("neighbour's run 10 x longer: A's p99", f"{mean * bound:.4g} ms",
                    f"{bound:.4g} ms", mean, low, high, "<= 1",
                    figures.verdict(low, high, at_most=1.0),
                    "bound: p99 in (a) plus one run of the neighbour")
    with scene.scene(MODELS, {"a": {}, "b": {"class": "best-effort"}},
                     {"lanes": LANES, "reserve_lanes": 1}, cpus="0-1") as s:
        r = blocks(s, long, {"model": "m", "rate": CAPACITY / 2 * 0.95}, "(b) reserved p99 (ms)")
        figures.ratio_row("the same with reserve_lanes: 1: A's p99", r, "ms", at_most=1.5,
                          note="peer: the neighbour at its share of short runs")


main()
