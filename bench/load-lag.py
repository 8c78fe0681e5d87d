#!/usr/bin/env python3
# figure: 2,000 requests/s for 10 s all leave; how late, beside a bare timer
# seconds: 45
"""The generator's own punctuality against a server that is far from busy.

The peer is a bare timer of the same process at the same rate, timed just before the load: what this
machine can do at best. Goal: every scheduled arrival is sent (three runs).
"""
import statistics

from lib import figures, programs

RATE, SECONDS, RUNS = 2000, figures.seconds(10), figures.count(3)


def one(server):
    tenant, _, _, whole = programs.load(server, "fast", "--rate", RATE, "--duration", f"{SECONDS}s",
                                        "--warmup", "1s", "--probe", "2s", "--inputs", 4,
                                        "--check-repeats")
    probe = whole["timer_probe"]
    figures.say(f"  sent {tenant['sent']}/{tenant['scheduled']}, send lag p50"
                f" {tenant['send_lag']['p50_ms']:.3f} p99 {tenant['send_lag']['p99_ms']:.3f} ms,"
                f" bare timer p50 {probe['p50_ms']:.3f} p99 {probe['p99_ms']:.3f} ms")
    return tenant, probe


def main():
    spec = programs.synthetic(mean="50us", mode="spin")
    with programs.serve({"fast": spec}) as server:
        programs.check_synthetic(server, "fast", 4)
        runs = [one(server) for _ in range(RUNS)]
    sent = sum(t["sent"] for t, _ in runs)
    due = sum(t["scheduled"] for t, _ in runs)
    figures.row("load: sent of scheduled at 2,000/s", f"{sent}", f"{due}", sent / due, None, None,
                ">= 1", "met" if sent == due else "missed", f"{RUNS} runs of {SECONDS} s")
    lag = [t["send_lag"]["p99_ms"] for t, _ in runs]
    bare = [p["p99_ms"] for _, p in runs]
    ours, peer = statistics.median(lag), statistics.median(bare)
    figures.row("load: send lag p99", f"{ours:.3f} ms", f"{peer:.3f} ms", ours / peer, None, None,
                "", "shown", "peer: bare timer of the same process; medians of the runs")


main()
