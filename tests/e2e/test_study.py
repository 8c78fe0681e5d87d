"""The study of 2020 beside our own trials: the campaign files, what is published, and the whole path in
a short form with pretended models."""
# timeout: 120
import csv
import json
import os
import pathlib
import re
import unittest

import yaml

from support import campaigns, perseus

STUDY = pathlib.Path(os.environ["PS_SOURCE_DIR"]) / "examples/perseus-2020"
PUBLISHED = STUDY / "published.yaml"
MINUTES = {"study": 45, "quick": 10}
TOGETHER = {("pairs", "pairs-bursty"): 90, ("order-fair", "order-agreements", "order-arrival"): 60}
KINDS = {"frontier": "frontier", "peak-of-first": "peak of ResNet-50", "peak-of-second": "peak of Inception-v3"}
SLA = "p95<=750ms,success>=90%"


def rate(text):
    return float(str(text).removesuffix("/s"))


class Files(unittest.TestCase):
    def minutes(self, name):
        done = perseus.run("measure", STUDY / f"{name}.yaml", "--dry-run", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)["estimated_s"] / 60

    def test_budgets(self):
        for name, most in MINUTES.items():
            self.assertLess(self.minutes(name), most, name)
        for names, most in TOGETHER.items():
            self.assertLess(sum(self.minutes(name) for name in names), most, names)

    def test_lengths_differ_in_nothing_else(self):
        files = [yaml.safe_load((STUDY / f"{n}.yaml").read_text()) for n in ("study", "study-full", "quick")]
        lengths = [[f.pop(key, None) for key in ("name", "search", "confirm", "stop", "full")] for f in files]
        self.assertEqual(len({x[0] for x in lengths}), 3)
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[2]["frontiers"][0].pop("shares"), ["8%", "92%"])
        files[0]["frontiers"][0].pop("shares")
        self.assertEqual(files[0], files[2])

    def test_orders_differ_in_nothing_else(self):
        files = [yaml.safe_load((STUDY / f"order-{o}.yaml").read_text()) for o in ("fair", "agreements", "arrival")]
        for f in files:
            self.assertEqual(f.pop("name"), "perseus-2020-order-" + f["server"].pop("order"))
        self.assertEqual(files[0], files[1])
        self.assertEqual(files[0], files[2])

    def test_bursts_differ_in_nothing_else(self):
        plain, bursty = (yaml.safe_load((STUDY / f"{n}.yaml").read_text()) for n in ("pairs", "pairs-bursty"))
        self.assertEqual(bursty.pop("name"), plain.pop("name") + "-bursty")
        for t in bursty["tenants"]:
            self.assertEqual(t.pop("arrival"), "bursts")
            for key in ("burst_ratio", "burst_share"):
                t.pop(key)
        self.assertEqual(plain, bursty)
        self.assertEqual(len(plain["tenants"]), 6)


