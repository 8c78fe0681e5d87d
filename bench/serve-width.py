#!/usr/bin/env python3
# figure: automatic width against narrow and wide lanes, idle and busy
# seconds: 200
"""Width of lanes. Three servers on both CPUs with ResNet-18, one for each setting: narrow (two lanes of
one CPU), wide (one lane with both), auto. The two that are not asked sleep. The generator shares the
CPUs, since a wide run needs both.

Idle: a closed loop of one, p50 of the latency. Busy: a closed loop of four users, twice the lanes, time
per answer. Goal of each: auto takes at most 1.05 x what the better fixed setting takes, which is the
one with the better median over the blocks.
"""
import os
import tempfile

from lib import figures, programs

MODEL, BLOCKS = "resnet18", 10
SECONDS = 1 if figures.QUICK else 2.5
WIDTHS = ("auto", "narrow", "wide")


def ask(server, users):
    tenant, _, _, _ = programs.load(server, MODEL, "--concurrency", users, "--duration",
                                    f"{SECONDS}s", "--warmup", "0.5s", "--inputs", 2,
                                    "--check-repeats")
    return tenant


def idle_ms(server):
    return ask(server, 1)["latency"]["p50_ms"]


def busy_ms(server):
    return 1000 / ask(server, 4)["throughput_rps"]


def compare(servers, name, measure, unit):
    found, *disturbed = figures.rounds(
        {w: lambda _, s=servers[w]: measure(s) for w in WIDTHS}, BLOCKS, f"{name}, {unit}")
    better = min(("narrow", "wide"), key=lambda w: figures.median(found[w]))
    other = "wide" if better == "narrow" else "narrow"
    figures.ratio_row(f"serve: automatic width, {name}", figures.paired(found, "auto", better,
                                                                        *disturbed), unit,
                      at_most=1.05, note=f"peer: {better}; {other} has"
                      f" {figures.median(found[other]):.4g} {unit}")


def main():
    with tempfile.TemporaryDirectory() as folder:
        _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", MODEL, "--dir", folder])
        if code != 0:
            raise RuntimeError(f"perseus zoo ended with {code}")
        models = {MODEL: os.path.join(folder, f"{MODEL}.onnx")}

        def serve(width):
            return programs.serve(models, config={"cpus": "0-1", "lanes": 0, "width": width})

        with serve("auto") as auto, serve("narrow") as narrow, serve("wide") as wide:
            servers = {"auto": auto, "narrow": narrow, "wide": wide}
            for s in servers.values():
                ask(s, 1)  # what the first runs of a session cost
                ask(s, 4)
            compare(servers, "idle", idle_ms, "ms")
            compare(servers, "busy", busy_ms, "ms per answer")


main()
