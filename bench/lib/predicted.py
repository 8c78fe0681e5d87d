"""The tables of docs/prediction.md out of what `perseus predict --validate --json` says."""
import json
import math
import sqlite3

BEGIN, END = "<!-- prediction tables: begin -->", "<!-- prediction tables: end -->"


def percent(share):
    return "not known" if share is None else f"{100 * share:.1f} %"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(store):
    """What measured it, in a sentence; of the last run of each campaign, which must agree."""
    db = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    found = set()
    for (text,) in db.execute("SELECT manifest FROM campaign WHERE manifest IS NOT NULL"):
        run = json.loads(text)["runs"][-1]
        p, kernel = run["machine"]["processor"], run["machine"]["kernel"]
        kinds = [k for k in ("amx_tile", "avx512f", "avx2") if k in p["flags"].split()]
        found.add(f"{p['model'].strip()}, {p['online']} CPUs online, "
                  f"{kinds[0] if kinds else 'no vector instructions known'}, "
                  f"{', '.join(p['caches'])}; {kernel['system']} {kernel['release']}")
    db.close()
    if len(found) != 1:
        raise ValueError(f"campaigns of {len(found)} machines")
    return found.pop()


def setting(row):
    return tuple(sorted((row.get("at") or {}).items()))


def side(rows):
    """Which way a model's predictions are off."""
    over = [r["predicted"] > r["measured"] for r in rows if r["predicted"] is not None]
    if not over:
        return "nothing is said of it"
    if all(over) or not any(over):
        return "too high" if over[0] else "too low"
    return f"too high in {sum(over)} of {len(over)} rows"


def extreme(model, models):
    """Whether it lies at an end of what is learned from, at every setting that it was measured at."""
    ends = set()
    for r in model["rows"]:
        others = [x["measured"] for m in models if m is not model for x in m["rows"]
                  if setting(x) == setting(r)]
        if others:
            ends.add("largest" if r["measured"] > max(others) else
                     "smallest" if r["measured"] < min(others) else "")
    return ends.pop() if len(ends) == 1 else ""


def worst_beside(rows):
    beside = [(abs(math.log(r["predicted"] / r["measured"])), r) for r in rows
              if r.get("beside") and r["predicted"]]
    if not beside:
        return ""
    _, r = max(beside, key=lambda x: x[0])
    return f"worst: {r['of']} beside {r['beside']}, {r['measured']:.3g} measured, {r['predicted']:.3g} predicted"


def reasons(model, models, unit):
    """What the data say about a miss; causes beyond that are for a person to find."""
    found = [side(model["rows"])]
    end = extreme(model, models)
    if end:
        found.append(f"the {end} of all")
    if model["noise"] is not None and model["noise"] >= model["error"] / 2:
        found.append(f"its own measurements scatter by {percent(model['noise'])}")
    if unit == "":
        found.append(worst_beside(model["rows"]))
    return "; ".join(x for x in found if x)


def of_quantity(q):
    goal = q["goal"]
    if q.get("from_three"):
        few = q["from_three"]
        return [q["quantity"] + (f", {q['setting']}" if q["setting"] else ""), percent(few["error"]),
                percent(few["noise"]), percent(goal), f"from three, {few['sets']} sets"]
    if not q.get("models"):
        return [q["quantity"], "not known", "not known", percent(goal), q["note"] or ""]
    tried = sorted((e, c) for c, e in (q["candidates"] or {}).items() if e is not None)
    return [q["quantity"], percent(q["error"]), percent(q["noise"]),
            percent(goal) + ("" if q["error"] is not None and q["error"] <= goal else ": missed"),
            ", ".join(f"{c} {percent(e)}" for e, c in tried)]


def of_models(q):
    rows = []
    for m in sorted(q["models"], key=lambda m: math.inf if m["error"] is None else m["error"]):
        missed = m["error"] is None or m["error"] > q["goal"]
        rows.append([m["model"], percent(m["error"]), percent(m["noise"]), m["candidate"] or "",
                     reasons(m, q["models"], q["unit"]) if missed else ""])
    return table(["left out", "error", "noise", "candidate", f"what is known of a miss ({percent(q['goal'])})"],
                 rows)


def tables(quantities, where):
    parts = [f"Measured on: {where}.",
             table(["quantity", "error on models left out", "noise", "goal", "each candidate alone"],
                   [of_quantity(q) for q in quantities])]
    for q in quantities:
        if q.get("models") and not q.get("from_three"):
            parts.append(f"{q['quantity'].capitalize()}, model by model:")
            parts.append(of_models(q))
    return "\n\n".join(parts) + "\n"


def put(text, made):
    """`text` with what stands between the two marks replaced."""
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"the file must have {BEGIN} and {END} once, in this order")
    before, rest = text.split(BEGIN)
    return before + BEGIN + "\n\n" + made + "\n" + END + rest.split(END)[1]
