#!/usr/bin/env python3
# figure: plans of 50 and 1,000 tenants on 20 types: gap to the proven bound, against every plan tried
# seconds: 200
# long: plans of 1,000 tenants search for 28 s each
"""The gap is cost / bound - 1, with the bound that `perseus plan` proves for the plan's own parts."""
from lib import figures, plans

SEEDS = range(1, figures.count(4) + 1)


def gap(found):
    return 1 / (1 - found["gap"])


def scale(name, tenants, limit_s, goal):
    ratios, savings, took, memory = [], [], [], 0
    for found, seconds, most in plans.cases(tenants, 20, SEEDS, figures.seconds(limit_s),
                                            "--no-compare"):
        ratios.append(gap(found))
        took.append(seconds)
        memory = max(memory, most)
        figures.say(f"  {name}: {found['usd_per_hour']:.4f} $/h, bound"
                    f" {found['bound_usd_per_hour']:.4f} ({found['bound_by']}), gap"
                    f" {100 * (gap(found) - 1):.2f} %, {seconds:.1f} s")
    middle, low, high = figures.mean_interval(ratios)
    figures.row(name, f"{100 * (middle - 1):.2f} % over", "proven bound", middle, low, high,
                f"<= {goal}", figures.verdict(low, high, at_most=goal),
                f"the worst {100 * (max(ratios) - 1):.2f} %; up to {max(took):.1f} s, with"
                f" {limit_s} s to search; up to {memory / 2**20:.0f} MiB")


def every_plan():
    """On small cases the search must find what trying every plan finds."""
    worst, n = 1.0, 0
    for seed in range(1, figures.count(10) + 1):
        for best, found in zip(plans.cases(7, 4, [seed], 20, "--method", "exhaustive",
                                           "--no-compare", loads=(0.1, 0.9)),
                               plans.cases(7, 4, [seed], 20, "--no-compare", loads=(0.1, 0.9))):
            # Finer splits may be cheaper; at the same split the optimum is one number.
            if found[0]["search"]["fineness"] == 0:
                n += 1
                worst = max(worst, found[0]["usd_per_hour"] / best[0]["usd_per_hour"])
    figures.row("plan: small cases against every plan", f"{n} cases", "every plan tried", worst,
                worst, worst, "<= 1", figures.verdict(worst - 1e-9, worst - 1e-9, at_most=1))


def others():
    """What the usual ways cost, on the cases of 50 tenants."""
    ratios = {"dedicated": [], "homogeneous": [], "first_fit_cpu": []}
    broken = []
    for found, _, _ in plans.cases(50, 20, SEEDS, figures.seconds(5)):
        for name, values in ratios.items():
            values.append(found["usd_per_hour"] / found["compared"][name]["usd_per_hour"])
        broken.append(found["compared"]["first_fit_cpu"]["broken_parts"])
    for name, values in ratios.items():
        middle, low, high = figures.mean_interval(values)
        figures.row(f"plan: cost beside {name}", f"{middle:.3f} of it", name, middle, low, high, "",
                    "shown", f"it breaks {min(broken)} to {max(broken)} agreements of about 50"
                    if name == "first_fit_cpu" else "")


with figures.part("plan: 50 tenants"):
    scale("plan: 50 tenants x 20 types", 50, 10, 1.02)
with figures.part("plan: 1,000 tenants"):
    scale("plan: 1,000 tenants x 20 types", 1000, 28, 1.03)
with figures.part("plan: small cases"):
    every_plan()
with figures.part("plan: beside others"):
    others()
figures.finish()
