"""Interleaved blocks, their ratio with its interval, and the verdict against a goal.

The rules are those of the project: ours and the peer in at least ten blocks, alternating which goes
first (A B B A); the figure is the median of the block ratios, its interval Student's t on the
logarithms; a block in which other guests took over 2 % of the CPU (steal) is repeated, at most
twice, and counted.
"""
import json
import math
import statistics
import sys
import time

MAX_STEAL = 0.02
MAX_REPEATS = 2
MIN_BLOCKS = 4  # under this no interval is given

# Student's t, 97.5 %, for 1 to 30 degrees of freedom; beyond, the normal value is within 2 %.
T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042)


def say(*text):
    print(*text, file=sys.stderr, flush=True)


def t975(degrees):
    return T975[degrees - 1] if degrees <= len(T975) else 1.96 * (1 + 0.6 / degrees)


def cpu_times():
    """(stolen, all) ticks of the machine so far."""
    with open("/proc/stat") as f:
        ticks = [int(x) for x in f.readline().split()[1:9]]
    return ticks[7], sum(ticks)


def with_steal(measure):
    """(result, share of stolen CPU time while it ran)."""
    stolen, total = cpu_times()
    result = measure()
    stolen2, total2 = cpu_times()
    return result, (stolen2 - stolen) / max(1, total2 - total)


def log_interval(ratios):
    """(median, low, high): the interval is Student's t on the logarithms; None when too few."""
    logs = [math.log(r) for r in ratios]
    middle = statistics.median(ratios)
    if len(logs) < MIN_BLOCKS:
        return middle, None, None
    mean = statistics.fmean(logs)
    half = t975(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return middle, math.exp(mean - half), math.exp(mean + half)


def verdict(low, high, at_most=None, at_least=None):
    """met, missed or undecided, by the interval; "shown" without a goal."""
    if at_most is None and at_least is None:
        return "shown"
    if low is None:
        return "undecided"
    if at_most is not None:
        return "met" if high <= at_most else "missed" if low > at_most else "undecided"
    return "met" if low >= at_least else "missed" if high < at_least else "undecided"


def interleave(ours, peer, blocks=10, label=""):
    """Runs both in `blocks` blocks; each callable returns one number. Returns a dictionary with
    the lists, the ratios ours/peer, and how many blocks were repeated or stayed disturbed."""
    a, b, repeated, disturbed = [], [], 0, 0
    for i in range(blocks):
        for attempt in range(MAX_REPEATS + 1):
            order = (ours, peer) if i % 2 == 0 else (peer, ours)
            values, steal = with_steal(lambda o=order: [f() for f in o])
            if steal <= MAX_STEAL or attempt == MAX_REPEATS:
                break
            repeated += 1
        disturbed += steal > MAX_STEAL
        x, y = values if i % 2 == 0 else reversed(values)
        a.append(x)
        b.append(y)
        say(f"  {label} block {i + 1}/{blocks}: {x:.6g} against {y:.6g}, ratio {x / y:.4f}"
            f", steal {100 * steal:.1f} %")
    return {"ours": a, "peer": b, "ratios": [x / y for x, y in zip(a, b)], "repeated": repeated,
            "disturbed": disturbed}


def row(figure, ours, peer, ratio, low, high, goal, result, note=""):
    """Prints one row for bench/run: a JSON object on a line of stdout."""
    print(json.dumps({"figure": figure, "ours": ours, "peer": peer, "ratio": ratio, "low": low,
                      "high": high, "goal": goal, "verdict": result, "note": note}), flush=True)


def ratio_row(figure, r, unit, scale=1.0, at_most=None, note=""):
    """The row of an interleave() result."""
    middle, low, high = log_interval(r["ratios"])
    notes = [note] if note else []
    if r["repeated"]:
        notes.append(f"{r['repeated']} blocks repeated for steal, {r['disturbed']} still disturbed")
    row(figure, f"{scale * statistics.median(r['ours']):.4g} {unit}",
        f"{scale * statistics.median(r['peer']):.4g} {unit}", middle, low, high,
        f"<= {at_most:g}" if at_most else "", verdict(low, high, at_most=at_most), "; ".join(notes))


def expected(seconds):
    say(f"expected: about {seconds} s")
    return time.monotonic()
