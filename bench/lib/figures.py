"""Interleaved blocks, their ratio with its interval, and the verdict against a goal.

The rules are those of the project: ours and the peer in at least ten blocks, alternating which goes
first (A B B A); the figure is the median of the block ratios, its interval Student's t on the
logarithms; a block in which other guests took over 2 % of the CPU (steal) is repeated, at most
twice, and counted. Repeats may take REPEAT_SHARE of a figure's time: on a machine that is disturbed
all the while `make bench` still ends, and its rows say how many blocks stayed disturbed.

PS_BENCH_QUICK=1 runs every figure with two short blocks, to see that it works: the verdict of each
row is then "quick", because such numbers say nothing.
"""
import contextlib
import json
import math
import os
import statistics
import sys
import time
import traceback

QUICK = os.environ.get("PS_BENCH_QUICK") == "1"

MAX_STEAL = 0.02
MAX_REPEATS = 2
MIN_BLOCKS = 4  # under this no interval is given
REPEAT_SHARE = 0.1  # of the time that the figure is said to take (bench/run tells it)
TIME = {"repeats_left_s": REPEAT_SHARE * float(os.environ.get("PS_BENCH_SECONDS", "inf"))}

# Student's t, 97.5 %, for 1 to 30 degrees of freedom; beyond, the normal value is within 2 %.
T975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042)


def say(*text):
    print(*text, file=sys.stderr, flush=True)


def seconds(n):
    """A duration: as it is, or a fifth and at most 2 s when the run is quick."""
    return min(2, max(1, n // 5)) if QUICK and n > 1 else n


def count(n, quick=2):
    """A number of blocks or runs: as it is, or few when the run is quick."""
    return min(n, quick) if QUICK else n


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


class Disturbed(RuntimeError):
    """A block in which the client did not offer what it should, and had so many answers."""

    def __init__(self, why, answered):
        super().__init__(why)
        self.answered = answered


def undisturbed(measure):
    """(result, share stolen, repeats): measured again, at most MAX_REPEATS times and while there is
    time for it, as long as other guests take over MAX_STEAL of the CPU, or the client was held up."""
    for attempt in range(MAX_REPEATS + 1):
        begin = time.monotonic()
        try:
            result, steal = with_steal(measure)
        except Disturbed as e:
            if attempt == MAX_REPEATS:
                raise
            say(f"    once more: {e}")
            continue
        took = time.monotonic() - begin
        if attempt > 0:
            TIME["repeats_left_s"] -= took
        if steal <= MAX_STEAL or QUICK or TIME["repeats_left_s"] < took:
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
    """(median, low, high): the interval is Student's t on the logarithms; None when too few, or when
    one is no positive number."""
    middle = statistics.median(ratios)
    if len(ratios) < MIN_BLOCKS or not all(0 < r < math.inf for r in ratios):
        return middle if 0 < middle < math.inf else None, None, None
    logs = [math.log(r) for r in ratios]
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


def rounds(systems, blocks=10, label=""):
    """Runs every system in `blocks` blocks. `systems` is name -> callable that takes the number of
    the block and returns a number. A block runs them in order, the next one in reverse (A B C C B A):
    what drifts falls on all alike. Returns (name -> list of numbers, repeated, disturbed)."""
    found, repeated, disturbed = {name: [] for name in systems}, 0, 0
    blocks = count(blocks)
    for i in range(blocks):
        order = list(systems) if i % 2 == 0 else list(reversed(systems))
        values, steal, repeats = undisturbed(lambda: {n: systems[n](i) for n in order})
        repeated += repeats
        disturbed += steal > MAX_STEAL
        for name, value in values.items():
            found[name].append(value)
        say(f"  {label} block {i + 1}/{blocks}: "
            + ", ".join(f"{n} {values[n]:.6g}" for n in systems) + f"; steal {100 * steal:.1f} %")
    return found, repeated, disturbed


def paired(found, ours, peer, repeated=0, disturbed=0):
    """Two systems of rounds() as interleave() returns them."""
    a, b = found[ours], found[peer]
    return {"ours": a, "peer": b, "ratios": [x / y if y else math.inf for x, y in zip(a, b)],
            "repeated": repeated, "disturbed": disturbed}


def interleave(ours, peer, blocks=10, label=""):
    """Runs both in `blocks` blocks; each callable returns one number. Returns a dictionary with
    the lists, the ratios ours/peer, and how many blocks were repeated or stayed disturbed."""
    found, repeated, disturbed = rounds({"ours": lambda _: ours(), "peer": lambda _: peer()},
                                        blocks, label)
    return paired(found, "ours", "peer", repeated, disturbed)


def search(holds, lowest, end, guess=None):
    """The largest step in [lowest, end) that holds, 0 when the lowest does not. Without a guess it
    halves the range; with one it begins there and goes away from it in doubling strides, which takes
    few questions when the guess is near."""
    low, high = lowest - 1, end  # bounds that are never asked
    stride, at = 1, guess or high
    while low < at < high and (low < lowest or high == end):
        if holds(at):
            low, at = at, at + stride
        else:
            high, at = at, at - stride
        stride *= 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low if low >= lowest else 0


UNFINISHED = None  # what is still to be measured before rows say anything (lib/stretch.py)


def row(figure, ours, peer, ratio, low, high, goal, result, note=""):
    """Prints one row for bench/run: a JSON object on a line of stdout."""
    if result != "failed" and (QUICK or UNFINISHED):
        result = "quick" if QUICK else "unfinished"
        note = "; ".join(x for x in (note, UNFINISHED) if x)
    print(json.dumps({"figure": figure, "ours": ours, "peer": peer, "ratio": ratio, "low": low,
                      "high": high, "goal": goal, "verdict": result, "note": note}), flush=True)


FAILED = []


@contextlib.contextmanager
def part(name):
    """A part of a figure that can fail without taking the others along: a row says why, and
    finish() ends the program badly."""
    try:
        yield
    except Exception as e:
        traceback.print_exc()
        FAILED.append(name)
        row(name, "", "", None, None, None, "", "failed", f"{type(e).__name__}: {e}"[:1000])


def finish():
    """The last line of a figure with parts."""
    sys.exit(1 if FAILED else 0)


def steal_note(repeated, disturbed):
    if not repeated and not disturbed:
        return ""
    return f"{repeated} repeated for steal, {disturbed} still disturbed"


def ratio_row(figure, r, unit, scale=1.0, note="", **goal):
    """The row of an interleave() result; `goal` is at_most, at_least or nothing."""
    middle, low, high = log_interval(r["ratios"])
    notes = [n for n in (note, steal_note(r["repeated"], r["disturbed"])) if n]
    sign = {"at_most": "<=", "at_least": ">=", "within": "within"}
    row(figure, f"{scale * statistics.median(r['ours']):.4g} {unit}".strip(),
        f"{scale * statistics.median(r['peer']):.4g} {unit}".strip(), middle, low, high,
        "".join(f"{sign[k]} {v:g}" for k, v in goal.items()), verdict(low, high, **goal),
        "; ".join(notes))


def median(values):
    return statistics.median(values)
