# timeout: 120
"""perseus report cost, break-even and bill. The campaign (tests/unit/report/campaign.h) is made of
formulas, so all numbers are worked out."""
import csv
import decimal
import io
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.environ["PS_SOURCE_DIR"], "tests/support"))
from perseus import run  # noqa: E402

SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])
AWS, GCP = (SOURCE / "examples/prices" / f"{x}.yaml" for x in ("aws", "gcp"))
# The unit test of report/ also writes its campaign through the store's interface.
MAKE = os.path.join(os.environ["PS_BUILD_DIR"], "tests/unit/unit_report_report")


class Report(unittest.TestCase):
    """resnet50 alone does 16/s, inception-v3 10/s, together 1.18 times (8, 4), on c6i.large."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.store = os.path.join(cls.folder.name, "results.db")
        subprocess.run([MAKE, "--write", cls.store], check=True)

    def report(self, verb, *args):
        return run("report", verb, self.store, "--today", "2026-11-22", *args)

    def json(self, verb, *args):
        done = self.report(verb, *args, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_cost(self):
        plain = json.loads(run("report", self.store, "--json").stdout)
        costs = self.json("cost")
        lines = {(x["tenant"], x["set"]): x for x in plain["lines"]}
        for row in costs["costs"]:
            if row["of"] == "tenant":
                line = lines[row["name"], row["set"]]
                for end in ("value", "low", "high"):
                    self.assertAlmostEqual(row["usd_per_million"][end],
                                           line["usd_per_million_inferences"][end])
        whole = [x for x in costs["costs"] if x["of"] == "set"]
        self.assertEqual([x["name"] for x in whole], ["together"])
        # 0.085 $/h over 1.18 x 12 inferences a second
        self.assertAlmostEqual(whole[0]["usd_per_million"]["value"], 0.085 / (1.18 * 12 * 3600) * 1e6)
        models = {x["name"]: x for x in costs["costs"] if x["of"] == "model" and x["set"] == "together"}
        self.assertEqual(set(models), {"models/resnet50.onnx", "models/inception-v3.onnx"})
        saving = costs["savings"][0]
        there = plain["comparisons"][0]
        self.assertEqual(saving["evidence"], "capacity on this ray")
        for ours, theirs in (("fluid_saving", "fluid_saving"), ("machine_saving", "machine_saving"),
                             ("full_load_saving", "full_load_saving"),
                             ("machines_apart", "machines_apart")):
            self.assertEqual(saving[ours], there[theirs])
        self.assertAlmostEqual(costs["months"][0]["apart_usd_per_month"]["value"], 124.10)

    def test_what_if(self):
        args = ("--prices", GCP, "--priced-as", "c3-highcpu-4", "--spot-share", "30%")
        other = self.json("cost", *args, "--rate", "resnet50=12", "--rate", "inception-v3=6")
        price = 0.7 * 0.170104 + 0.3 * 0.04168
        self.assertAlmostEqual(other["costs"][0]["usd_per_hour"], price)
        saving, month = other["savings"][0], other["months"][0]
        # 1.5 times the demand: over the 1.18 that one machine was shown to do
        self.assertEqual((saving["rates"], saving["evidence"]), ("12 + 6", "capacity on this ray"))
        self.assertEqual(saving["machines_together"]["value"], 2)
        self.assertAlmostEqual(month["fluid_together_usd_per_month"]["value"], 12 / (8 * 1.18) * price * 730)
        off = self.json("cost", "--rate", "inception-v3=0")["savings"][0]
        self.assertEqual(off["evidence"], "capacity on another ray")
        self.assertEqual(off["machines_apart"]["value"], 1)
        two = self.json("cost", "--prices", AWS, "--priced-as", "c6i.large", "--priced-as", "c7i.large")
        self.assertEqual({x["instance_type"] for x in two["months"]}, {"c6i.large", "c7i.large"})
        table = os.path.join(self.folder.name, "months.csv")
        done = self.report("cost", "--csv", table, "--table", "months")
        self.assertIn("Dollars a month (730 h) at these rates", done.stdout)
        self.assertRegex(done.stdout, r"machine saving +50\.0 % \[50\.0, 50\.0\]")
        with open(table, newline="", encoding="utf-8") as f:
            self.assertAlmostEqual(float(list(csv.DictReader(f))[0]["together_usd_per_month"]), 62.05)

    def test_slice_that_is_another_machine(self):
        for verb, more in (("cost", []), ("bill", ["--memory-weight", "0"]),
                           ("break-even", ["--tenant", "resnet50", "--against-capacity", "100",
                                           "--against-priced-as", "c3-highcpu-4"])):
            done = self.report(verb, "--prices", GCP, "--priced-as", "c3-highcpu-4", *more)
            self.assertIn("perseus: warning: the slice is not the instance it is priced as "
                          "(c3-highcpu-4): 2 vCPU against 4", done.stderr)

    def test_bill(self):
        """What 50 ms and 75 ms each cost of two CPUs; one of the four trials is INVALID."""
        bill = self.json("bill", "--memory-weight", "0", "--from", "2026-11-01", "--to", "2026-12-01")
        self.assertEqual(bill["total_nano_usd"], round(720 * 0.085 * 10**9))
        parts = [r["nano_usd"] for r in bill["rows"]] + [bill["idle"]["nano_usd"]]
        self.assertEqual(sum(parts), bill["total_nano_usd"])
        plain = json.loads(run("report", self.store, "--json").stdout)
        share = {x["tenant"]: x["requests"] for x in plain["lines"] if not x["alone"]}
        busy = {"resnet50": 0.05 * share["resnet50"], "inception-v3": 0.075 * share["inception-v3"]}
        for row in bill["rows"]:
            self.assertAlmostEqual(row["compute_ns"] / 1e9, busy[row["tenant"]] * 3 / 4, places=3)
            self.assertAlmostEqual(row["usd"], busy[row["tenant"]] / (2 * 32) * 61.2, places=4)
        self.assertEqual(bill["compute_from"], "answers")
        self.assertIn("of 3 of 3 trials the server's counters are not known",
                      self.report("bill", "--memory-weight", "0").stderr)
        done = self.report("bill")
        self.assertEqual(done.returncode, 4)
        self.assertIn("the store does not say what memory the models held", done.stderr)
        rows = list(csv.DictReader(io.StringIO(
            self.report("bill", "--memory-weight", "0", "--csv").stdout)))
        self.assertEqual(sum(decimal.Decimal(r["BilledCost"]) for r in rows),
                         decimal.Decimal("62.05"))
        # quantities are of the month that is billed: 62.05 $ for two CPUs over 730 h
        for row, ours in zip([r for r in rows if r["SkuMeter"] == "Compute time"], bill["rows"]):
            hours = float(row["ConsumedQuantity"])
            self.assertAlmostEqual(hours, ours["compute_ns"] / bill["measured_ns"] * 730, places=6)
            self.assertAlmostEqual(float(row["BilledCost"]) / hours, 62.05 / 1460, places=6)
            self.assertEqual((row["x_Requests"], row["x_Inferences"]), ("", ""))
        self.assertIn("the campaign has no set togeter", self.report("bill", "--set", "togeter").stderr)

    def test_break_even(self):
        args = ("--tenant", "resnet50", "--against-capacity", "100", "--prices", AWS,
                "--against-priced-as", "g4dn.xlarge")
        even = self.json("break-even", *args)
        # 0.526 / 0.085 = 6.2: six small machines are cheaper than the large one, seven are not
        self.assertAlmostEqual(even["crossings"][0]["rps"]["value"], 96)
        self.assertEqual(even["crossings"][0]["then"], "g4dn.xlarge")
        self.assertEqual(even["crossings"][0]["then_side"], "second")
        self.assertLess(even["crossings"][0]["rps"]["low"], 96 * 0.94)
        self.assertAlmostEqual(even["fluid_ratio"]["value"], (0.085 / 16) / (0.526 / 100))
        self.assertTrue(even["second"]["stated"])
        self.assertEqual(len(even["curve"]), 101)
        at = even["curve"][25]
        self.assertEqual(at["rps"], 100)
        self.assertAlmostEqual(at["first_usd_per_hour"]["value"], 7 * 0.085)
        self.assertAlmostEqual(at["second_fluid_usd_per_hour"]["value"], 0.526)
        rows = list(csv.DictReader(io.StringIO(
            self.report("break-even", *args, "--csv", "--points", "5").stdout)))
        self.assertEqual([float(r["rps"]) for r in rows], [0, 100, 200, 300, 400])
        text = self.report("break-even", *args).stdout
        self.assertIn("g4dn.xlarge: 100 requests/s of resnet50 (stated, not measured) at $0.526/h", text)
        self.assertIn("at low rates c6i.large is cheaper;\n  above 96 [", text)
        same = self.json("break-even", "--tenant", "resnet50", "--against", "1")
        self.assertEqual((same["crossings"], same["fluid_ratio"]["value"]), ([], 1))
        text = self.report("break-even", "--tenant", "resnet50", "--against", "1").stdout
        self.assertIn("In parts of machines c6i.large (the first) costs 1 ", text)
        self.assertIn(" times what c6i.large (the second) costs", text)
        # of one type, twice: the row that was asked for is its name
        priced = self.json("break-even", "--tenant", "resnet50", "--against", "1", "--prices", AWS,
                           "--priced-as", "aws/c6i.large", "--against-priced-as", "c6i.large")
        self.assertEqual([priced[x]["instance_type"] for x in ("first", "second")],
                         ["aws/c6i.large", "c6i.large"])

    def test_break_even_of_a_set(self):
        """Both tenants together do 1.18 x (8 + 4) = 14.16 requests/s on c6i.large, at $0.085/h."""
        args = ("--set", "together", "--against-capacity", "100", "--prices", AWS,
                "--against-priced-as", "g4dn.xlarge")
        even = self.json("break-even", *args)
        self.assertEqual((even["tenant"], even["set"]), (None, "together"))
        self.assertEqual([x["tenant"] for x in even["mix"]], ["resnet50", "inception-v3"])
        self.assertAlmostEqual(even["mix"][0]["share"], 2 / 3)
        capacity = even["first"]["capacity_rps"]
        self.assertAlmostEqual(capacity["value"], 14.16)
        self.assertAlmostEqual(capacity["low"], 14.16 * 0.94)
        # six of them are cheaper than the large one, seven are not
        self.assertAlmostEqual(even["crossings"][0]["rps"]["value"], 6 * 14.16)
        self.assertEqual(even["crossings"][0]["then_side"], "second")
        text = self.report("break-even", *args).stdout
        self.assertIn("requests/s of together (resnet50 66.7 %, inception-v3 33.3 %) at $0.085/h", text)
        slower = os.path.join(self.folder.name, "slower.db")
        subprocess.run([MAKE, "--write", slower, "slower"], check=True)
        two = self.json("break-even", "--set", "together", "--against-store", slower)
        self.assertAlmostEqual(two["fluid_ratio"]["value"], 0.85 / 1.18)
        db = sqlite3.connect(slower)
        db.execute("UPDATE capacity_ray SET rps = 8 WHERE rps = 4")
        db.commit()
        db.close()
        for other, code, what in (
                (["--set", "together", "--against-store", slower], 2,
                 "set together is another mix in the other campaign: of resnet50 66.67 % of the requests and 50 %"),
                (["--set", "both", "--against", "1"], 4, "knows no capacity of set both"),
                (["--set", "together", "--tenant", "resnet50", "--against", "1"], 64,
                 "--tenant and --set exclude each other")):
            done = self.report("break-even", *other)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(what, done.stderr)

    def test_open_end(self):
        """What no trial bounded is open in every table, and makes no crossing sure."""
        store = os.path.join(self.folder.name, "open.db")
        subprocess.run([MAKE, "--write", store, "open"], check=True)
        done = run("report", "cost", store, "--json")
        alone = [x for x in json.loads(done.stdout)["costs"] if x["set"] == "alone:resnet50"]
        self.assertTrue(alone[0]["inferences_per_s"]["open_high"])
        self.assertTrue(alone[0]["usd_per_million"]["open_low"])
        month = json.loads(done.stdout)["months"][0]["fluid_together_usd_per_month"]
        self.assertEqual((month["open_low"], month["open_high"]), (True, True))
        self.assertRegex(run("report", "cost", store).stdout, r"parts together +52\.6 \[open, open\]")
        args = (store, "--tenant", "resnet50", "--against-capacity", "100", "--prices", AWS,
                "--against-priced-as", "g4dn.xlarge", "--today", "2026-11-22")
        even = json.loads(run("report", "break-even", *args, "--json").stdout)
        self.assertIsNone(even["first"]["capacity_rps"]["high"])
        self.assertEqual(even["fluid_ratio"]["low"], 0)
        self.assertFalse(any(x["sure"] for x in even["crossings"]))
        self.assertIn(", open] requests/s of resnet50", run("report", "break-even", *args).stdout)

    def test_prices_of_the_page(self):
        page = os.path.join(self.folder.name, "page.html")
        done = run("report", self.store, "--prices", AWS)
        self.assertEqual(done.returncode, 64)
        self.assertIn("--prices is for the controls of a campaign's page", done.stderr)
        bad = os.path.join(self.folder.name, "bad.yaml")
        for text, what in (("prices: [{provider: a, instance_type: b, on_demand_per_hour: 0, source: s, "
                            "source_date: 2026-01-01}]", "on_demand_per_hour"),
                           ("currency: XYZ\nprices: [{provider: a, instance_type: b, on_demand_per_hour: 1, "
                            "source: s, source_date: 2026-01-01}]", "XYZ")):
            pathlib.Path(bad).write_text(text)
            done = run("report", self.store, "--html", page, "--prices", AWS, "--prices", bad)
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertIn(what, done.stderr)
            self.assertFalse(os.path.exists(page))
        pathlib.Path(bad).write_text("prices:\n" + "".join(
            f"  - {{provider: a, instance_type: t{i}, on_demand_usd_per_hour: 1, source: s, source_date: 2026-01-01}}\n"
            for i in range(1001)))
        done = run("report", self.store, "--html", page, "--prices", bad)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("the sheets have over 1000 prices", done.stderr)
        done = run("report", self.store, "--html", page, "--prices", AWS, "--prices", GCP)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_stored_terms(self):
        """The store has the row of the sheet: $0.085 on demand, $0.03 on spot, by the second."""
        mixed = self.json("cost", "--spot-share", "0.5")["costs"][0]
        self.assertAlmostEqual(mixed["usd_per_hour"], 0.0575)
        for hours, usd in ((0.5, 0.085 * 30 / 60), (1, 0.085)):
            bill = self.json("bill", "--memory-weight", "0", "--from", "2026-11-01T00:00",
                             "--to", f"2026-11-01T{int(hours):02d}:{round(60 * hours) % 60:02d}")
            self.assertEqual(bill["total_nano_usd"], round(usd * 10**9))
        price = json.loads(run("report", self.store, "--json").stdout)["price"]
        self.assertEqual((price["billed_per"], price["minimum_s"], price["spot_usd_per_hour"]),
                         ("second", 60, 0.03))
        self.assertIsNone(price["reserved_1y_usd_per_hour"])

    def test_old_store(self):
        """One of schema 3 has the price on demand alone, and says so."""
        old = os.path.join(self.folder.name, "old.db")
        db = sqlite3.connect(old)
        db.executescript((SOURCE / "tests/unit/store/schema-3.sql").read_text())
        db.close()
        plain = run("report", old, "--json")
        self.assertEqual(plain.returncode, 0, plain.stderr)
        price = json.loads(plain.stdout)["price"]
        self.assertEqual((price["usd_per_hour"], price["billed_per"], price["spot_usd_per_hour"]),
                         (0.085, None, None))
        self.assertEqual(run("report", "cost", old).returncode, 0)
        for args, what in ((["cost", old, "--spot-share", "1"], "keeps the price on demand alone"),
                           (["bill", old, "--reserved-share", "0.5", "--memory-weight", "0"],
                            "keeps the price on demand alone"),
                           (["bill", old, "--from", "2026-11-01T00:00", "--to", "2026-11-01T00:30",
                             "--memory-weight", "0"], "billed by the hour, the minute or")):
            done = run("report", *args)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn(what, done.stderr)
        self.assertEqual(run("store", "check", old).returncode, 0)

    def test_refused(self):
        for verb, args, code, what in [
                ("cost", ["--rate", "resnet=1"], 64, "the campaign has no tenant resnet"),
                ("cost", ["--rate", "resnet50"], 64, "is not TENANT=RATE"),
                ("cost", ["--rate", "resnet50=-1"], 64, "'-1' is no rate"),
                ("cost", ["--rate", "resnet50=nan"], 64, "'nan' is no rate"),
                ("cost", ["--rate", "resnet50=0", "--rate", "inception-v3=0"], 2, "all rates are 0"),
                ("cost", ["--priced-as", "c6i.large"], 64, "--priced-as needs a price sheet"),
                ("cost", ["--reserved-share", "1"], 2,
                 "the sheet states no reserved price of c6i.large"),
                ("cost", ["--spot-share", "1", "--prices", AWS], 2,
                 "the sheet states no spot price of c6i.large"),
                ("bill", ["--reserved-share", "0.5", "--memory-weight", "0"], 2,
                 "the sheet states no reserved price of c6i.large"),
                ("cost", ["--spot-share", "0.6", "--reserved-share", "0.6", "--prices", AWS], 2,
                 "1.2 of all"),
                ("break-even", [], 64, "what to compare with is missing"),
                ("break-even", ["--against", "1", "--against-capacity", "5"], 64,
                 "--against-capacity and a second campaign exclude each other"),
                ("break-even", ["--against-capacity", "5", "--tenant", "resnet50"], 64,
                 "what the second machine costs is missing"),
                ("break-even", ["--against", "1"], 64, "several tenants can be compared"),
                ("break-even", ["--against", "1", "--tenant", "x"], 4, "no capacity alone of tenant x"),
                ("break-even", ["--against-capacity", "0", "--tenant", "resnet50"], 64, "out of range"),
                ("break-even", ["--against", "1", "--tenant", "resnet50", "--up-to", "1e12"], 2,
                 "ask for a lower rate"),
                ("bill", ["--set", "alone:nobody"], 4, "the campaign has no set alone:nobody")]:
            done = self.report(verb, *args)
            self.assertEqual(done.returncode, code, (verb, args, done.stderr))
            self.assertIn(what, done.stderr)


if __name__ == "__main__":
    unittest.main()
