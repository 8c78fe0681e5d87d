# timeout: 120
"""perseus serve bill --prices: what the machine cost, split by a ledger whose rows are known."""
import csv
import decimal
import io
import json
import os
import pathlib
import random
import shutil
import sqlite3
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.environ["PS_SOURCE_DIR"], "tests/support"))
from perseus import Server, run, synthetic  # noqa: E402

SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])
AWS, GCP = (SOURCE / "examples/prices" / f"{x}.yaml" for x in ("aws", "gcp"))
DAY = ("--from", "2026-11-01", "--to", "2026-11-02", "--today", "2026-11-22")
LARGE = ("--prices", AWS, "--priced-as", "c6i.large")
GIB = 1 << 30
X = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}


class Ledger(unittest.TestCase):
    """A ledger made by a real server, with rows that are known."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.state = pathlib.Path(cls.folder.name, "state")
        cls.made = pathlib.Path(cls.folder.name, "made")
        with Server(models={"net": synthetic()}, config={"state": str(cls.made)}) as s:
            cls.status = s.infer("net", [X])[0]

    def setUp(self):
        shutil.rmtree(self.state, True)
        shutil.copytree(self.made, self.state)
        self.db = sqlite3.connect(self.state / "perseus-state.db", isolation_level=None)
        self.addCleanup(self.db.close)
        self.db.execute("DELETE FROM usage")
        self.written(1793577600)  # 2026-11-02, when the day of these bills was over

    def written(self, s):
        """The server ended then, in good order."""
        self.db.execute("UPDATE run SET started_ns = min(started_ns, ?1), written_ns = ?1, "
                        "ended_ns = ?1", (s * 10**9,))

    def put(self, tenant, model, compute_ns, byte_s, version=1, minute=29_700_000, requests=0):
        # 29,700,000 minutes after 1970: 2026-06-21T00:00Z
        run_id = self.db.execute("SELECT max(id) FROM run").fetchone()[0]
        self.db.execute("INSERT INTO usage (run, tenant, model, version, minute, requests, failed, "
                        "inferences, compute_ns, resident_byte_s) VALUES (?,?,?,?,?,?,0,?,?,?)",
                        (run_id, tenant, model, version, minute, requests, requests, compute_ns,
                         byte_s))

    def bill(self, *args):
        return run("serve", "bill", "--state", self.state, *args)

    def rows(self, *args):
        done = self.bill(*args, "--csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def test_a_day(self):
        """24 h of c6i.large: $2.04, half of it for compute, of which one CPU is half."""
        minute = 1793491200 // 60  # 2026-11-01
        self.put("a", "net", 12 * 3600 * 10**9, 6 * 3600 * 4 * GIB, minute=minute, requests=5)
        self.put("a", "net", 12 * 3600 * 10**9, 0, version=2, minute=minute + 1439)
        self.put("b", "other", 6 * 3600 * 10**9, 12 * 3600 * GIB, minute=minute)
        self.put("-", "net", 0, 24 * 3600 * GIB, minute=minute)
        self.put("b", "other", 10**15, 10**17, minute=minute + 1440)  # the next day's
        done = self.bill(*LARGE, *DAY, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        bill = json.loads(done.stdout)
        self.assertEqual(bill["total_nano_usd"], 2_040_000_000)
        self.assertEqual(bill["billed_hours"], 24)
        got = {(r["tenant"], r["model"]): (r["compute_nano_usd"], r["memory_nano_usd"])
               for r in bill["rows"]}
        # 1.02 $ for 48 CPU-h, and 1.02 $ for 96 GiB-h
        self.assertEqual(got, {("a", "net"): (510_000_000, 255_000_000),
                               ("b", "other"): (127_500_000, 127_500_000),
                               ("-", "net"): (0, 255_000_000)})
        self.assertEqual((bill["idle"]["compute_nano_usd"], bill["idle"]["memory_nano_usd"]),
                         (382_500_000, 382_500_000))
        self.assertEqual([(t["tenant"], t["nano_usd"]) for t in bill["tenants"]],
                         [("-", 255_000_000), ("a", 765_000_000), ("b", 255_000_000)])
        self.assertEqual(bill["rows"][1]["requests"], 5)
        weighted = json.loads(self.bill(*LARGE, *DAY, "--json", "--memory-weight", "0").stdout)
        self.assertEqual(weighted["tenants"][1]["nano_usd"], 1_020_000_000)
        text = self.bill(*LARGE, *DAY).stdout
        self.assertIn("c6i.large, aws us-east-1, from 2026-11-01T00:00:00Z to "
                      "2026-11-02T00:00:00Z: 24 h billed at $0.085/h (price of 2026-07-20)", text)
        self.assertRegex(text, r"\ntotal +1\.020000000 +1\.020000000 +2\.040000000 100\.00 %\n")

    def test_csv_sums_exactly(self):
        draw = random.Random(3)
        for i in range(200):
            self.put(f"t{draw.randrange(9)}", f"m{i}", draw.randrange(10**draw.randrange(1, 12)),
                     draw.randrange(10**draw.randrange(1, 16)))
        rows = self.rows("--prices", GCP, "--priced-as", "c3-highcpu-4", "--spot-share", "37%",
                         "--memory-weight", "0.3", "--from", "2026-06-20", "--to", "2026-06-22",
                         "--account", "team 7")
        self.assertEqual(len(rows), 402)
        total = sum(decimal.Decimal(r["BilledCost"]) for r in rows)
        per_hour = 0.37 * 0.04168 + 0.63 * 0.170104
        self.assertEqual(total, round(decimal.Decimal(48 * per_hour), 9))
        self.assertEqual(sum(decimal.Decimal(r["ListCost"]) for r in rows),
                         decimal.Decimal("8.164992"))
        self.assertEqual({r["PricingCategory"] for r in rows}, {"Other"})
        self.assertEqual({r["BillingAccountId"] for r in rows}, {"team 7"})
        self.assertEqual({r["ProviderName"] for r in rows}, {"gcp"})
        self.assertEqual([r["x_Use"] for r in rows[-2:]], ["idle", "idle"])
        self.assertEqual({r["SubAccountId"] for r in rows[-2:]}, {""})
        for r in rows:
            self.assertAlmostEqual(float(r["PricingQuantity"]) * float(r["ListUnitPrice"]),
                                   float(r["ListCost"]), places=9)

    def test_of_a_running_server(self):
        """The ledger of a server that is up; what may be missing is said."""
        self.db.close()
        with Server(models={"net": synthetic()}, config={"state": str(self.state)}) as s:
            self.assertEqual(s.infer("net", [X])[0], 200)
            done = self.bill(*LARGE, "--from", "2026-11-01", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 of 2 server runs go on or were killed: of each at most the last 10 s are "
                      "not in the ledger", done.stderr)
        bill = json.loads(done.stdout)
        parts = sum(r["nano_usd"] for r in bill["rows"]) + bill["idle"]["nano_usd"]
        self.assertEqual(parts, bill["total_nano_usd"])

    def test_warnings(self):
        self.put("a", "net", 10**15, 10**18, minute=1793491200 // 60)
        old = self.bill("--prices", SOURCE / "examples/prices/history.yaml", "--priced-as",
                        "p2.xlarge", *DAY)
        self.assertIn("perseus: warning: the price of p2.xlarge is of 2020-03-23, over a year "
                      "before 2026-11-22: look it up again\n", old.stderr)
        self.assertIn("more compute time was measured than these vCPUs have",
                      self.bill(*LARGE, *DAY).stdout)

    def test_after_the_last_write(self):
        """Time that the ledger does not know is idle, and it is said."""
        self.put("a", "net", 12 * 3600 * 10**9, 0, minute=1793491200 // 60)
        said = "what was used after 2026-11-01T06:00:00Z is not known and counts as idle"
        self.written(1793491200 + 6 * 3600)
        done = self.bill(*LARGE, *DAY, "--json")
        self.assertIn("perseus: warning: the ledger was last written 2026-11-01T06:00:00", done.stderr)
        self.assertEqual(json.loads(done.stdout)["known_until"], "2026-11-01T06:00:00Z")
        self.assertIn(said, self.bill(*LARGE, *DAY).stdout)
        # the minute that goes on, and what is written every ten seconds
        self.written(1793577600 - 75)
        done = self.bill(*LARGE, *DAY, "--json")
        self.assertEqual(done.stderr, "")
        self.assertIsNone(json.loads(done.stdout)["known_until"])

    def test_refused(self):
        none = ("--prices", GCP, "--priced-as", "a2-highgpu-1g@2022-02-09")
        for args, code, what in [
                (["--prices", AWS], 64, "--prices and --priced-as belong together"),
                (["--priced-as", "c6i.large"], 64, "--prices and --priced-as belong together"),
                (LARGE, 64, "a bill in money is of a period: --from is missing"),
                (["--spot-share", "30%"], 64, "--spot-share belongs to a bill in money"),
                (["--memory-weight", "0"], 64, "--memory-weight belongs to a bill in money"),
                # the default too, when somebody says it
                (["--memory-weight", "50%"], 64, "--memory-weight belongs to a bill in money"),
                (["--account", "default"], 64, "--account belongs to a bill in money"),
                (["--vcpu", "4"], 64, "--vcpu belongs to a bill in money"),
                (["--account", "x"], 64, "--account belongs to a bill in money"),
                ([*LARGE, *DAY, "--tenant", "a"], 64,
                 "a bill in money is of all tenants and models"),
                ([*LARGE, *DAY, "--by-minute"], 64, "a bill in money is of all tenants and models"),
                ([*LARGE, *DAY, "--json", "--csv"], 64, "--json and --csv exclude each other"),
                ([*LARGE, "--from", "2026-11-02", "--to", "2026-11-01"], 2,
                 "the period of the bill is empty"),
                ([*LARGE, *DAY, "--spot-share", "10%"], 2,
                 "the sheet states no spot price of c6i.large"),
                ([*LARGE, *DAY, "--spot-share", "110%"], 64, "out of range"),
                ([*LARGE, *DAY, "--memory-weight", "nan"], 64, "memory-weight"),
                ([*LARGE, *DAY, "--memory-weight", "101%"], 64, "memory-weight"),
                ([*none, *DAY], 2, "the machine's memory is not known"),
                (["--prices", AWS, "--priced-as", "c6i.larg", *DAY], 4, "did you mean c6i.large?"),
                (["--prices", self.state / "none.yaml", "--priced-as", "x", *DAY], 4, "none.yaml"),
                ([*LARGE, "--from", "2026-11-01", "--to", "2026-11-02", "--today", "today"], 64,
                 "'today' is no day")]:
            done = self.bill(*args)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(what, done.stderr)
        self.assertEqual(self.bill(*none, *DAY, "--memory", "85GiB").returncode, 0)
        self.put("a", "net", -5, 0, minute=1793491200 // 60)
        self.assertIn("a use in the ledger is negative", self.bill(*LARGE, *DAY).stderr)


if __name__ == "__main__":
    unittest.main()
