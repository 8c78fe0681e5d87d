#!/usr/bin/env python3
# figure: a plan of 10,000 tenants on 20 types: gap to the proven bound, time, memory
# seconds: 300
# long: 10,000 tenants may take five minutes
from lib import figures, plans

TENANTS, LIMIT_S = 10000, figures.seconds(240)

with figures.part("plan: 10,000 tenants"):
    found, seconds, memory = next(plans.cases(TENANTS, 20, [1], LIMIT_S, "--no-compare"))
    ratio = 1 / (1 - found["gap"])
    figures.row("plan: 10,000 tenants, seconds", f"{seconds:.0f} s", "5 min", seconds / 300,
                seconds / 300, seconds / 300, "<= 1",
                figures.verdict(seconds / 300, seconds / 300, at_most=1))
    figures.row("plan: 10,000 tenants, memory", f"{memory / 2**20:.0f} MiB", "1 GiB",
                memory / 2**30, memory / 2**30, memory / 2**30, "<= 1",
                figures.verdict(memory / 2**30, memory / 2**30, at_most=1))
    figures.row("plan: 10,000 tenants, gap", f"{100 * (ratio - 1):.2f} % over", "proven bound",
                ratio, ratio, ratio, "", "shown")
figures.finish()
