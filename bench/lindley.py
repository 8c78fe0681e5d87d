#!/usr/bin/env python3
# figure: measured mean wait against Lindley's recursion over the run's own instants
# seconds: 100
"""A standard weight: a server with one lane and a service time of 2 ms, at utilisation 0.5 and 0.8.

Poisson arrivals from perseus load. Lindley's recursion W' = max(0, W + S - A) is fed with the
instants at which the requests were sent and the busy times that the server recorded; its mean is
what one server without any overhead of its own would have made its clients wait. The measured wait
is what the server says it queued each request. Goals: within 1 %, and busy time <= 1.02 x declared.

The server may use both CPUs: its lane is pinned to CPU 0, and its I/O thread moves over to the
generator's CPU 1, so that the weight itself is not disturbed by what is around it.
"""
import statistics

from lib import figures, programs

DECLARED_MS, SECONDS, RUNS = 2.0, 15, 3


def lindley(rows):
    """(mean wait by the recursion, mean wait measured, mean busy time), ms; in order of sending."""
    rows = sorted(rows, key=lambda r: int(r["sent_ns"]))
    wait, waits, last = 0.0, [], None
    for r in rows:
        sent = int(r["sent_ns"])
        if last is not None:
            wait = max(0.0, wait + last[1] - (sent - last[0]))
        waits.append(wait)
        last = sent, int(r["server_compute_ns"])
    measured = statistics.fmean(int(r["server_queue_ns"]) for r in rows)
    busy = statistics.fmean(int(r["server_compute_ns"]) for r in rows)
    return statistics.fmean(waits) / 1e6, measured / 1e6, busy / 1e6


def at(server, utilisation):
    rate = utilisation / (DECLARED_MS / 1e3)
    results = []
    for i in range(RUNS):
        (_, _, _, rows), steal = figures.with_steal(lambda i=i: programs.load(
            server, "weight", "--rate", rate, "--duration", f"{SECONDS}s", "--warmup", "0s", "--seed",
            i + 1, records=True))
        theory, measured, busy = lindley(rows)
        results.append((measured / theory, busy / DECLARED_MS, theory, measured))
        figures.say(f"  utilisation {utilisation}: wait {measured:.4f} ms, Lindley {theory:.4f} ms,"
                    f" ratio {measured / theory:.4f}, busy {busy:.4f} ms, steal {100 * steal:.1f} %")
    results.sort()
    ratio, busy, theory, measured = results[len(results) // 2]
    figures.row(f"serve: mean wait at {utilisation}", f"{measured:.4f} ms", f"{theory:.4f} ms", ratio,
                results[0][0], results[-1][0], "within 1 %",
                "met" if abs(ratio - 1) <= 0.01 else "missed",
                f"median and range of {RUNS} runs; bound: Lindley over the run's own instants")
    busy = statistics.median(r[1] for r in results)
    figures.row(f"serve: busy time at {utilisation}", f"{busy * DECLARED_MS:.4f} ms",
                f"{DECLARED_MS:.4f} ms", busy, None, None, "<= 1.02",
                "met" if busy <= 1.02 else "missed", "bound: the declared service time")


def main():
    spec = programs.synthetic(mean="2ms", mode="spin")
    with programs.serve({"weight": spec}, config={"cpus": "0-1"}) as server:
        for utilisation in (0.5, 0.8):
            at(server, utilisation)


main()
