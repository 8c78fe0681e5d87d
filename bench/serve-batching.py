#!/usr/bin/env python3
# figure: goodput at the SLA with and without batching, where it pays and where it does not
# seconds: 165
"""Dynamic batching. One lane on CPU 0, generator on CPU 1, SLA p99 <= 150 ms. Two models whose batch of
one takes 10 ms: with "pays" a batch of n takes 8 ms + n x 2 ms (of 8: 24 ms, not 80), with "even"
n x 10 ms. Offered: with "pays" 1.5 x what the model serves without batching, so that the better policy
has more to give; with "even" 0.95 x, where worse would show. Ours: max_batch 8. The peer: the same
server with max_batch 1. Goodput is answers inside the SLA per second, over the same arrivals.
"""
from lib import figures, programs, scene

SECONDS, BLOCKS, LIMIT_MS = figures.seconds(3), 10, 150
SLA = f"p99<={LIMIT_MS}ms"


def model(once, each_row):
    return programs.synthetic(inputs=[programs.tensor("x", shape=(-1, 4))],
                              outputs=[programs.tensor("y", shape=(-1, 4))], mean=once,
                              each_row=each_row, mode="spin")


def goodput(s, name, rate, seed):
    rows = s.offer({"a": {"model": name, "rate": rate, "sla": SLA, "check_repeats": True}}, SECONDS,
                   seed=seed)["a"][1]
    _, _, other = scene.counts(rows)
    if other:
        raise RuntimeError(f"{other} requests ended neither well nor with a refusal")
    return scene.goodput(rows, LIMIT_MS, SECONDS)


def main():
    specs = {"pays": model("8ms", "2ms"), "even": model("0ms", "10ms")}
    tenants = {"a": {"sla": SLA}}
    with scene.scene(specs, tenants, {"lanes": 1}, model_keys={"max_batch": 8}) as many, \
            scene.scene(specs, tenants, {"lanes": 1}, model_keys={"max_batch": 1}) as single:
        # "Not worse" is a loss of at most 3 %: what the count of answers resolves.
        for name, rate, goal in (("pays", 150, 1.2), ("even", 95, 0.97)):
            found, *disturbed = figures.rounds(
                {"batching": lambda i: goodput(many, name, rate, i + 1),
                 "single": lambda i: goodput(single, name, rate, i + 1)}, BLOCKS,
                f"'{name}', goodput (1/s)")
            figures.ratio_row(f"serve: goodput with batching, '{name}'",
                              figures.paired(found, "batching", "single", *disturbed), "/s",
                              at_least=goal, note="peer: the same server with max_batch 1")


main()
