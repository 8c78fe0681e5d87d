"""What perseus cache simulate found, as a drawing and as tables for a document."""
import math
import re
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 640, 420, 64, 48, 16, 24
STYLE = ("text{font:12px system-ui,sans-serif;fill:#222}.name{font-weight:600}circle{fill:#1a7f4e}"
         ".robs circle{fill:#b3362b}.grid{stroke:#8884}.one{stroke:#b4532a;stroke-dasharray:5 4}"
         ".bar{stroke:#5d616b}.page{fill:#fff}"
         "@media(prefers-color-scheme:dark){text{fill:#e7e8ea}.page{fill:#15171b}.bar{stroke:#a0a5b0}"
         "circle{fill:#5fc794}.robs circle{fill:#f08a7e}}")
STEPS = [m * 10.0 ** e for e in range(-3, 3) for m in (1, 2, 5)]


class Axis:
    """Round ends around the values and their intervals, and around `always`."""

    def __init__(self, intervals, always, first, last, least=-math.inf):
        ends = [always] + [x for i in intervals for x in (i["value"], i["low"], i["high"])
                           if x is not None]
        low, high = min(ends), max(ends)
        self.step = next((s for s in STEPS if (high - low) / s <= 8), STEPS[-1])
        self.low = max(least, (math.floor(low / self.step) - 1) * self.step)
        self.high = (math.ceil(high / self.step) + 1) * self.step
        self.first, self.last = first, last

    def at(self, value):
        part = (value - self.low) / (self.high - self.low)
        return self.first + part * (self.last - self.first)

    def ticks(self):
        return [self.low + k * self.step for k in range(round((self.high - self.low) / self.step) + 1)]


def line(kind, x1, y1, x2, y2):
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def text(x, y, what, anchor="middle", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{escape(what)}</text>'


CORNERS = ((24, -11), (-24, -11), (24, 11), (-24, 11), (44, 0), (-44, 0), (0, -22), (0, 22))


def name_place(point, points, names):
    """The first corner of its point that is free of other points and names."""
    def free(x, y):
        return not any(abs(px - x) < 24 and abs(py - y) < 12 for px, py in points if (px, py) != point) \
            and not any(abs(nx - x) < 36 and abs(ny - y) < 13 for nx, ny in names)
    places = [(point[0] + dx, point[1] + dy) for dx, dy in CORNERS]
    return next((p for p in places if free(*p)), places[0])


def chart(policies):
    """Throughput over optp's against the worst off tenant's share: SVG, a point per policy."""
    x = Axis([p["worst_share"] for p in policies], 1, LEFT, WIDTH - RIGHT, 0)
    y = Axis([p["against_optp"] for p in policies], 1, HEIGHT - BOTTOM, TOP)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
           'aria-label="Throughput against the worst off tenant\'s share, a point per policy">',
           f'<style>{STYLE}</style><rect class="page" width="{WIDTH}" height="{HEIGHT}"/>']
    for v in x.ticks():
        out += [line("grid", x.at(v), TOP, x.at(v), HEIGHT - BOTTOM),
                text(x.at(v), HEIGHT - BOTTOM + 18, f"{v:g}")]
    for v in y.ticks():
        out += [line("grid", LEFT, y.at(v), WIDTH - RIGHT, y.at(v)),
                text(LEFT - 8, y.at(v) + 4, f"{v:.6g}", "end")]
    out += [line("one", x.at(1), TOP, x.at(1), HEIGHT - BOTTOM),
            line("one", LEFT, y.at(1), WIDTH - RIGHT, y.at(1))]
    points = [(x.at(p["worst_share"]["value"]), y.at(p["against_optp"]["value"])) for p in policies]
    names = []
    for p, at in zip(policies, points):
        h, v = p["worst_share"], p["against_optp"]
        names.append(name_place(at, points, names))
        out.append('<g class="robs">' if h["value"] < 1 - 1e-6 else "<g>")
        if h["low"] is not None:
            out.append(line("bar", x.at(h["low"]), at[1], x.at(h["high"]), at[1]))
        if v["low"] is not None:
            out.append(line("bar", at[0], y.at(v["low"]), at[0], y.at(v["high"])))
        out += [f'<circle cx="{at[0]:.1f}" cy="{at[1]:.1f}" r="5"/>',
                text(names[-1][0], names[-1][1] + 4, p["policy"], more=' class="name"'), "</g>"]
    out += [text((WIDTH + LEFT) / 2, HEIGHT - 8,
                 "fairness: the worst off tenant, in parts of its share"),
            f'<text transform="translate(14 {(HEIGHT - BOTTOM) / 2:.0f}) rotate(-90)" '
            'text-anchor="middle">efficiency: throughput over optp\'s</text>', "</svg>"]
    return "\n".join(out) + "\n"


