"""`perseus cache`: what explain and simulate say, write and refuse."""
import csv
import json
import os
import pathlib
import shutil
import tempfile
import unittest
from html.parser import HTMLParser

import yaml

from support.perseus import run

SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])
POLICIES = ["static", "lru", "lfu", "gdsf", "rsd", "optp", "mmf", "pf"]
MAJORITY = {
    "capacity": "1GB",
    "tenants": [{"name": "north"}, {"name": "south"}, {"name": "east"}],
    "models": [{"name": "common", "bytes": "900MB", "load": "2s", "run": "100ms"},
               {"name": "special", "bytes": "800MB", "load": "1500ms", "run": "80ms"}],
    "demand": [{"tenant": "north", "model": "common", "requests": 40},
               {"tenant": "south", "model": "common", "requests": 35},
               {"tenant": "east", "model": "special", "requests": 20}],
}


class Page(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.data, self.at_data = [], "", False

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.at_data = ("id", "data") in attrs

    def handle_data(self, data):
        self.data += data if self.at_data else ""


class Cache(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-fair-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def file(self, **more):
        path = self.dir / "cache.yaml"
        path.write_text(yaml.safe_dump({**MAJORITY, **more}, sort_keys=False))
        return path

    def cache(self, *args, code=0):
        done = run("cache", *args)
        self.assertEqual(done.returncode, code, done.stderr + done.stdout)
        return done.stderr if code else done.stdout

    def by_policy(self, *args):
        return {p["policy"]: p for p in json.loads(self.cache(*args, "--json"))["policies"]}

    def test_explain_by_hand(self):
        found = self.by_policy("explain", self.file())
        self.assertEqual(list(found), POLICIES)
        pf = found["pf"]
        self.assertEqual([c["models"] for c in pf["configurations"]], [["common"], ["special"]])
        self.assertAlmostEqual(pf["configurations"][0]["share"], 2 / 3, 9)
        self.assertLess(pf["gap"], 1e-6)
        self.assertIs(pf["in_core"], True)
        self.assertEqual([round(t["gets_s"], 6) for t in pf["tenants"]], [53.333333, 46.666667, 10])
        self.assertEqual(found["optp"]["objection"]["tenants"], ["east"])
        self.assertEqual(found["mmf"]["objection"]["tenants"], ["north", "south"])
        self.assertAlmostEqual(found["mmf"]["objection"]["gain"], 4 / 3, 6)

    def test_explain_in_words_and_csv(self):
        text = self.cache("explain", self.file())
        self.assertIn("66.67%", text)
        self.assertIn("east, whose part is 33.33 % of the chances", text)
        self.assertIn("pf      nobody: it is in the core", text)
        rows = list(csv.DictReader(self.cache("explain", self.file(), "--csv").splitlines()))
        self.assertEqual(len(rows), len(POLICIES) * 3)
        self.assertEqual(rows[-1]["objected"], "no")
        # One configuration in the text, the others counted.
        text = self.cache("explain", self.file(), "--configurations", 1)
        self.assertIn("1 more:", text)

    def test_one_content_is_one_item(self):
        models = MAJORITY["models"] + [{**MAJORITY["models"][0], "name": "copy",
                                        "content": "common"}]
        demand = MAJORITY["demand"] + [{"tenant": "east", "model": "copy", "requests": 15}]
        found = self.by_policy("explain", self.file(models=models, demand=demand))
        self.assertAlmostEqual(found["pf"]["configurations"][0]["share"], 1)
        self.assertAlmostEqual(found["pf"]["tenants"][2]["gets_s"], 30)

    def test_weights_pins_and_guarantees(self):
        tenants = [{"name": "north"}, {"name": "south"}, {"name": "east", "weight": 4}]
        pf = self.by_policy("explain", self.file(tenants=tenants))["pf"]
        self.assertAlmostEqual(pf["configurations"][0]["share"], 2 / 3)
        self.assertEqual(pf["configurations"][0]["models"], ["special"])
        tenants[2] = {"name": "east", "guaranteed": "800MB"}
        for p in self.by_policy("explain", self.file(tenants=tenants)).values():
            self.assertEqual([c["models"] for c in p["configurations"]], [["special"]])
        models = [{**m, "pinned": m["name"] == "common"} for m in MAJORITY["models"]]
        for p in self.by_policy("explain", self.file(models=models)).values():
            self.assertEqual([c["models"] for c in p["configurations"]], [["common"]])

    def test_refusals_name_the_line(self):
        rows = (
            ({"demand": [{"tenant": "west", "model": "common", "requests": 1}]},
             "cache.yaml:16:tenant"),
            ({"demand": [{"tenant": "east", "model": "none", "requests": 1}]}, ":model"),
            ({"tenants": [{"name": "a"}, {"name": "a"}]}, "cache.yaml:4:name"),
            ({"models": MAJORITY["models"] + [dict(MAJORITY["models"][0])]}, ":name"),
            ({"models": [{"name": "x", "bytes": "-1", "load": "1s"}]}, "bytes"),
            ({"models": MAJORITY["models"] + [
                {"name": "y", "bytes": "1MB", "load": "1s", "content": "common"}]}, ":content"),
            ({"tenants": [{"name": "a", "guaranteed": "2GB"}], "demand": []}, "1.86 GiB"),
            ({"tenants": []}, "tenants"),
            ({"size": 3}, "size"),
        )
        for more, said in rows:
            with self.subTest(said=said, **more):
                done = run("cache", "explain", self.file(**more))
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(said, done.stderr)
        self.assertIn("no-such-file", run("cache", "explain", "no-such-file").stderr)

    def test_simulate_the_published_setting(self):
        page, table = self.dir / "cache.html", self.dir / "cache.csv"
        args = ("simulate", "--seeds", 4, "--html", page, "--csv", table)
        found = self.by_policy(*args, "--threads", 2)
        self.assertEqual(list(found), POLICIES)
        for policy in ("pf", "mmf", "rsd"):
            self.assertGreaterEqual(found[policy]["worst_epoch"], 1 - 1e-6)
        self.assertEqual(found["pf"]["epochs_outside"], 0)
        self.assertEqual(found["pf"]["epochs_looked_at"], found["pf"]["epochs"])
        self.assertEqual(found["optp"]["against_optp"]["value"], 1)
        # Threads change nothing.
        self.assertEqual(found, self.by_policy(*args, "--threads", 1))
        parser = Page()
        parser.feed(page.read_text())
        self.assertEqual((parser.tags.count("table"), parser.tags.count("link")), (2, 0))
        shown = json.loads(parser.data)["policies"]["policies"]
        self.assertEqual([p["policy"] for p in shown], POLICIES)
        for row in shown:  # the page holds the numbers of the command
            for end, value in found[row["policy"]]["worst_share"].items():
                self.assertAlmostEqual(row["worst_share"][end], value, 12)
            self.assertEqual(len(row["tenants"]), 4)
        self.assertIn("Under pf the worst off tenant has", page.read_text())
        rows = list(csv.DictReader(table.read_text().splitlines()))
        self.assertEqual(len(rows), len(POLICIES) * (10 + 4 * 4))
        rate = next(r for r in rows if r["policy"] == "pf" and r["figure"] == "requests_per_s")
        self.assertAlmostEqual(float(rate["value"]), found["pf"]["requests_per_s"]["value"], 6)

    def test_many_tenants_are_not_checked_for_the_core(self):
        args = ("simulate", "--tenants", 40, "--length", "10s", "--per-epoch", 0, "--seeds", 2,
                "--policies", "pf", "--policies", "lru")
        found = self.by_policy(*args)
        for policy in ("pf", "lru"):
            self.assertTrue(0 < found[policy]["epochs_looked_at"] < found[policy]["epochs"])
            self.assertEqual(len(found[policy]["tenants"]), 40)
        looked, epochs = (sum(p[k] for p in found.values()) for k in ("epochs_looked_at", "epochs"))
        self.assertIn(f"\n{looked} of {epochs} epochs were checked", self.cache(*args))
        # Not asked for, and all of them checked.
        self.assertRegex(self.cache("simulate", "--seeds", 1, "--core=false"), r"pf .* not checked")
        self.assertNotIn("checked", self.cache("simulate", "--seeds", 1))

    def trace(self, text):
        path = self.dir / "trace.csv"
        path.write_text(text)
        return path

    def test_simulate_a_trace(self):
        lines = [f"{k / 2},{('north', 'south', 'east')[k % 3]},{('common', 'special')[k % 3 == 2]}"
                 for k in range(120)]
        trace = self.trace("seconds,tenant,model\n" + "\n".join(lines) + "\n")
        found = self.by_policy("simulate", self.file(demand=[]), "--trace", trace, "--seeds", 2,
                               "--policies", "pf", "--policies", "lru")
        self.assertEqual(list(found), ["lru", "pf"])
        self.assertEqual([t["tenant"] for t in found["pf"]["tenants"]], ["north", "south", "east"])
        self.assertGreater(found["pf"]["worst_epoch"], 1 - 1e-6)
        text = self.cache("simulate", self.file(), "--trace", trace, "--seeds", 2)
        self.assertIn("worst share", text)

    def test_refused_simulations(self):
        rows = (("1,north", "trace.csv:1"), ("seconds,tenant,model\n1,west,common", "trace.csv:2"),
                ("2,north,common\n1,north,common", "trace.csv:2"), ("x,north,common", "trace.csv:1"),
                ("1,north,common,2", "trace.csv:1"), ("", "no request"),
                ("-1,north,common", "trace.csv:1"), ("1,north,nothing", "trace.csv:1"))
        for text, said in rows:
            with self.subTest(text=text):
                done = run("cache", "simulate", self.file(), "--trace", self.trace(text))
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(said, done.stderr)
        for args, said in ((("--trace", "x"), "needs the file"), (("--policies", "fifo"), "pf"),
                           ((self.file(),), "--trace"), (("--cold-rate", "50GB"), "--warm-rate"),
                           (("--html", self.dir / "no" / "x.html"), "no")):
            with self.subTest(args=args):
                done = run("cache", "simulate", *args)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(said, done.stderr)

    def test_the_examples(self):
        shop = self.by_policy("explain", SOURCE / "examples/cache/shop.yaml")
        self.assertGreater(len(shop["pf"]["configurations"]), 1)
        self.assertGreater(shop["pf"]["worst_share"], 1)
        minority = self.by_policy("explain", SOURCE / "examples/cache/minority.yaml")
        self.assertEqual(minority["optp"]["worst_share"], 0)


if __name__ == "__main__":
    unittest.main()