class Study(campaigns.Folder):
    def setUp(self):
        super().setUp()
        models = [{"name": "resnet50", "file": "a.synthetic.yaml"}, {"name": "inception_v3", "file": "b.synthetic.yaml"}]
        tenants = [{"name": m["name"], "model": m["name"], "demand": "20/s", "sla": SLA} for m in models]
        self.campaign = {
            "name": "short", "seed": 7, "models": models, "tenants": tenants, "slice": {"cpus": "0"},
            "search": {"scale": "200ms", "steps": 2, "step": "200ms", "warmup": "20ms", "checks": 0},
            "confirm": {"trials": 0},
            "frontiers": [{"name": "study", "tenants": ["resnet50", "inception_v3"], "shares": ["8%", "92%"]}]}

    def measured(self):
        path = self.dir / "short.yaml"
        path.write_text(yaml.safe_dump(self.campaign, sort_keys=False))
        done = self.measure(path)
        self.assertEqual(done.returncode, 0, done.stderr)

    def report(self, *args):
        done = perseus.run("report", self.db, "--published", PUBLISHED, *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def check_published(self, peaks, points):
        """Numbers as in the file; sums worked out from it."""
        machines = yaml.safe_load(PUBLISHED.read_text())["machines"]
        self.assertEqual([m["machine"] for m in peaks], [m["name"] for m in machines])
        rest = list(points)
        for m, row in zip(machines, peaks):
            one, two = rate(m["first_alone"]), rate(m["second_alone"])
            self.assertEqual((row["first_alone_rps"]["value"], row["second_alone_rps"]["value"]), (one, two))
            for p in m["points"]:
                r = rest.pop(0)
                x, y = rate(p["first"]), rate(p["second"])
                self.assertEqual((r["machine"], r["first_rps"]["value"], r["second_rps"]["value"]), (m["name"], x, y))
                self.assertAlmostEqual(r["sum_of_shares"]["value"], x / one + y / two)
                self.assertAlmostEqual(r["fluid_saving"]["value"], 1 - 1 / (x / one + y / two))
                self.assertLess(r["sum_of_shares"]["low"], (x - 0.5) / one + (y - 0.5) / two)
                self.assertEqual(r["machine_saving"]["value"], 0.5)
                kind = KINDS[p.get("kind", "frontier")]
                self.assertEqual(r["what"], kind)
                if kind == KINDS["peak-of-first"]:
                    self.assertEqual((row["first_peak_rps"]["value"], row["little_second_rps"]["value"]), (x, y))
                elif kind == KINDS["peak-of-second"]:
                    self.assertEqual((row["second_peak_rps"]["value"], row["little_first_rps"]["value"]), (y, x))
        self.assertEqual(rest, [])
        sums = [r["sum_of_shares"]["value"] for r in points if r["what"] == "frontier"]
        # what the study's own reading of its figures says
        self.assertEqual((round(min(sums), 2), round(max(sums), 2)), (1.07, 1.19))

    def check_ours(self, r, peak, points):
        alone = {x["tenant"]: x["capacity_rps"]["value"] for x in r["lines"] if x["alone"]}
        self.assertEqual(peak["first_alone_rps"]["value"], alone["resnet50"])
        self.assertEqual(peak["second_alone_rps"]["value"], alone["inception_v3"])
        self.assertEqual(len(points), 3)  # a little of either, and half and half
        self.assertEqual(sorted(p["what"] for p in points), sorted(KINDS.values()))
        for p in points:
            x, y = p["first_rps"]["value"] / alone["resnet50"], p["second_rps"]["value"] / alone["inception_v3"]
            self.assertAlmostEqual(p["sum_of_shares"]["value"], x + y)
            self.assertAlmostEqual(p["fluid_saving"]["value"], 1 - 1 / (x + y))
            share = {"frontier": 0.5, "peak of ResNet-50": 0.08, "peak of Inception-v3": 0.92}[p["what"]]
            self.assertAlmostEqual(y / (x + y), share)
        return next(p["sum_of_shares"]["value"] for p in points if p["what"] == "frontier")

    def check_loads(self, loads, total):
        self.assertEqual([x["load"] for x in loads], [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
        for x in loads:
            together = max(1, -int(-(2 * x["load"] / total) // 1))
            self.assertEqual(x["machines_apart"]["value"], 2)
            self.assertEqual(x["machines_together"]["value"], together)
            self.assertAlmostEqual(x["machine_saving"]["value"], 1 - together / 2)
            most = max(1, int(total / x["load"] + 1e-9))
            self.assertEqual(x["most_tenants"]["value"], most)
            self.assertAlmostEqual(x["most_saving"]["value"], 1 - 1 / most)

    def check_page(self):
        page, markdown = self.dir / "study.html", self.dir / "study.md"
        text = self.report("--html", page, "--markdown", markdown)
        html, md = page.read_text(), markdown.read_text()
        self.assertLess(len(html), 3 << 20)
        self.assertNotRegex(html, r'(src|href)="https?:')
        self.assertIn('<section id="published">', html)
        for figure in ("published-peaks", "published-frontier", "published-loads"):
            self.assertIn(f"id: '{figure}'", html)
        for title in ("Peaks: the most of one", "What both get from one machine", "Whole machines by load"):
            for form in (text, html, md):
                self.assertIn(title, re.sub(r"\s+", " ", form))
        self.assertIn("| 1 x P4 | published |", md)
        self.assertIn("LeMay, Li, Guo", md)

    def check_csv(self, points):
        path = self.dir / "points.csv"
        self.report("--csv", path, "--table", "points")
        with open(path, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual(len(rows), len(points))
        for row, p in zip(rows, points):
            self.assertAlmostEqual(float(row["sum_of_shares"]), p["sum_of_shares"]["value"])

    def test_whole_path(self):
        self.measured()
        r = json.loads(self.report("--json"))
        p = r["published"]
        theirs = [x for x in p["points"] if x["whose"] == "published"]
        ours = [x for x in p["points"] if x["whose"] == "measured here"]
        self.check_published(p["peaks"][:-1], theirs)
        total = self.check_ours(r, p["peaks"][-1], ours)
        self.check_loads(p["loads"], total)
        self.check_page()
        self.check_csv(p["points"])
        alone = json.loads(perseus.run("report", "loads", self.db, "--json").stdout)
        self.assertEqual(alone["loads"], p["loads"])

    def test_first_come_first_served(self):
        """One tenant of the server for both, whose queue is in order of arrival; the SLAs when it is told."""
        self.campaign.update({"frontiers": [], "search": {"sets": "none"},
                              "confirm": {"trials": 1, "duration": "200ms", "warmup": "20ms"}})
        for order, tenants in (("arrival", ["everybody"]), ("agreements", ["resnet50", "inception_v3"])):
            self.campaign.update({"name": order, "server": {"order": order}})
            self.measured()
            config = yaml.safe_load(next((self.dir / "work").rglob("together.yaml")).read_text())
            self.assertEqual([t["name"] for t in config["tenants"]], tenants)
            self.assertEqual([t.get("sla") for t in config["tenants"]],
                             [None] if order == "arrival" else ["p95 <= 750 ms, success >= 90 %"] * 2)
            lines = json.loads(perseus.run("report", self.db, "--json").stdout)["lines"]
            for x in lines:
                self.assertGreater(x["requests"], 0)
                self.assertLess(x["requests_failed"], x["requests"])

    def test_refused(self):
        wrong = self.dir / "wrong.yaml"
        self.campaign.update({"frontiers": [], "search": {"sets": "none"}, "together": "none",
                              "confirm": {"trials": 1, "duration": "100ms", "warmup": "0s"}})
        self.measured()
        for text, code, what in [
                (PUBLISHED.read_text().replace("model: resnet50", "model: resnet5"), 4, "did you mean resnet50?"),
                (PUBLISHED.read_text().replace("203.7/s", "0"), 2, "first_alone"),
                (PUBLISHED.read_text() + "page: 5\n", 2, "page")]:
            wrong.write_text(text)
            done = perseus.run("report", self.db, "--published", wrong)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(what, done.stderr)
        done = perseus.run("report", self.db, "--csv", "x", "--table", "points")
        self.assertEqual(done.returncode, 64)
        self.assertIn("--published", done.stderr)
        done = perseus.run("report", self.db, "--published", PUBLISHED, "--against", "1")
        self.assertEqual(done.returncode, 64)
        self.assertIn("it is of one campaign", done.stderr)
        for load in ("0", "101%", "x", "nan"):
            done = perseus.run("report", "loads", self.db, "--load", load)
            self.assertEqual(done.returncode, 64, load)
        self.assertIn("nothing to tell", perseus.run("report", "loads", self.db).stdout)


if __name__ == "__main__":
    unittest.main()