COLUMNS = (("requests_per_s", "requests/s", 1, 4), ("against_optp", "of `optp`'s %", 100, 1),
           ("hit_ratio", "hits %", 100, 1), ("jain", "Jain", 1, 3), ("worst_share", "worst share", 1, 3),
           ("outside_core", "outside the core %", 100, 1), ("mean_slowdown", "mean slowdown", 1, 2))


def cell(i, times, digits):
    if i["value"] is None:
        return "-"
    value = f"{times * i['value']:.{digits}f}"
    return value if i["low"] is None else f"{value} +-{times * (i['high'] - i['low']) / 2:.{digits}f}"


def table(policies):
    """Markdown: a row per policy, means with half their intervals."""
    heads = ["policy", *(c[1] for c in COLUMNS), "worst epoch"]
    out = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for p in policies:
        cells = [cell(p[key], times, digits) for key, _, times, digits in COLUMNS]
        out.append("| " + " | ".join([f"`{p['policy']}`", *cells, f"{p['worst_epoch']:.4f}"]) + " |")
    return "\n".join(out) + "\n"


def kernel(text):
    """The first two numbers of its version: what follows says who built it."""
    return re.sub(r"(\d+\.\d+).*", r"\1", text)


def measured(results, names):
    """Markdown: the rows of results.json of these figures, each with its command, and where and when
    they were measured."""
    out = ["| figure | measured | bound or peer | ratio | goal | verdict | command |", "|" + "---|" * 7]
    machines = set()
    for name in names:
        one = results.get(name)
        if not one:
            out.append(f"| {name} | not measured | | | | | `bench/run {name}` |")
            continue
        machines.add(f"{one['machine']['cpu']}, {one['machine']['cpus']} CPUs, "
                     f"{kernel(one['machine']['kernel'])}, {one['started'][:10]}")
        for r in one["rows"]:
            ratio = "" if r["ratio"] is None else f"{r['ratio']:.4g}" + \
                ("" if r["low"] in (None, r["high"]) else f" [{r['low']:.4g}, {r['high']:.4g}]")
            blocks = re.search(r"\d+ of \d+ blocks", r["note"]) if r["verdict"] == "unfinished" else None
            verdict = r["verdict"] + (f": {blocks[0]}" if blocks else "")
            out.append("| " + " | ".join([r["figure"], r["ours"], r["peer"], ratio, r["goal"],
                                          verdict, f"`bench/run {name}`"]) + " |")
    where = "Measured on " + "; ".join(sorted(machines)) if machines else "Nothing was measured yet"
    return "\n".join(out) + f"\n\n{where}.\n"


def between(document, mark, text):
    """The document with `text` between its two marks <!-- MARK --> and <!-- /MARK -->."""
    begin, end = f"<!-- {mark} -->\n", f"<!-- /{mark} -->"
    if document.count(begin) != 1 or document.count(end) != 1:
        raise ValueError(f"the document has not exactly one place '{mark}'")
    head, rest = document.split(begin)
    return head + begin + text + end + rest.split(end)[1]
