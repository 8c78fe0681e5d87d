"""The layer rule: a module includes only lower layers, plus what ARCHITECTURE.md's table names.

Also: internal headers stay inside their module, and the system interfaces that belong to one
module (sockets, clocks, randomness, SQLite, YAML, dlopen) are used there alone.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SRC = ROOT / "src"

# pattern in the code -> where it may stand (prefixes below src/)
PLACES = {
    r"#include <sqlite3\.h>": ["store/"],
    r"#include <yaml\.h>": ["conf/"],
    r"#include <coin/": ["plan/", "cache/clp.c"],
    r"#include <http_parser\.h>": ["net/"],
    r"#include <(sys/socket|sys/epoll|netinet/.*|arpa/inet|netdb|sys/un|sys/timerfd|sys/eventfd)\.h>":
        ["net/", "evloop/"],
    r"#include <dlfcn\.h>": ["engine/onnxruntime/", "host/", "predict/numeric.c",
                               "plan/solvers.c", "cache/clp.c"],
    r"#include <(lapacke|libsvm/.*)\.h>": ["predict/"],
    r"\b(clock_gettime|gettimeofday|clock_nanosleep|nanosleep|usleep)\s*\(": ["base/clock.c"],
    r"\btime\s*\(\s*(NULL|0)\s*\)": ["base/clock.c"],
    r"\b(getrandom|random|rand|drand48|lrand48)\s*\(": ["base/rng.c"],
    r"\b(strtok|gets|sprintf|vsprintf|strcat|strncat|alloca|setlocale)\s*\(": [],
}


def table():
    """Reads rows `| L2 | engine | base model | ... |`: layer, module, sideways uses."""
    rows = {}
    for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines():
        m = re.match(r"\|\s*L(\d)\s*\|\s*`(\w+)`\s*\|\s*([^|]*)\|", line)
        if m:
            rows[m[2]] = (int(m[1]), set(re.findall(r"`(\w+)`", m[3])))
    return rows


def check(rows):
    bad = []
    modules = {p.name for p in SRC.iterdir() if p.is_dir()}
    for m in sorted(modules - rows.keys()):
        bad.append(f"src/{m} is not in ARCHITECTURE.md's table")
    for m in sorted(rows.keys() - modules):
        bad.append(f"ARCHITECTURE.md's table names src/{m}, which does not exist")
    for path in sorted(SRC.rglob("*.[ch]")):
        rel = path.relative_to(SRC).as_posix()
        me = rel.split("/")[0]
        if me not in rows:
            continue
        text = path.read_text()
        for inc in re.findall(r'#include "([^"]+)"', text):
            parts = inc.split("/")
            if len(parts) == 1 or parts[0] == me:
                continue
            other = parts[0]
            if other not in rows:
                bad.append(f"src/{rel}: includes {inc}, which is no module's header")
                continue
            if len(parts) != 2 or parts[1].endswith("_internal.h"):
                bad.append(f"src/{rel}: includes {inc}, internal to {other}")
            if rows[other][0] >= rows[me][0] and other not in rows[me][1]:
                bad.append(f"src/{rel}: L{rows[me][0]} {me} may not use L{rows[other][0]} {other}")
        code = re.sub(r"/\*.*?\*/|//[^\n]*|\"(\\.|[^\"\\\n])*\"", lambda m: m[0] if m[0].startswith('"') and "#include" in m[0] else "", text, flags=re.S)
        for pattern, places in PLACES.items():
            if re.search(pattern, code) and not any(rel.startswith(p) for p in places):
                bad.append(f"src/{rel}: {pattern} belongs to {places or 'nobody'}")
    return bad


if __name__ == "__main__":
    rows = table()
    if not rows:
        sys.exit("ARCHITECTURE.md has no layer table")
    problems = check(rows)
    print("\n".join(problems) or f"{len(rows)} modules, no violation")
    sys.exit(1 if problems else 0)
