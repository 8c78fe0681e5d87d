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


def undisturbed(measure):
    """(result, share stolen, repeats): measured again, at most MAX_REPEATS times, while other
    guests take over MAX_STEAL of the CPU."""
    for attempt in range(MAX_REPEATS + 1):
        result, steal = with_steal(measure)
        if steal <= MAX_STEAL:
            break
    return result, steal, attempt


def mean_interval(values):
    """(mean, low, high): Student's t; None when too few."""
    mean = statistics.fmean(values)
    if len(values) < MIN_BLOCKS:
        return mean, None, None
    half = t975(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return mean, mean - half, mean + half


def log_interval(ratios):
    """(median, low, high): the interval is Student's t on the logarithms; None when too few."""
    logs = [math.log(r) for r in ratios]
    middle = statistics.median(ratios)
    if len(logs) < MIN_BLOCKS:
        return middle, None, None
    mean = statistics.fmean(logs)
    half = t975(len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return middle, math.exp(mean - half), math.exp(mean + half)


def verdict(low, high, at_most=None, at_least=None, within=None):
    """met, missed or undecided, by the interval; "shown" without a goal. `within` is the greatest
    distance from 1 that is allowed."""
    if at_most is None and at_least is None and within is None:
        return "shown"
    if low is None:
        return "undecided"
    least = 1 - within if within is not None else at_least
    most = 1 + within if within is not None else at_most
    if (least is None or low >= least) and (most is None or high <= most):
        return "met"
    if (least is not None and high < least) or (most is not None and low > most):
        return "missed"
    return "undecided"


def interleave(ours, peer, blocks=10, label=""):
    """Runs both in `blocks` blocks; each callable returns one number. Returns a dictionary with
    the lists, the ratios ours/peer, and how many blocks were repeated or stayed disturbed."""
    a, b, repeated, disturbed = [], [], 0, 0
    for i in range(blocks):
        order = (ours, peer) if i % 2 == 0 else (peer, ours)
        values, steal, repeats = undisturbed(lambda o=order: [f() for f in o])
        repeated += repeats
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


def steal_note(repeated, disturbed):
    if not repeated and not disturbed:
        return ""
    return f"{repeated} repeated for steal, {disturbed} still disturbed"


def ratio_row(figure, r, unit, scale=1.0, at_most=None, note=""):
    """The row of an interleave() result."""
    middle, low, high = log_interval(r["ratios"])
    notes = [n for n in (note, steal_note(r["repeated"], r["disturbed"])) if n]
    row(figure, f"{scale * statistics.median(r['ours']):.4g} {unit}",
        f"{scale * statistics.median(r['peer']):.4g} {unit}", middle, low, high,
        f"<= {at_most:g}" if at_most else "", verdict(low, high, at_most=at_most), "; ".join(notes))


def median(values):
    return statistics.median(values)
