#!/usr/bin/env python3
# figure: 200 evictions under load: memory within its budget and without drift; a model loaded again
# seconds: 540
# long: 200 evictions at a pace that leaves time for samples
"""What memory a server really holds while models come and go.

(cycles) Two copies of ResNet-50 that cannot both be there, asked for in turn CYCLES times, one every
CYCLE_S seconds, beside a client that asks for a small model all the while. Ten times a second the
resident memory of the server and of its children is read, less what it was before the first model, and
what the server counts; the budget holds one ResNet-50, the small model and ROOM for the runs. No request
may fail, by the clients and by the server's counters. Drift is the mean of the last tenth of the samples
over that of the second tenth.

(again) ResNet-50 loaded with an empty cache, and again once it is gone from memory: by the server's
own clock of loads.
"""
import concurrent.futures
import shutil
import statistics
import tempfile
import threading
import time

from lib import figures, memory
from support.perseus import Server, until

CYCLES = 20 if figures.QUICK else 200
CYCLE_S = 0.3 if figures.QUICK else 2
ROOM = 60e6  # the working memory of runs, which the budget does not count, and what is not given back at once
SETTLED_S = 5  # what was written a moment ago is read again at each load
AGAIN = figures.count(10)
INPUT = {"name": "input", "datatype": "FP32", "shape": [1, 3, 224, 224],
         "data": [0.5] * (3 * 224 * 224)}
BIG, SMALL = ("big0", "big1"), "small"


def ask(server, model):
    status, _, body = server.infer(model, [INPUT], timeout=120)
    if status != 200:
        raise RuntimeError(f"{model} answers {status}: {body}")


def steady(server, stop):
    n = 0
    while not stop.is_set():
        ask(server, SMALL)
        n += 1
    return n


def outcomes(server):
    """(requests that were answered well, all others) by the server's counters."""
    good = server.metric("perseus_requests_total", outcome="ok")
    return good, server.metric("perseus_requests_total") - good


def cycle(server):
    """CYCLES requests for one of the two in turn, each at its instant; the answers beside them."""
    stop = threading.Event()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        beside = pool.submit(steady, server, stop)
        try:
            begin = time.monotonic()
            for i in range(CYCLES):
                time.sleep(max(0, begin + i * CYCLE_S - time.monotonic()))
                ask(server, BIG[i % 2])
        finally:
            stop.set()
        return beside.result()


def cycles():
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as d:
        files = memory.zoo(d, "resnet50", "squeezenet1_1")
        files = {BIG[0]: files["resnet50"], BIG[1]: memory.copy_of(files["resnet50"], 1),
                 SMALL: files["squeezenet1_1"]}
        held = memory.measured_bytes(files, d + "/cache")
        budget = int(held / 2 + ROOM)
        config = {"cache": d + "/cache", "model_memory": str(budget), "memory_policy": "lru",
                  "min_residency": 0}
        with Server(models=files, config=config) as s:
            idle = memory.resident(s.process.pid)
            with memory.Sampler(lambda: (memory.resident(s.process.pid) - idle,
                                         s.metric("perseus_model_memory_used_bytes"))) as sampler:
                beside = cycle(s)
            evicted, (good, bad) = s.metric("perseus_model_evictions_total"), outcomes(s)
    if bad or good != CYCLES + beside:
        raise RuntimeError(f"{CYCLES + beside} answers, but the server counts {good:.0f} and "
                           f"{bad:.0f} that failed")
    if evicted < CYCLES - 2:
        raise RuntimeError(f"only {evicted:.0f} evictions in {CYCLES} cycles")
    rows_of_cycles(sampler.found, budget, beside)


def rows_of_cycles(found, budget, beside):
    outside, counted = [x[0] for x in found], [x[1] for x in found]
    note = f"{CYCLES} cycles, {len(found)} samples, {beside} answers beside them, none failed"
    for name, values in (("as the server counts", counted), ("as measured from outside", outside)):
        over = sum(v > budget for v in values)
        figures.row(f"cache: most memory in {CYCLES} evictions, {name}",
                    f"{max(values) / 2**20:.0f} MiB", f"{budget / 2**20:.0f} MiB",
                    max(values) / budget, None, None, "<= 1 in every sample",
                    "met" if over == 0 else "missed", f"{over} samples over the budget; {note}")
    drift = memory.drift(outside)
    figures.row(f"cache: drift of memory over {CYCLES} evictions", f"{drift:.4f}", "1", drift, None,
                None, "within 0.02", "met" if abs(drift - 1) < 0.02 else "missed", note)


def timed_load(server):
    before = server.metric("perseus_model_load_seconds_total")
    if server.get("/v2/repository/models/resnet50/load", "POST", b"", timeout=120)[0] != 200:
        raise RuntimeError("resnet50 does not load")
    return server.metric("perseus_model_load_seconds_total") - before


def again():
    first, second = [], []
    with tempfile.TemporaryDirectory(prefix="perseus-bench-") as d:
        files = memory.zoo(d, "resnet50")
        time.sleep(SETTLED_S)
        size = files["resnet50"].stat().st_size
        for i in range(AGAIN):
            cache = f"{d}/cache{i}"
            with Server(models=files, config={"cache": cache, "min_residency": 0,
                                              "model_memory": str(3 * size)}) as s:
                first.append(timed_load(s))
                s.get("/v2/repository/models/resnet50/unload", "POST", b"")
                until(lambda: s.metric("perseus_models_resident_bytes") == 0)
                second.append(timed_load(s))
                ask(s, "resnet50")
            shutil.rmtree(cache)
    rows_of_again(first, second)


def rows_of_again(first, second):
    found = figures.paired({"again": second, "first": first}, "again", "first")
    figures.ratio_row("cache: ResNet-50 ready again once it was gone", found, "ms", scale=1e3,
                      at_most=1 / 8, note="peer: its first load, with an empty cache")
    took, low, high = figures.log_interval([x / 0.030 for x in second])
    figures.row("cache: ResNet-50 ready again, time", f"{1e3 * statistics.median(second):.1f} ms",
                "30 ms", took, low, high, "<= 1", figures.verdict(low, high, at_most=1),
                f"median of {len(second)}; the longest took {1e3 * max(second):.1f} ms")


def main():
    for name, part in (("cycles", cycles), ("again", again)):
        with figures.part(f"cache-cycles: {name}"):
            part()
    figures.finish()


if __name__ == "__main__":
    main()
