"""What stands behind bench/: intervals, verdicts, order of blocks, the search, bench/run itself."""
import contextlib
import importlib.util
import io
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.insert(0, str(pathlib.Path(os.environ["PS_SOURCE_DIR"]) / "bench"))
from lib import figures, memory, scene, shares, stretch, waits  # noqa: E402


def figure(name):
    """A figure's program as a module."""
    path = pathlib.Path(os.environ["PS_SOURCE_DIR"], "bench", f"{name}.py")
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), path)
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def rows_of(call, *args):
    """What a figure prints: name -> row."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        call(*args)
    return {r["figure"]: r for r in map(json.loads, out.getvalue().splitlines())}


class Intervals(unittest.TestCase):
    def test_t_interval_of_logs(self):
        # logs 0.1, 0.2, 0.3, 0.4: mean 0.25, s = 0.129099, t(3) = 3.182, half = 0.205397
        middle, low, high = figures.log_interval([math.exp(x) for x in (0.1, 0.2, 0.3, 0.4)])
        self.assertAlmostEqual(middle, (math.exp(0.2) + math.exp(0.3)) / 2, places=12)
        self.assertAlmostEqual(math.log(low), 0.25 - 0.205397, places=4)
        self.assertAlmostEqual(math.log(high), 0.25 + 0.205397, places=4)

    def test_t_interval_of_a_mean(self):
        mean, low, high = figures.mean_interval([1.0, 2.0, 3.0, 4.0])
        self.assertAlmostEqual(mean, 2.5)
        self.assertAlmostEqual(low, 2.5 - 2.05397, places=4)
        self.assertAlmostEqual(high, 2.5 + 2.05397, places=4)
        self.assertEqual(figures.mean_interval([1.0, 2.0, 3.0])[1:], (None, None))

    def test_a_ratio_that_is_no_positive_number_leaves_none(self):
        self.assertEqual(figures.log_interval([1.0, 1.0, 1.0, 0.0, math.inf]), (1.0, None, None))
        self.assertEqual(figures.log_interval([math.inf] * 5), (None, None, None))

    def test_under_four_blocks_there_is_none(self):
        self.assertEqual(figures.log_interval([1.0, 1.1, 1.2])[1:], (None, None))

    def test_t_beyond_the_table(self):
        self.assertAlmostEqual(figures.t975(60), 2.000, delta=0.04)
        self.assertAlmostEqual(figures.t975(9), 2.262)


class Verdicts(unittest.TestCase):
    def test_table(self):
        for low, high, goal, want in (
                (0.9, 1.0, {"at_most": 1.05}, "met"),
                (1.06, 1.1, {"at_most": 1.05}, "missed"),
                (1.0, 1.1, {"at_most": 1.05}, "undecided"),
                (None, None, {"at_most": 1.05}, "undecided"),
                (2.1, 2.2, {"at_least": 2}, "met"),
                (1.1, 1.2, {"at_least": 2}, "missed"),
                (1.1, 2.2, {"at_least": 2}, "undecided"),
                (0.995, 1.005, {"within": 0.01}, "met"),
                (1.02, 1.03, {"within": 0.01}, "missed"),
                (0.9, 0.98, {"within": 0.01}, "missed"),
                (1.0, 1.02, {"within": 0.01}, "undecided"),
                (0.9, 1.1, {"within": 0.01}, "undecided"),
                (None, None, {"within": 0.01}, "undecided"),
                (1.0, 1.1, {}, "shown"),
        ):
            self.assertEqual(figures.verdict(low, high, **goal), want)


class Blocks(unittest.TestCase):
    def test_order_alternates_and_pairs_stay_pairs(self):
        order = []

        def ours():
            order.append("A")
            return 2.0 * len(order)

        def peer():
            order.append("B")
            return 1.0 * len(order)

        figures.MAX_STEAL, kept = 1.0, figures.MAX_STEAL
        try:
            r = figures.interleave(ours, peer, 4)
        finally:
            figures.MAX_STEAL = kept
        self.assertEqual("".join(order), "ABBAABBA")
        self.assertEqual(r["ours"], [2, 8, 10, 16])
        self.assertEqual(r["peer"], [2, 3, 6, 7])


    def test_three_systems_in_mirrored_order(self):
        order, seen = [], []

        def system(name):
            def measure(block):
                order.append(name)
                seen.append(block)
                return len(order)
            return measure

        figures.MAX_STEAL, kept = 1.0, figures.MAX_STEAL
        try:
            found, repeated, disturbed = figures.rounds({n: system(n) for n in "ABC"}, 2)
        finally:
            figures.MAX_STEAL = kept
        self.assertEqual(("".join(order), seen), ("ABCCBA", [0, 0, 0, 1, 1, 1]))
        self.assertEqual(found, {"A": [1, 6], "B": [2, 5], "C": [3, 4]})
        self.assertEqual(figures.paired(found, "A", "C", repeated, disturbed),
                         {"ours": [1, 6], "peer": [3, 4], "ratios": [1 / 3, 6 / 4], "repeated": 0,
                          "disturbed": 0})

    def test_repeats_end_with_the_time_for_them(self):
        for left, want in ((math.inf, 2), (0, 0)):
            calls, kept = [], (figures.MAX_STEAL, dict(figures.TIME))
            figures.MAX_STEAL, figures.TIME["repeats_left_s"] = -1, left  # always disturbed
            try:
                _, _, repeats = figures.undisturbed(lambda: calls.append(1))
            finally:
                figures.MAX_STEAL = kept[0]
                figures.TIME.update(kept[1])
            self.assertEqual((repeats, len(calls)), (want, want + 1))


class Search(unittest.TestCase):
    def test_finds_the_last_step_that_holds(self):
        for last in range(1, 20):
            for guess in (None, *range(2, 19)):
                asked = []

                def holds(step):
                    asked.append(step)
                    return step <= last

                want = min(last, 18) if last >= 2 else 0
                self.assertEqual(figures.search(holds, 2, 19, guess), want, (last, guess))
                self.assertEqual(len(asked), len(set(asked)), "a step was asked twice")
                self.assertTrue(all(2 <= step < 19 for step in asked))

    def test_a_near_guess_takes_few_questions(self):
        asked = []
        self.assertEqual(figures.search(lambda n: asked.append(n) or n <= 30, 2, 48, 30), 30)
        self.assertEqual(asked, [30, 31])


class Waits(unittest.TestCase):
    """Four requests of 8 ms on one lane, at 0, 10, 12 and 40 ms by whoever has the clock: the third
    waits 6 ms, the last finds the lane idle for 14."""

    AT, WAITS, MS = (0, 10, 12, 40), (0, 0, 6, 0), 1_000_000

    def test_recursion(self):
        found, pauses = waits.recursion([a * self.MS for a in self.AT], [8 * self.MS] * 4)
        self.assertEqual(found, [w * self.MS for w in self.WAITS])
        self.assertEqual(pauses[1:], [2 * self.MS, 0, 14 * self.MS])
        self.assertGreater(pauses[0], waits.SURE_NS)

    def test_by_the_server(self):
        """It takes 0.1 ms to wake its lane, and the hand-over to the third took 0.2 ms more than
        that wake-up had shifted the second."""
        queued = (0.1, 0.1, 6.3, 0.1)
        r = waits.of_server([(a * self.MS, int(q * self.MS), 8 * self.MS)
                             for a, q in zip(self.AT, queued)])
        for value, want in zip(r, (1.5, 1.65, 8, 0.2, 0.1)):
            self.assertAlmostEqual(value, want)

    def test_by_the_generator(self):
        """Its clock is another one, and its way 0.3 ms; the third answer was read 1 ms late."""
        late = (0, 0, 1, 0)
        r = waits.of_client([((a + 1e6) * self.MS, int((a + 1e6 + w + 8.3 + x) * self.MS), 8 * self.MS)
                             for a, w, x in zip(self.AT, self.WAITS, late)])
        for value, want in zip(r, (1.5, 1.75, 10.05, 0.3)):
            self.assertAlmostEqual(value, want, places=3)


class Falls(unittest.TestCase):
    def test_bursts_fall_where_long_quiet_follows(self):
        def ms(*ranges):
            return [t * 1_000_000 for first, last in ranges for t in range(first, last + 1, 5)]

        for bursts, end, want in (
                (((0, 1000),), 5000, [(1000, 5000)]),
                (((0, 1000),), 2000, []),                      # too little of the run is left
                (((0, 300),), 5000, []),                       # too short a burst
                (((0, 1000), (1200, 2000)), 5000, [(2000, 5000)]),  # a gap inside one
                (((0, 1000), (2000, 3000)), 5000, [(3000, 5000)]),  # too little quiet after it
                (((0, 1000), (3000, 4000)), 6000, [(1000, 3000), (4000, 6000)]),
                ((), 5000, [])):
            found = scene.falls(ms(*bursts), end * 1_000_000, 1.2)
            self.assertEqual(found, [(a * 1_000_000, b * 1_000_000) for a, b in want], bursts)

    def test_recovery_ends_with_half_a_second_of_calm(self):
        for bad, want in (((), 0.0), ((900,), 0.0), ((1100,), 0.1), ((1100, 1500, 1900), 0.9),
                          ((1100, 1601), 0.1), ((1600,), 0.0), ((1400, 3100), 0.4),
                          ((1400, 1800, 2200, 2600, 2990), 1.99)):
            found = scene.recovered_s(10**9, 3 * 10**9, [t * 1_000_000 for t in reversed(bad)])
            self.assertAlmostEqual(found, want, msg=str(bad))


class Stretches(unittest.TestCase):
    """Blocks of ten seconds each."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.now = folder.name, 0
        self.addCleanup(setattr, figures, "UNFINISHED", None)

    def run_once(self, stretch_s, setting="a", count=5, most=99):
        """The numbers of the blocks that one run measures."""
        blocks = stretch.Blocks("x", count, setting, self.folder, lambda: self.now, stretch_s)
        done = []
        for number in blocks.left():
            self.now += 10
            done.append(number)
            blocks.keep({"block": number})
            if len(done) == most:
                break
        return done, blocks

    def test_a_run_goes_on_where_the_last_one_ended(self):
        done, blocks = self.run_once(25)
        self.assertEqual((done, blocks.done), ([0, 1], False))
        self.assertIn("2 of 5 blocks", figures.UNFINISHED)
        self.assertEqual(rows_of(figures.row, "x", "", "", 1.0, 1.0, 1.0, "", "met")["x"]["verdict"],
                         "unfinished")
        self.assertEqual(self.run_once(25)[0], [2, 3])
        done, blocks = self.run_once(25)
        self.assertEqual((done, blocks.done, figures.UNFINISHED), ([4], True, None))
        self.assertEqual(blocks.found, [{"block": i} for i in range(5)])
        self.assertEqual(self.run_once(25)[0], [])  # all are there

    def test_one_block_at_least(self):
        self.assertEqual([self.run_once(1)[0] for _ in range(3)], [[0], [1], [2]])

    def test_a_block_that_was_cut_off_is_measured_again(self):
        self.assertEqual(self.run_once(1000, most=2)[0], [0, 1])
        self.assertEqual(self.run_once(1000)[0], [2, 3, 4])

    def test_blocks_of_another_setting_are_another_figures(self):
        self.assertEqual(self.run_once(25, "a")[0], [0, 1])
        self.assertEqual(self.run_once(25, "b")[0], [0, 1])

    def test_without_a_limit_all_is_measured_anew(self):
        for _ in range(2):
            self.assertEqual(self.run_once(0)[0], [0, 1, 2, 3, 4])

    def test_what_is_no_file_of_blocks_is_none(self):
        for text in ("", "[]", "{}", '{"key": 1, "blocks": [1]}'):
            pathlib.Path(self.folder, "x.blocks.json").write_text(text)
            self.assertEqual(self.run_once(1)[0], [0])


