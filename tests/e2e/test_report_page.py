"""The page of perseus report in a real browser: every control used, the keyboard, colours, paper.

Screenshots stay in the build folder, under screenshots/.
"""
# timeout: 500
# sanitizers: no (the browser is what is tested here; test_report makes the same pages there)
import json
import os
import shutil
import subprocess
import tempfile
import unittest

PERSEUS = os.environ["PERSEUS"]
SOURCE = os.environ["PS_SOURCE_DIR"]
UNIT = os.path.join(os.environ["PS_BUILD_DIR"], "tests/unit")
MODULES = os.path.join(SOURCE, ".cache/browser")
SHOTS = os.path.join(os.environ["PS_BUILD_DIR"], "screenshots")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
READY = CHROMIUM and shutil.which("node") and os.path.isdir(os.path.join(MODULES, "node_modules/playwright-core"))
SHEETS = [os.path.join(SOURCE, "examples/prices", x) for x in ("aws.yaml", "gcp.yaml")]
PLAN = os.path.join(SOURCE, "tests/browser/plan.json")
# As perseus predict --validate says of models left out, from tens of milliseconds to a second.
LEFT_OUT = {"quantity": "service time", "setting": "", "unit": "ns", "models": [
    {"model": f"net-{i}", "rows": [{"at": {"batch": 1}, "of": f"net-{i}", "beside": None, "measured": 2e7 * 1.5 ** i,
                                    "predicted": 2e7 * 1.5 ** i * (0.9 + i % 3 / 10), "noise": 0.05}]} for i in range(10)]}
PUBLISHED = os.path.join(SOURCE, "examples/perseus-2020/published.yaml")


def perseus(*args):
    return subprocess.run([PERSEUS, *args], capture_output=True, text=True, env=dict(os.environ, COLUMNS="80"))


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        # set-up fetched it: a test that cannot find it has failed, not been skipped
        if not READY and not os.environ.get("PS_REQUIRE_ORT"):
            raise unittest.SkipTest("needs chromium, node and playwright-core (scripts/setup check)")
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.db = cls.path("results.db")
        subprocess.run([os.path.join(UNIT, "unit_report_report"), "--write", cls.db], check=True)
        cls.json = json.loads(perseus("report", cls.db, "--json").stdout)

    @classmethod
    def path(cls, name):
        return os.path.join(cls.folder.name, name)

    def walk(self, name, page, **more):
        job = {"chromium": CHROMIUM, "modules": MODULES, "page": page, "out": SHOTS, "name": name, **more}
        with open(self.path("job.json"), "w", encoding="utf-8") as f:
            json.dump(job, f)
        done = subprocess.run(["node", os.path.join(SOURCE, "tests/browser/page.mjs"), self.path("job.json")],
                              capture_output=True, text=True, timeout=400)
        self.assertEqual(done.returncode, 0, done.stderr)
        checks = [json.loads(line) for line in done.stdout.splitlines()]
        for c in checks:
            with self.subTest(page=name, check=c["check"]):
                self.assertTrue(c["ok"], c["detail"])
        self.assertEqual(checks[-1]["check"], "the walk came to its end")

    def test_report(self):
        page, published = self.path("report.html"), self.path("published.yaml")
        with open(PUBLISHED, encoding="utf-8") as f, open(published, "w", encoding="utf-8") as to:
            to.write(f.read().replace("model: resnet50", "model: models/resnet50.onnx")
                     .replace("model: inception_v3", "model: models/inception-v3.onnx"))
        predicted = self.path("predicted.json")
        with open(predicted, "w", encoding="utf-8") as f:
            json.dump({"quantities": [LEFT_OUT]}, f)
        done = perseus("report", self.db, "--html", page, "--plan", PLAN, "--predictions", predicted, "--published", published,
                       "--policies", self.simulated(),
                       "--prices", SHEETS[0], "--prices", SHEETS[1])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertLess(os.path.getsize(page), 3 << 20)
        even = []
        for index, who in ((0, ["--tenant", "resnet50"]), (2, ["--set", "together"])):
            done = perseus("report", "break-even", self.db, *who, "--against-capacity", "100", "--prices", SHEETS[0],
                           "--against-priced-as", "g4dn.xlarge", "--json")
            even.append({"index": index, **json.loads(done.stdout)})
        cases = subprocess.run([os.path.join(UNIT, "unit_report_page_cost"), "--print"], check=True, capture_output=True)
        self.walk("report", page, kind="report", report=self.json, even=even,
                  cases=json.loads(cases.stdout))

    def test_open_ends(self):
        """What no trial bounds is open in the page, too, and its controls agree with the report."""
        db, page = self.path("open.db"), self.path("open.html")
        subprocess.run([os.path.join(UNIT, "unit_report_report"), "--write", db, "open"], check=True)
        self.assertEqual(perseus("report", db, "--html", page).returncode, 0)
        said = json.loads(perseus("report", db, "--json").stdout)
        saving = said["comparisons"][0]["full_load_saving"]
        self.assertEqual((saving["low"], saving["high"], saving["open_low"]), (None, 1, True))
        self.walk("open", page, kind="open", report=said)

    def test_lost(self):
        """Whose requests had no answer: infinitely slow, in the map, too."""
        db, page = self.path("lost.db"), self.path("lost.html")
        subprocess.run([os.path.join(UNIT, "unit_report_report"), "--write", db, "lost"], check=True)
        self.assertEqual(perseus("report", db, "--html", page).returncode, 0)
        self.walk("lost", page, kind="lost")

    def test_large(self):
        """Twenty tenants in 190 pairs: what is drawn, what is said not to be, and the choice of a set."""
        page = self.path("large.html")
        subprocess.run([os.path.join(UNIT, "unit_report_page_size"), "--write", page], check=True)
        self.walk("large", page, kind="large")

    def simulated(self, *args):
        """What perseus cache simulate says, in a file."""
        path = self.path("simulated.json")
        done = perseus("cache", "simulate", "--seeds", "6", "--json", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(path, "w", encoding="utf-8") as f:
            f.write(done.stdout)
        return path

    def test_policies(self):
        page = self.path("policies.html")
        self.simulated("--html", page)
        self.walk("policies", page, kind="policies")

    def test_versus(self):
        page, other = self.path("versus.html"), self.path("other.db")
        subprocess.run([os.path.join(UNIT, "unit_report_report"), "--write", other, "slower"], check=True)
        done = perseus("report", self.db, "--against-store", other, "--html", page)
        self.assertEqual(done.returncode, 1, done.stderr)
        even = perseus("report", "break-even", self.db, "--against-store", other, "--set", "together", "--json")
        self.walk("versus", page, kind="versus", even=[{"index": 2, **json.loads(even.stdout)}])


if __name__ == "__main__":
    unittest.main()
