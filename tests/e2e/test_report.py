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

import yaml

from support.perseus import synthetic

PERSEUS = os.environ["PERSEUS"]
# The unit test of report/ also writes its campaign through the store's interface.
MAKE = os.path.join(os.environ["PS_BUILD_DIR"], "tests/unit/unit_report_report")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def perseus(*args):
    env = dict(os.environ, COLUMNS="80")
    return subprocess.run([PERSEUS, *args], capture_output=True, text=True, env=env)


def number(v):
    """As people read it in the text and on the page."""
    if v is None:
        return "-"
    if v == round(v) or abs(v) >= 99.95:
        return f"{v:.0f}"
    return f"{v:.1f}" if abs(v) >= 9.995 else f"{v:.2f}" if abs(v) >= 0.0995 else f"{v:.3g}"


def quantile(q):
    if q["low_ms"] is None:
        return f"{number(q['ms'])}, needs {q['needs_more']} more"
    return f"{number(q['ms'])} [{number(q['low_ms'])}, {number(q['high_ms'])}]"


def interval(i):
    return number(i["value"]) if i["low"] is None else \
        f"{number(i['value'])} [{number(i['low'])}, {number(i['high'])}]"


def percent(i):
    v, low, high = (round(100 * i[k], 1) + 0.0 for k in ("value", "low", "high"))
    return f"{v:.1f} % [{low:.1f}, {high:.1f}]"


