"""What perseus load says: files in other tools' forms, the log, the view on a terminal."""
# timeout: 120
import csv
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import unittest

import fastjsonschema

from support.schema import strict
from support.scripted_server import ScriptedServer
from support.validity import measured
from support.terminal import Screen, on_terminal

PERSEUS = os.environ["PERSEUS"]
SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])


def load(*args, timeout=60):
    return subprocess.run([PERSEUS, "load", *map(str, args)], capture_output=True, text=True,
                          timeout=timeout)


def tenants_file(folder, url, names, concurrency=None):
    rate = f"concurrency: {concurrency}" if concurrency else "rate: 60"
    lines = [f"url: {url}", "duration: 1s", "warmup: 0s", "tenants:"]
    for name in names:
        lines += [f"  - name: {json.dumps(name)}", "    model: m", f"    {rate}",
                  "    sla: p90<=500ms"]
    path = pathlib.Path(folder) / "load.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


class Files(unittest.TestCase):
    def test_json_is_what_the_schema_says(self):
        """Good, failing, open and closed, one and several: one schema holds for all."""
        schema = json.loads((SOURCE / "docs/load-result.schema.json").read_text())
        validate = fastjsonschema.compile(strict(schema))

        def script(n, _server):
            return "good" if n % 3 else "503"

        with tempfile.TemporaryDirectory() as d, ScriptedServer(script) as s:
            out = pathlib.Path(d) / "r.json"
            runs = ((["--rate", 40, "--sla", "p90<=1s", "--warmup", "auto", "--probe", "100ms"], 40),
                    (["--concurrency", 2], None),
                    (["--rate", 40, "--threads", 2, "--timestamping"], 40),
                    # 20 + 10 t over [1, 2] s
                    (["--arrival", "ramp", "--rate", 20, "--ramp-to", 40, "--ramp-over", "2s"], 35),
                    (["--file", tenants_file(d, s.url, ["a", "b"])], 60))
            for args, asked in runs:
                if "--file" not in args:
                    args = ["--url", s.url, "--model", "m", "--duration", "1s", *args]
                done = load(*args, "--json", "--export", f"json:{out}")
                printed = json.loads(done.stdout)
                self.assertEqual(printed, json.loads(out.read_text()))
                validate(printed)
                self.assertGreater(printed["machine"]["cpus"], 0)
                for t in printed["tenants"]:
                    self.assertLess(t["littles_law"]["difference_ratio"], 0.01)
                    self.assertEqual(asked if asked is None else round(t["asked_rps"], 9), asked)
                    self.assertEqual(t["asked_rps"] is None, asked is None)
                self.assertEqual(printed["format_version"],
                                 schema["properties"]["format_version"]["const"])

    def test_each_form_for_each_tenant(self):
        with tempfile.TemporaryDirectory() as d, ScriptedServer(lambda n, s: 0.002) as s:
            done = load("--file", tenants_file(d, s.url, ["a/b", "c"]),
                        "--export", f"perf-analyzer:{d}/pa.csv",
                        "--export", f"loadgen:{d}/{{tenant}}.txt",
                        "--export", f"hdr:{d}/{{tenant}}.hgrm")
            self.assertEqual(done.stderr, "")
            with open(f"{d}/pa.csv") as f:
                rows = list(csv.DictReader(f))
            self.assertEqual({r["Tenant"] for r in rows}, {"a/b", "c"})
            for r in rows:
                self.assertTrue(r["p50 latency"].isdigit())
                self.assertGreaterEqual(int(r["p99 latency"]), 2000)
                self.assertEqual(float(r["Request Rate"]), 60)  # that was asked for
            for name in ("a_b", "c"):
                summary = pathlib.Path(f"{d}/{name}.txt").read_text()
                self.assertRegex(summary, r"(?m)^Result is : (VALID|INVALID)$")
                self.assertRegex(summary, r"(?m)^99\.00 percentile latency \(ns\)   : \d+$")
                self.assertIn("\ntarget_qps : 60\n", summary)
                table = pathlib.Path(f"{d}/{name}.hgrm").read_text().splitlines()
                self.assertEqual(table[0].split(),
                                 ["Value", "Percentile", "TotalCount", "1/(1-Percentile)"])
                values = [float(x.split()[0]) for x in table[2:] if not x.startswith("#")]
                self.assertEqual(values, sorted(values))

    def test_what_could_not_be_written_is_refused_before_anything_is_sent(self):
        with tempfile.TemporaryDirectory() as d, ScriptedServer(lambda n, s: 0) as s:
            two = tenants_file(d, s.url, ["a", "b"])
            mixed = pathlib.Path(d) / "mixed.yaml"
            mixed.write_text(two.read_text().replace("rate: 60", "concurrency: 2", 1))
            for file, export, text in (
                    (two, "xml:/tmp/x", "json, perf-analyzer, loadgen, hdr"),
                    (two, "json", "not FORMAT:FILE"), (two, "hdr:", "not FORMAT:FILE"),
                    (two, f"hdr:{d}/x", "{tenant}"), (two, f"loadgen:{d}/x", "{tenant}"),
                    (mixed, f"perf-analyzer:{d}/x", "two runs")):
                done = load("--file", file, "--export", export)
                self.assertEqual(done.returncode, 64, export)
                self.assertIn(text, done.stderr)
            for more in (("--export", "json:/nonexistent/x"), ("--records", "/nonexistent/x"),
                         ("--log", "/nonexistent/x"), ("--export", "hdr:/nonexistent/{tenant}")):
                done = load("--file", two, *more)
                self.assertNotEqual(done.returncode, 0, more)
                self.assertIn("/nonexistent/", done.stderr)
            self.assertEqual(len(s.requests), 0)

    def test_links_and_pipes_stay_what_they_are(self):
        with tempfile.TemporaryDirectory() as d, ScriptedServer(lambda n, s: 0) as s:
            d = pathlib.Path(d)
            (d / "link").symlink_to("real")
            os.mkfifo(d / "pipe")
            got = []
            reader = threading.Thread(target=lambda: got.append((d / "pipe").read_text()))
            reader.start()
            load("--file", tenants_file(d, s.url, ["a"]), "--export", f"json:{d}/link",
                 "--records", f"{d}/pipe")
            reader.join(20)
            self.assertTrue((d / "link").is_symlink())
            self.assertEqual(len(json.loads((d / "real").read_text())["tenants"]), 1)
            self.assertTrue((d / "pipe").is_fifo())
            self.assertGreater(len(got[0].splitlines()), 10)

    def test_the_log_holds_what_the_csv_holds(self):
        with tempfile.TemporaryDirectory() as d, ScriptedServer(lambda n, s: 0.002) as s:
            load("--file", tenants_file(d, s.url, ["a, b", "c"]), "--records", f"{d}/r.csv",
                 "--log", f"{d}/r.log")
            as_csv = load("log", f"{d}/r.log", "--csv")
            summary = load("log", f"{d}/r.log")
            self.assertEqual(as_csv.stdout, pathlib.Path(f"{d}/r.csv").read_text())
            self.assertRegex(summary.stdout, r"(?m)^a, b: \d+ requests, ok \d+; 0 in the warm-up$")
            whole = pathlib.Path(f"{d}/r.log").read_bytes()
            pathlib.Path(f"{d}/r.log").write_bytes(whole[:-20])
            cut = load("log", f"{d}/r.log", "--csv")
        self.assertNotEqual(cut.returncode, 0)
        self.assertIn("cut off", cut.stderr)
        self.assertTrue(as_csv.stdout.startswith(cut.stdout))
        self.assertTrue(cut.stdout)