class Memory(unittest.TestCase):
    def test_drift(self):
        for samples, want in (([5] * 10 + [10] * 80 + [11] * 10, 1.1), ([10] * 20, 1.0),
                              ([1, 10, 9, 9, 9, 9, 9, 9, 9, 8], 0.8), ([7, 7], 1.0)):
            self.assertAlmostEqual(memory.drift(samples), want, msg=str(samples))
        for samples in ([], [1], [0] * 20):
            with self.assertRaises(RuntimeError):
                memory.drift(samples)

    def test_a_sampler_that_fails_says_so(self):
        with self.assertRaises(ZeroDivisionError):
            with memory.Sampler(lambda: 1 // 0, 0.001) as s:
                s.thread.join()

    def test_one_sample_over_the_budget_misses_it(self):
        cycles = figure("cache-cycles")
        for most, want in ((100, "met"), (101, "missed")):
            found = rows_of(cycles.rows_of_cycles, [(50, 40)] * 50 + [(most, 40)] + [(50, 40)] * 50,
                            100, 7)
            outside = found[f"cache: most memory in {cycles.CYCLES} evictions, as measured from outside"]
            counted = found[f"cache: most memory in {cycles.CYCLES} evictions, as the server counts"]
            self.assertEqual((outside["verdict"], counted["verdict"]), (want, "met"))
            drift = found[f"cache: drift of memory over {cycles.CYCLES} evictions"]
            self.assertEqual((drift["ratio"], drift["verdict"]), (1, "met"))

    def test_a_second_load_has_two_goals(self):
        cycles = figure("cache-cycles")
        for first, second, want in ((0.4, 0.02, ("met", "met")), (0.1, 0.02, ("missed", "met")),
                                    (0.8, 0.05, ("met", "missed"))):
            found = rows_of(cycles.rows_of_again, [first, first * 1.01] * 3, [second, second * 1.01] * 3)
            self.assertEqual((found["cache: ResNet-50 ready again once it was gone"]["verdict"],
                              found["cache: ResNet-50 ready again, time"]["verdict"]), want)


class Documents(unittest.TestCase):
    def policies(self):
        def interval(v, half):
            return {"value": v, "low": v - half if half else None, "high": v + half if half else None}
        rows = (("lru", 0.5, 0.9), ("pf", 2, 0.98), ("mmf", 2, 0.98), ("optp", 1.5, 1))
        return [{"policy": n, "worst_share": interval(share, 0.1), "against_optp": interval(rate, 0),
                 "requests_per_s": interval(rate, 0), "hit_ratio": interval(0.5, 0.01),
                 "jain": interval(1, 0), "outside_core": {"value": None, "low": None, "high": None},
                 "mean_slowdown": interval(2, 0), "worst_epoch": share} for n, share, rate in rows]

    def test_chart(self):
        root = xml.etree.ElementTree.fromstring(shares.chart(self.policies()))
        space = "{http://www.w3.org/2000/svg}"
        points = {g.find(f"{space}text").text: g for g in root.findall(f"{space}g")}
        self.assertEqual(set(points), {"lru", "pf", "mmf", "optp"})
        self.assertEqual([n for n, g in points.items() if g.get("class") == "robs"], ["lru"])
        at = {n: [float(g.find(f"{space}circle").get(c)) for c in ("cx", "cy")]
              for n, g in points.items()}
        self.assertLess(at["lru"][0], at["optp"][0])
        self.assertLess(at["optp"][0], at["pf"][0])
        self.assertLess(at["optp"][1], at["pf"][1])  # above it
        names = [(float(t.get("x")), float(t.get("y"))) for t in root.iter(f"{space}text")
                 if t.get("class") == "name"]
        self.assertEqual(len(set(names)), 4)  # also of two points at the same place
        ones = [line for line in root.iter(f"{space}line") if line.get("class") == "one"]
        self.assertLess(float(ones[0].get("x1")), at["optp"][0])
        self.assertGreater(float(ones[0].get("x1")), at["lru"][0])
        self.assertEqual(float(ones[1].get("y1")), at["optp"][1])

    def test_tables(self):
        lines = shares.table(self.policies()).splitlines()
        self.assertEqual(len(lines), 6)
        self.assertEqual(len({line.count("|") for line in lines}), 1)
        self.assertIn("| `lru` | 0.9000 | 90.0 | 50.0 +-1.0 | 1.000 | 0.500 +-0.100 | - |", lines[2])
        row = {"figure": "f", "ours": "1 ms", "peer": "2 ms", "ratio": 0.5, "low": 0.4, "high": 0.6,
               "goal": "<= 1", "verdict": "met", "note": ""}
        machine = {"cpu": "CPU", "cpus": 2, "kernel": "Linux 6.1.44-some-build"}
        # As bench/run keeps a figure that is to be gone on with, and one that failed.
        half = {**row, "figure": "g", "low": None, "high": None, "verdict": "unfinished",
                "note": "3 of 10 blocks; the next run with PS_BENCH_STRETCH_S goes on"}
        bad = {**half, "figure": "h", "ours": "", "peer": "", "ratio": None, "goal": "",
               "verdict": "failed", "note": "no | such | thing"}
        one = {"rows": [row], "commit": "abc", "started": "2026-01-02T03:04", "machine": machine}
        found = shares.measured({"a": one, "c": {**one, "rows": [half, bad], "commit": None}},
                                ("a", "b", "c"))
        self.assertIn("| g | 1 ms | 2 ms | 0.5 | <= 1 | unfinished: 3 of 10 blocks | `bench/run c` |",
                      found)
        self.assertIn("| h |  |  |  |  | failed | `bench/run c` |", found)
        self.assertIn("| f | 1 ms | 2 ms | 0.5 [0.4, 0.6] | <= 1 | met | `bench/run a` |", found)
        self.assertIn("| b | not measured |", found)
        self.assertIn("Measured on CPU, 2 CPUs, Linux 6.1, 2026-01-02.", found)

    def test_a_place_of_a_document(self):
        page = "a\n<!-- x -->\nold\n<!-- /x -->\nb\n"
        self.assertEqual(shares.between(page, "x", "new\n"), page.replace("old", "new"))
        for wrong in ("", page + page, "<!-- x -->\n"):
            with self.assertRaises(ValueError):
                shares.between(wrong, "x", "new")


class Neighbours(unittest.TestCase):
    """cache-server: four blocks whose numbers are made up."""

    def setUp(self):
        self.server = figure("cache-server")

    def blocks(self, **changed):
        one = {"p99": 100, "goodput": 10, "all": 12, "cold": 3}
        systems = {n: {**one, **changed.get(n.replace("+", "_").replace(" ", "_"), {})}
                   for n in self.server.SYSTEMS}
        return [{"systems": systems, "steal": 0, "repeats": 0}] * 4

    def verdicts(self, **changed):
        found = rows_of(self.server.rows, self.blocks(**changed))
        return {n: r["verdict"] for n, r in found.items()}, found

    def test_what_is_set_against_what(self):
        p99, goodput, best = ("pf: p99 of three tenants beside one that scans",
                              "pf: goodput of three tenants beside one that scans",
                              "pf: goodput of all four tenants")
        for changed, want in (({}, ("met", "met", "met")),
                              ({"pf_scan": {"p99": 109}}, ("met", "met", "met")),
                              ({"pf_scan": {"p99": 112}}, ("missed", "met", "met")),
                              ({"pf_scan": {"goodput": 8}}, ("met", "missed", "met")),
                              ({"mmf_scan": {"all": 13}}, ("met", "met", "missed")),
                              ({"mmf_scan": {"all": 12.5}}, ("met", "met", "met")),
                              ({"lru_scan": {"p99": 900}}, ("met", "met", "met"))):
            found, _ = self.verdicts(**changed)
            self.assertEqual((found[p99], found[goodput], found[best]), want, changed)
            self.assertEqual(found["lru: p99 of three tenants beside one that scans"], "shown")

    def test_disturbed_blocks_are_said(self):
        blocks = self.blocks()
        blocks[0] = {**blocks[0], "steal": 0.5, "repeats": 2}
        found = rows_of(self.server.rows, blocks)
        self.assertIn("2 repeated for steal, 1 still disturbed",
                      found["pf: goodput of all four tenants"]["note"])

    def test_who_has_which_models(self):
        names = self.server.SHARED + [m for own in self.server.OWN.values() for m in own]
        self.assertEqual((len(names), len(set(names))), (18, 18))
        for tenant in self.server.OWN:
            self.assertEqual(len(self.server.mix(tenant)), 6)


GOOD = """# figure: one that works
# seconds: 1
from lib import figures
figures.ratio_row("good", {"ours": [1] * 4, "peer": [1, 1, 1, 1.01], "ratios": [1, 1, 1, 0.99],
                           "repeated": 0, "disturbed": 0}, "ms", at_most=1.05)
"""
PARTLY = """# figure: one of whose parts fails
# seconds: 1
from lib import figures
with figures.part("broken"):
    raise RuntimeError("no such peer")
figures.row("whole", "1", "1", 1.0, 1.0, 1.0, "", "shown")
figures.finish()
"""
DEAD = """# figure: one that dies
# seconds: 1
import sys
sys.exit("nginx not found: run scripts/setup bench")
"""
SILENT = "# figure: one that says nothing\n# seconds: 1\n"
MISSED = """# figure: one that misses
# seconds: 1
from lib import figures
figures.row("late", "2", "1", 2.0, 1.9, 2.1, "<= 1", figures.verdict(1.9, 2.1, at_most=1))
"""


LONG = "# long: its data take an hour to measure\n" + GOOD.replace('"good"', '"slow"')


class Run(unittest.TestCase):
    """bench/run in a tree of its own, with figures made for the test."""

    def setUp(self):
        source = pathlib.Path(os.environ["PS_SOURCE_DIR"], "bench")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "bench/lib").mkdir(parents=True)
        shutil.copy(source / "run", self.root / "bench/run")
        for name in ("__init__.py", "figures.py"):
            shutil.copy(source / "lib" / name, self.root / "bench/lib")

    def run_figures(self, *names, quick=False, **scripts):
        for name, text in scripts.items():
            (self.root / f"bench/{name}.py").write_text(text)
        env = {**os.environ, "PS_BENCH_QUICK": "1" if quick else "0"}
        done = subprocess.run([sys.executable, self.root / "bench/run", *names], env=env,
                              capture_output=True, text=True, timeout=60)
        path = self.root / "build/bench" / ("quick.json" if quick else "results.json")
        return done, json.loads(path.read_text())["figures"] if path.exists() else {}

    def test_results_hold_the_machine_and_older_figures(self):
        self.run_figures("good", good=GOOD)
        done, found = self.run_figures("late", late=MISSED)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertEqual(set(found), {"good", "late"})
        self.assertEqual(found["late"]["rows"][0]["verdict"], "missed")
        one = found["good"]
        self.assertEqual(one["rows"][0]["verdict"], "met")
        self.assertEqual(one["machine"]["kernel"], f"Linux {os.uname().release}")
        self.assertEqual(one["machine"]["cpus"], os.cpu_count())
        self.assertTrue(one["machine"]["cpu"])
        self.assertTrue(0 <= one["steal"] <= 1)
        self.assertFalse(one["quick"])

    def test_a_figure_that_could_not_run_says_why(self):
        for text, rows in ((DEAD, [("x", "failed", "nginx not found: run scripts/setup bench"
                                    " (exit code 1)")]),
                           (PARTLY, [("broken", "failed", "RuntimeError: no such peer"),
                                     ("whole", "shown", "")]),
                           (SILENT, [("x", "failed", "it ended without a result")])):
            done, found = self.run_figures("x", x=text)
            self.assertEqual(done.returncode, 1)
            self.assertEqual([(r["figure"], r["verdict"], r["note"]) for r in found["x"]["rows"]],
                             rows)

    def test_met_goals_end_well(self):
        done, _ = self.run_figures("good", good=GOOD)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_long_figures_run_by_name_only(self):
        scripts = {"good": GOOD, "slow": LONG}
        for args, want in (((), {"good"}), (("--long",), {"slow"}), (("slow",), {"slow"})):
            with self.subTest(args=args):
                shutil.rmtree(self.root / "build", ignore_errors=True)
                done, found = self.run_figures(*args, **scripts)
                self.assertEqual((done.returncode, set(found)), (0, want), done.stderr)
        done, _ = self.run_figures("--list", **scripts)
        self.assertIn("--long: its data take an hour", done.stdout)
        self.assertEqual(done.stdout.splitlines()[-1].split(), ["in", "all", "1", "s"])

    def test_quick_is_no_measurement(self):
        done, found = self.run_figures("good", "late", quick=True, good=GOOD, late=MISSED)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([r["verdict"] for f in found.values() for r in f["rows"]], ["quick"] * 2)
        self.assertFalse((self.root / "build/bench/results.json").exists())


class Whole(unittest.TestCase):
    def test_all_figures_fit_into_an_hour_with_their_repeats(self):
        program = pathlib.Path(os.environ["PS_SOURCE_DIR"], "bench/run")
        done = subprocess.run([sys.executable, program, "--list"], capture_output=True, text=True,
                              check=True)
        seconds = int(done.stdout.splitlines()[-1].split()[2])
        self.assertLess(seconds * (1 + figures.REPEAT_SHARE), 3600)


if __name__ == "__main__":
    unittest.main()
