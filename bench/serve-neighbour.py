#!/usr/bin/env python3
# figure: tenant A's p99 beside a neighbour that is always backlogged, and one of long runs
# seconds: 255
"""Noisy neighbour. Two lanes; the models sleep for their service time (10 ms), so that the lanes and the
generator on CPU 1 do not meet on a core: what is measured is the order of service. A and B have equal
weights, neither has a quota; A offers 0.6 of its share (its share is half of capacity) with Poisson
arrivals. Each block has four loads, with the same arrivals of A:

- share: B offers 0.95 of its share, same model. The peer of what follows.
- (a) backlog: B is always backlogged on the same model (a closed loop of 64 users).
- (b) long: B is always backlogged with a run that takes 10 x longer (a model of its own, 100 ms;
  a closed loop of 8 users).
- (b) reserved: the same on a server with reserve_lanes: 1, where A is guaranteed and B best-effort.

Goals: (a) A's p99 <= 1.5 x its p99 of "share" and no request of A lost; (b) "long" <= A's p99 in (a)
plus one run of B, "reserved" <= 1.5 x "share".
"""
from lib import figures, programs, scene

MEAN_MS, SECONDS, BLOCKS, LANES = 10, figures.seconds(5), 10, 2
CAPACITY = LANES * 1000 / MEAN_MS
MODELS = {"m": programs.synthetic(mean=f"{MEAN_MS}ms", mode="sleep"),
          "long": programs.synthetic(mean=f"{10 * MEAN_MS}ms", mode="sleep")}
A = {"model": "m", "rate": 0.6 * CAPACITY / 2, "check_repeats": True}
SHARE = {"model": "m", "rate": 0.95 * CAPACITY / 2}
BACKLOG = {"model": "m", "concurrency": 64}
LONG = {"model": "long", "concurrency": 8}


def p99(s, b, block):
    found = s.offer({"a": A, "b": b}, SECONDS, seed=block + 1)
    figures.say(f"    B had {scene.counts(found['b'][1])[0] / SECONDS:.0f} answers/s")
    return scene.p99(found["a"][1])


def main():
    reserve = {"lanes": LANES, "reserve_lanes": 1}
    with scene.scene(MODELS, {"a": {}, "b": {}}, {"lanes": LANES}, cpus="0-1") as s, \
            scene.scene(MODELS, {"a": {}, "b": {"class": "best-effort"}}, reserve, cpus="0-1") as r:
        found, *disturbed = figures.rounds({
            "share": lambda i: p99(s, SHARE, i), "backlog": lambda i: p99(s, BACKLOG, i),
            "long": lambda i: p99(s, LONG, i), "reserved": lambda i: p99(r, LONG, i)},
            BLOCKS, "A's p99 (ms)")
    found["bound"] = [a + 10 * MEAN_MS for a in found["backlog"]]
    for ours, peer, most, name, note in (
            ("backlog", "share", 1.5, "neighbour always backlogged, same model: A's p99",
             "peer: the neighbour at its share; A lost no request"),
            ("long", "bound", 1, "neighbour's run 10 x longer: A's p99",
             "bound: p99 of the backlogged neighbour of the same block, plus one run of 100 ms"),
            ("reserved", "share", 1.5, "the same with reserve_lanes: 1: A's p99",
             "peer: the neighbour at its share of short runs")):
        figures.ratio_row(name, figures.paired(found, ours, peer, *disturbed), "ms", at_most=most,
                          note=note)


main()