class Rounds(unittest.TestCase):
    def decide(self, spread, most, sla="p90<=60s"):
        """Answers take up to `spread` seconds, each another time than those before it: beside that,
        what a stall of the machine adds makes neighbours little alike. It comes nowhere near 60 s,
        nor 5 % of it, which makes a run INVALID. A spread of None: no answer is good."""
        with ScriptedServer(
                lambda n, s: "503" if spread is None else spread * (n * 0.618034 % 1)) as s:
            done = load("--url", s.url, "--model", "m", "--arrival", "constant", "--rate", 100,
                        "--duration", "250ms", "--warmup", "0s", "--sla", sla,
                        "--until-decided", most, "--json")
            return json.loads(done.stdout), len(s.requests)

    def test_rounds_double_until_the_sla_is_decided(self):
        """25, 50, 100 requests: for p90, 51 good ones are needed at the first look, 57 at the
        second, 64 at the third, all independent."""
        def blames(found):
            """What was sent together was answered together, though each had a time of its own."""
            t = found[0]["tenants"][0]
            alike = t["sla"]["verdict"] == "undecided" and t["effective_ratio"] < 0.5
            return {"machine"} if alike else set()

        r, sent = measured(lambda: self.decide(1, "20s"), blames)
        self.assertEqual(r["tenants"][0]["sla"]["verdict"], "met", r["tenants"][0]["reasons"])
        self.assertGreaterEqual(r["look"], 3)
        self.assertEqual(r["duration_s"], 0.25 * 2 ** (r["look"] - 1))
        self.assertEqual(int(r["seed"]), r["look"])
        self.assertEqual(sent, round(100 * 0.25 * (2 ** r["look"] - 1)))

    def test_a_violation_ends_it_though_the_run_is_too_short_for_an_interval(self):
        r, sent = self.decide(None, "20s", "p90<=60s,success>=99%")
        self.assertEqual(r["tenants"][0]["sla"]["verdict"], "violated")
        self.assertEqual(r["look"], 1)
        self.assertIn("too few samples", "".join(r["tenants"][0]["reasons"]))
        self.assertEqual(sent, round(25 * (2 ** r["look"] - 1)))

    def test_the_bound_holds(self):
        r, sent = self.decide(0, "800ms")
        self.assertEqual((r["tenants"][0]["sla"]["verdict"], r["look"], sent), ("undecided", 2, 75))

    def test_mistakes(self):
        rate = ("--rate", 5)
        for args, text in (
                (rate, "no tenant has an SLA"),
                ((*rate, "--sla", "p90<=1s", "--duration", "5s"), "first round"),
                (("--sla", "p90<=1s", "--duration", "1s", "--find-capacity"), "fixed load")):
            done = load("--model", "m", "--until-decided", "2s", *args)
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn(text, done.stderr)