def table_rows(page):
    """Every row of the page's tables as a list of its cells' texts."""
    return [[html.unescape(re.sub(r"<[^>]*>", "", c)) for c in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
            for row in re.findall(r"<tr>(.*?)</tr>", page)]


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

    def test_csv_agrees(self):
        with open(self.table, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        sets = {s["name"]: s for s in self.json["sets"]}
        for row, line in zip(rows, self.json["lines"], strict=True):
            used = sets[line["set"]]
            pairs = [("held_rps", line["held_rps"]), ("goodput_rps", line["goodput_rps"]),
                     ("server_cpu_cores", used["server_cpu_cores"]),
                     ("server_cpu_ms_per_request", used["server_cpu_ms_per_request"]),
                     ("server_peak_rss_bytes", used["server_peak_rss_bytes"])]
            for p in ("p50", "p95", "p99"):
                pairs += [(p + "_ms", line[p]["ms"]), (p + "_ms_low", line[p]["low_ms"]),
                          (p + "_ms_high", line[p]["high_ms"])]
            for name, key in (("capacity_rps", "capacity_rps"), ("slowdown", "slowdown"),
                              ("usd_per_million", "usd_per_million_inferences")):
                pairs += [(name, line[key]["value"]), (name + "_low", line[key]["low"]),
                          (name + "_high", line[key]["high"])]
            for key, value in pairs:
                with self.subTest(tenant=line["tenant"], set=line["set"], key=key):
                    if value is None:
                        self.assertEqual(row[key], "")
                    else:
                        self.assertAlmostEqual(float(row[key]) / value, 1, places=6)
            self.assertEqual(row["verdict"], line["verdict"])

    def test_shown_numbers_agree(self):
        with open(self.page, encoding="utf-8") as f:
            rows = [r for r in table_rows(f.read()) if r]
        text = self.done.stdout.split("\n")
        sets = {s["name"]: s for s in self.json["sets"]}
        for line in self.json["lines"]:
            shown = [line["tenant"], line["label"]]
            capacity, demand = [r for r in rows if r[:2] == shown]
            self.assertEqual(demand[4:8], [number(line["p50"]["ms"]), number(line["p95"]["ms"]),
                                           quantile(line["p99"]), interval(line["slowdown"])])
            self.assertEqual(demand[10], number(line["goodput_rps"]))
            self.assertEqual(capacity[2:4], [interval(line["capacity_rps"]), number(line["held_rps"])])
            words = [" ".join(s.split()) for s in text]
            self.assertIn(" ".join([*shown, line["verdict"], *demand[4:7], demand[10],
                                    number(line["slowdown"]["value"])]), words)
            self.assertIn(" ".join([*shown, *capacity[2:5]]), words)
            if not line["alone"]:
                self.assertIn(f"{line['tenant']} {interval(line['slowdown'])}", " ".join(" ".join(text).split()))
        for name, used in sets.items():
            cells = [number(used["server_cpu_cores"]), number(used["server_cpu_ms_per_request"])]
            memory = f"{used['server_peak_rss_bytes'] / 2**20:g} MiB"
            self.assertTrue(any(r[:1] + r[2:4] + r[6:] == [name, *cells, memory] for r in rows), name)
            self.assertTrue(any(" ".join(s.split()).startswith(" ".join([name, *cells, memory]))
                                for s in text), name)
        for c in self.json["comparisons"]:
            saving = [percent(c[k]) for k in ("fluid_saving", "full_load_saving", "machine_saving")]
            self.assertTrue(any(r[:3] == [c["set"], *saving[:2]] and r[5] == saving[2] for r in rows))
            words = " ".join([c["set"], *saving])
            self.assertTrue(any(" ".join(s.split()).startswith(words) for s in text), words)

    def test_invalid_trial_is_named(self):
        self.assertTrue(any(w.startswith("INVALID: ") for w in self.json["warnings"]), self.json["warnings"])
        self.assertIn("INVALID: ", self.done.stdout)

    def test_page_stands_alone(self):
        with open(self.page, encoding="utf-8") as f:
            page = f.read()
        outside = re.findall(r"""(?:src|href)\s*=\s*["']?(?!data:|#)([^"'\s>]+)""", page.split("<script>")[0])
        self.assertEqual(outside, [])
        self.assertNotIn("{{", page.split("<script")[0])
        self.assertIn("MIT", page)

    def test_plan_is_shown(self):
        plan = os.path.join(self.folder.name, "plan.json")
        example = os.path.join(os.environ["PS_SOURCE_DIR"], "examples/plan/shop.yaml")
        done = perseus("plan", example, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(plan, "w", encoding="utf-8") as f:
            f.write(done.stdout)
        page, table = (os.path.join(self.folder.name, n) for n in ("plan.html", "plan.md"))
        done = perseus("report", self.db, "--plan", plan, "--html", page, "--markdown", table, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = json.loads(done.stdout)["plan"]["placements"]
        self.assertLess(shown["plan"]["usd_per_hour"], shown["dedicated"]["usd_per_hour"])
        with open(page, encoding="utf-8") as f:
            self.assertIn("What to rent", f.read())
        with open(table, encoding="utf-8") as f:
            text = f.read()
        self.assertIn("## Who runs where", text)
        # a row of every table has as many cells as its head
        for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
            rows = [len(re.findall(r"(?<!\\)\|", r)) for r in block.splitlines()]
            self.assertEqual(len(set(rows)), 1, block)
        with open(plan, "w", encoding="utf-8") as f:
            f.write('{"format": "perseus-plan/1", "placements": {"plan": {"usd_per_hour": -1}}}')
        done = perseus("report", self.db, "--plan", plan)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("plan.json: placements.plan.usd_per_hour: must be a number from 0", done.stderr)

    def test_measured_plan_is_shown(self):
        """What `perseus plan --verify` measured stands with the plan, and among the predictions."""
        folder = self.folder.name
        for name, content in (
                ("m.synthetic.yaml", synthetic(mean="5ms")),
                ("prices.yaml", {"prices": [{
                    "provider": "p", "region": "r", "instance_type": "one", "vcpu": 1, "memory_gib": 1,
                    "on_demand_usd_per_hour": 0.1, "source": "a test", "source_date": "2026-01-01"}]}),
                ("profiles.yaml", {"profiles": [{
                    "model": "m", "path": "m.synthetic.yaml", "service": "5ms", "error": "1%", "memory": "50MiB",
                    "load_peak": "20MiB", "source": "a test"}]}),
                ("verified.yaml", {
                    "prices": "prices.yaml", "profiles": "profiles.yaml", "server_memory": "100MiB", "tenants": [
                        {"name": "t", "model": "m", "rate": "40/s", "sla": "p50 <= 20s, success >= 80%"}]})):
            with open(os.path.join(folder, name), "w", encoding="utf-8") as f:
                yaml.safe_dump(content, f, sort_keys=False)
        done = perseus("plan", os.path.join(folder, "verified.yaml"), "--json", "--verify", "--verify-duration", "1s",
                       "--workdir", os.path.join(folder, "work"))
        self.assertEqual(done.returncode, 0, done.stderr)
        plan, page = (os.path.join(folder, n) for n in ("verified.json", "verified.html"))
        with open(plan, "w", encoding="utf-8") as f:
            f.write(done.stdout)
        seen, = json.loads(done.stdout)["verification"]["rounds"][0]["measured"][0]["tenants"]
        done = perseus("report", self.db, "--plan", plan, "--html", page, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        shown = json.loads(done.stdout)
        proved, = shown["plan"]["verification"]["measured"]
        self.assertEqual((proved["verdict"], proved["foreseen_ms"], proved["measured_ms"]["value"]),
                         ("met", seen["foreseen_ms"], seen["measured_ms"]))
        predicted, = shown["predictions"]
        self.assertEqual((predicted["what"], predicted["predicted"]["value"], predicted["measured"]["value"]),
                         ("p50 of t on machine-001", seen["foreseen_ms"], seen["measured_ms"]))
        with open(page, encoding="utf-8") as f:
            self.assertIn("Measured on this machine: holds", f.read())

    def test_what_does_not_go_together(self):
        """Nothing that is asked for is left out without a word."""
        for args, said in (
                (["--against", "1", "--plan", "x"], "--plan"), (["--against", "1", "--prices", "x", "--html", "y"], "--prices"),
                (["--against-store", "x", "--table", "cold", "--csv", "y"], "--table"),
                (["--against", "1", "--predictions", "x"], "--predictions"),
                (["--list", "--html", "x"], "--html"), (["--list", "--against", "1"], "--against"),
                (["--table", "cold"], "--csv FILE"), (["--prices", "x"], "--html FILE")):
            done = perseus("report", self.db, *args)
            self.assertEqual(done.returncode, 64, args)
            self.assertIn(said, done.stderr)

    def test_two_campaigns(self):
        """The same figures as text, Markdown, CSV and JSON, also of runs that differ on purpose."""
        other = os.path.join(self.folder.name, "slower.db")
        subprocess.run([MAKE, "--write", other, "slower"], check=True)
        table, md = (os.path.join(self.folder.name, n) for n in ("two.csv", "two.md"))
        args = ("--against-store", other, "--csv", table, "--markdown", md)
        done = perseus("report", self.db, *args)
        self.assertEqual(done.returncode, 1, done.stderr)
        said = json.loads(perseus("report", self.db, "--against-store", other, "--json").stdout)
        with open(table, newline="", encoding="utf-8") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual([r["what"] for r in rows], [r["what"] for r in said["rows"]])
        self.assertIn("machine time together per apart, together", [r["what"] for r in rows])
        self.assertIn("p95 of resnet50, confirm/together", [r["what"] for r in rows])
        with open(md, encoding="utf-8") as f:
            markdown = f.read()
        for row, r in zip(rows, said["rows"]):
            self.assertAlmostEqual(float(row["ratio"]) / r["ratio"], 1, places=6)
            self.assertEqual(row["difference"], r["difference"])
            for text in (done.stdout, markdown):
                self.assertIn(r["what"], text)
        self.assertEqual(said["comparisons"], sum(r["counted"] for r in said["rows"]))
        self.assertEqual(said["real"], sum(r["difference"] == "real" for r in said["rows"]))

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
        # savings, what-if, capacity, cost, frontier, a curve per tenant, goodput, latency, CPU, memory
        self.assertIn('data-drawn="11"', done.stdout)
        self.assertIn("Latency of inception-v3 at 4 requests/s", done.stdout)


if __name__ == "__main__":
    unittest.main()
