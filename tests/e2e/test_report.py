"""perseus report on a store with known contents: four forms, one answer."""
# timeout: 120
import csv
import html
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

PERSEUS = os.environ["PERSEUS"]
# The unit test of report/ also writes its campaign through the store's interface.
MAKE = os.path.join(os.environ["PS_BUILD_DIR"], "tests/unit/unit_report_report")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def perseus(*args):
    env = dict(os.environ, COLUMNS="80")
    return subprocess.run([PERSEUS, *args], capture_output=True, text=True, env=env)


class Report(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.db = os.path.join(cls.folder.name, "results.db")
        cls.page = os.path.join(cls.folder.name, "report.html")
        cls.table = os.path.join(cls.folder.name, "report.csv")
        subprocess.run([MAKE, "--write", cls.db], check=True)
        cls.done = perseus("report", cls.db, "--html", cls.page, "--csv", cls.table)
        cls.json = json.loads(perseus("report", cls.db, "--json").stdout)

    def test_forms_agree(self):
        self.assertEqual(self.done.returncode, 0, self.done.stderr)
        text = " ".join(self.done.stdout.split())
        self.assertIn(self.json["verdict"], text)
        with open(self.page, encoding="utf-8") as f:
            self.assertIn(self.json["verdict"], html.unescape(f.read()))
        with open(self.table, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual(len(rows), 4)
        for row, line in zip(rows, self.json["lines"]):
            self.assertEqual((row["tenant"], row["set"]), (line["tenant"], line["set"]))
            self.assertAlmostEqual(float(row["capacity_rps"]), line["capacity_rps"]["value"])
            self.assertAlmostEqual(float(row["p95_ms"]), line["p95"]["ms"], places=4)
            self.assertAlmostEqual(float(row["usd_per_million"]), line["usd_per_million_inferences"]["value"])

    def test_invalid_trial_is_named(self):
        self.assertTrue(any(w.startswith("INVALID: ") for w in self.json["warnings"]), self.json["warnings"])
        self.assertIn("INVALID: ", self.done.stdout)

    def test_page_stands_alone(self):
        with open(self.page, encoding="utf-8") as f:
            page = f.read()
        outside = re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:)([^"'\s>]+)""", page.split("<script>")[0])
        self.assertEqual(outside, [])
        self.assertNotIn("{{", page.split("<script")[0])
        self.assertIn("MIT", page)

    def test_list_and_absent_campaign(self):
        listed = json.loads(perseus("report", self.db, "--list", "--json").stdout)["campaigns"]
        self.assertEqual([c["name"] for c in listed], [self.json["campaign"]])
        done = perseus("report", self.db, "--campaign", "99")
        self.assertEqual(done.returncode, 4)
        done = perseus("report", self.db, "--html", "/nonexistent/x.html")
        self.assertEqual(done.returncode, 4)
        self.assertIn("/nonexistent/x.html", done.stderr)

    @unittest.skipUnless(CHROMIUM, "chromium is not installed")
    def test_page_draws(self):
        with tempfile.TemporaryDirectory() as profile:
            done = subprocess.run(
                [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
                 "--disable-background-networking", "--user-data-dir=" + profile,
                 "--window-size=400,800", "--virtual-time-budget=5000", "--dump-dom", "file://" + self.page],
                capture_output=True, text=True, timeout=100)
        # peaks, frontier, a curve per tenant, CPU, memory
        self.assertIn('data-drawn="6"', done.stdout)
        self.assertIn("Latency of inception-v3 at 4 requests/s", done.stdout)


if __name__ == "__main__":
    unittest.main()