class LiveView(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = ScriptedServer(lambda n, s: "503" if n % 5 == 4 else 0.002)
        cls.server.__enter__()
        cls.folder = tempfile.TemporaryDirectory()
        cls.args = ["--file", tenants_file(cls.folder.name, cls.server.url,
                                           ["first-of-the-tenants", "b"])]

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)
        cls.folder.cleanup()

    def view(self, columns, **env):
        written, out, _ = on_terminal(self.args, columns, **env)
        screen = Screen(columns, 24)
        screen.feed(written)
        self.assertEqual("".join(screen.lines).strip(), "", "something stayed on the screen")
        self.assertLess(screen.widest, columns)
        self.assertIn("first-of-the-tenants: ", out)
        self.assertNotIn("\033", out)
        return written, [x for x in screen.seen if "tenant" in x]

    def test_wide(self):
        written, seen = self.view(100)
        self.assertRegex(seen[-1], r"tenant +rate/s +good/s +p50 +p99 +lag +errors")
        self.assertRegex(seen[-1], r"first-of-the-tenants +\d+\.\d +\d+\.\d ")
        self.assertRegex("\n".join(seen), r"load: \S+ left, \d+ open")
        self.assertIn("\033[31m", written)  # errors are red

    def test_forty_columns(self):
        _, seen = self.view(40)
        self.assertRegex(seen[-1], r"tenant +rate/s +p50 +p99 +errors\nfirst-o ")

    def test_no_colour_when_told_so(self):
        written, _ = self.view(60, NO_COLOR="1")
        self.assertNotIn("m", re.sub(r"[^\033]*\033\[\d*(.)[^\033]*", r"\1", written))

    def test_quiet_where_there_is_no_terminal(self):
        self.assertEqual(load(*self.args).stderr, "")
        written, _, _ = on_terminal(self.args, 80, TERM="dumb")
        self.assertEqual(written, "")


class Reference(unittest.TestCase):
    def test_pages_are_what_the_option_tables_say(self):
        pages = sorted((SOURCE / "docs/reference").glob("*.md"))
        self.assertIn("load.md", [p.name for p in pages])
        for page in pages:
            done = subprocess.run([PERSEUS, "help", "--reference", page.stem], capture_output=True,
                                  text=True, check=True)
            self.assertEqual(done.stdout, page.read_text(),
                             f"{page.name} is stale: run scripts/reference")

    def test_unknown_command(self):
        done = subprocess.run([PERSEUS, "help", "--reference", "laod"], capture_output=True,
                              text=True)
        self.assertEqual(done.returncode, 64)
        self.assertIn("did you mean load?", done.stderr)


if __name__ == "__main__":
    unittest.main()
