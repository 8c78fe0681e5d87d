"""perseus measure: a whole campaign on synthetic models; what a crash, a dying server and bad files
leave behind."""
# timeout: 400
import json
import os
import pathlib
import random
import signal
import sqlite3
import subprocess
import time
import unittest

from support import perseus
from support.campaigns import Folder
from support.validity import trusted


class Pipeline(Folder):
    def test_whole_campaign(self):
        prices = pathlib.Path(os.environ["PS_SOURCE_DIR"], "examples/prices/aws.yaml")
        path = self.write(slice={"cpus": "0", "memory": "1GiB", "priced_as": "c6i.large",
                                 "prices": str(prices)})
        page = self.dir / "report.html"
        done = self.measure(path, "--json", "--report", page)
        self.assertEqual(done.returncode, 0, done.stderr)
        r = json.loads(done.stdout)
        self.assertEqual((r["cells_done"], r["cells_failed"], r["cells_left"]), (9, 0, 0))
        self.assertIn("<html", page.read_text().lower())
        # what the line about a capacity says is what is stored
        for key, method, checked in self.query(
                "SELECT cell.key, method, checked FROM capacity JOIN cell ON cell.id = cell"
                " WHERE key LIKE 'search/t_'"):
            line, = [s for s in done.stderr.splitlines()
                     if s.startswith(f"capacity of {key[7:]} alone: ")]
            held = json.loads(method)["confirmed_scale"]
            checks = [trusted(*row) for row in self.query(
                "SELECT result.valid, result.reasons FROM result JOIN trial ON trial.id = trial"
                " JOIN cell ON cell.id = cell WHERE role = 'check' AND key = ?", key)]
            self.assertTrue(checks)
            self.assertEqual(checked, any(checks))
            words = f"a fresh trial held at {held:.3g} " if held else "NO fresh trial held"
            if checked:
                self.assertIn(words, line)
            else:
                self.assertNotIn("fresh trial", line)
        self.assertEqual(self.servers(), [])

        self.assertEqual(self.query("SELECT count(*) FROM cell WHERE state = 'done'"), [(9,)])
        self.assertEqual(self.query("SELECT count(*) FROM capacity"), [(3,)])
        # every request is in exactly one outcome, alone and together
        for scheduled, outcomes, ok, good in self.query(
                "SELECT scheduled, outcomes, ok, good FROM result"):
            counted = json.loads(outcomes)
            self.assertEqual(sum(counted.values()), scheduled)
            self.assertEqual(counted.get("ok", 0), ok)
            self.assertLessEqual(good, ok)
        # what a lane can do at most bounds the capacities: 1000/3 and 1000/5 per second
        rates = dict(self.query("SELECT cell.key, factor FROM capacity JOIN cell ON cell.id = cell"))
        self.assertLess(10, rates["search/ta"])
        self.assertLess(rates["search/ta"], 340)
        self.assertLess(rates["search/tb"], 205)
        # a tenant met the same arrivals alone and together
        for tenant in (0, 1):
            rows = self.query(
                "SELECT cell.block, count(DISTINCT scheduled), count(*) FROM result"
                " JOIN trial ON trial.id = trial JOIN cell ON cell.id = cell"
                " WHERE cell.kind = 'confirm' AND tenant_idx = ? GROUP BY cell.block", tenant)
            self.assertEqual(rows, [(0, 1, 2), (1, 1, 2)])
        (manifest, text), = self.query("SELECT manifest, file_text FROM campaign")
        run, = json.loads(manifest)["runs"]
        self.assertEqual(text, path.read_text())
        self.assertTrue(run["perseus"]["version"])
        self.assertTrue(run["machine"]["kernel"]["release"])
        self.assertEqual(len(run["models"][0]["sha256"]), 64)
        for slice_text, server in self.query("SELECT slice, server FROM cell"):
            self.assertEqual(json.loads(slice_text)["cpus"]["applied"], "0")
            self.assertIn("models", json.loads(server))
        self.assertGreater(self.query("SELECT count(*) FROM sample")[0][0], 0)
        # done is done: resuming measures nothing, a new run is a new campaign
        again = self.measure(path, "--resume", "--json")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(self.query("SELECT max(attempt) FROM cell"), [(1,)])

    def test_out_of_time(self):
        """A search under way ends with the steps it has, and the report says so."""
        path = self.write(stop={"max_time": "2s"}, search={
            "scale": "2s", "steps": 50, "min_steps": 50, "step": "200ms", "warmup": "0s"})
        done = self.measure(path, "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        r = json.loads(done.stdout)
        self.assertEqual((r["cells_done"], r["cells_failed"], r["cells_left"]), (1, 0, 8))
        (method,), = self.query("SELECT method FROM capacity")
        self.assertEqual(json.loads(method)["stop"], "time")
        self.assertEqual(json.loads(method)["steps"], 2)
        report = json.loads(perseus.run("report", self.db, "--json").stdout)
        self.assertTrue(any("max-time, after 2 steps" in w for w in report["warnings"]),
                        report["warnings"])
        # with more time it is measured again; with as much, or less, it stays
        text = path.read_text()
        for time_limit, fate in (("2s", "kept"), ("1s", "kept"), ("3s", "changed")):
            path.write_text(text.replace("max_time: 2s", f"max_time: {time_limit}"))
            plan = json.loads(self.measure(path, "--resume", "--dry-run", "--json").stdout)
            fates = {c["key"]: c["fate"] for c in plan["cells"]}
            self.assertEqual(fates["search/ta"], fate, time_limit)

    def test_plan_only(self):
        done = self.measure(self.write(), "--dry-run", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(json.loads(done.stdout)["estimated_s"], 5)
        self.assertFalse(self.db.exists())


class Crash(Folder):
    def fingerprint(self):
        """Everything measured of the cells that are done."""
        return dict(self.query(
            "SELECT cell.key, group_concat(trial.id || ':' || trial.started_wall_ns || ':' ||"
            " result.scheduled || ':' || hex(result.latency)) FROM cell"
            " JOIN trial ON trial.cell = cell.id JOIN result ON result.trial = trial.id"
            " WHERE cell.state = 'done' GROUP BY cell.key"))

    def test_kill_and_resume(self):
        path = self.write()
        rng = random.Random(4)
        more, kept = [], {}
        # killed at some instant, most often in a cell, after so many cells were announced as done
        for cells in (1, 2, 1):
            process = subprocess.Popen(
                [perseus.PERSEUS, *map(str, self.args(path, *more))],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            with process.stderr:
                done = 0
                while done < cells:
                    line = process.stderr.readline()
                    self.assertTrue(line, "it ended by itself")
                    done += line.startswith(("capacity of ", "demand rates, "))
                try:
                    process.wait(timeout=rng.uniform(0, 0.4))
                except subprocess.TimeoutExpired:
                    pass
                process.send_signal(signal.SIGKILL)
                process.wait()
            self.assertEqual(process.returncode, -signal.SIGKILL)
            self.wait_gone()
            more = ["--resume"]
            now = self.fingerprint()
            for key, what in kept.items():
                self.assertEqual(now[key], what)  # nothing lost, nothing measured twice
            self.assertGreaterEqual(len(now), len(kept) + cells)
            kept = now
            self.assertEqual(self.query(
                "SELECT count(*) FROM trial JOIN cell ON cell.id = cell WHERE state != 'done'"),
                [(0,)])
        done = self.measure(path, "--json", *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        now = self.fingerprint()
        self.assertEqual(len(now), 9)
        for key, what in kept.items():
            self.assertEqual(now[key], what)
        self.assertEqual(self.query("SELECT count(*) FROM campaign"), [(1,)])
        self.assertEqual(self.query("SELECT count(*) FROM trial WHERE role = 'demand'"), [(6,)])
        runs = json.loads(self.query("SELECT manifest FROM campaign")[0][0])["runs"]
        self.assertEqual(len(runs), 4)

    def test_interrupt_and_other_file(self):
        path = self.write()
        process = subprocess.Popen(
            [perseus.PERSEUS, *map(str, self.args(path))], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        with process.stderr:
            for line in process.stderr:
                if line.startswith("capacity of ta"):
                    process.send_signal(signal.SIGINT)
            process.wait(timeout=60)
        self.assertNotIn(process.returncode, (0, 1))
        self.wait_gone()
        self.assertEqual(self.query("SELECT count(*) FROM cell WHERE state = 'done'"), [(1,)])
        # a comment changes the text and nothing else: all that is done stays
        path.write_text(path.read_text() + "# changed\n")
        plan = json.loads(self.measure(path, "--resume", "--dry-run", "--json").stdout)
        self.assertEqual([c["fate"] for c in plan["cells"]].count("kept"), 1)
        other = self.measure(path, "--resume", "--json")
        self.assertEqual(other.returncode, 0, other.stderr)
        self.assertIn("1 done cells stay valid", other.stderr)
        self.assertEqual(json.loads(other.stdout)["cells_done"], 9)
        self.assertEqual(self.query("SELECT key FROM cell WHERE campaign = 1"
                                    " AND state = 'moved'"), [("search/ta",)])
        self.assertEqual(self.query("SELECT previous FROM campaign ORDER BY id"), [(0,), (1,)])
        # another demand: the searches stay, and the blocks of the tenant that it is not
        path.write_text(path.read_text().replace("demand: 20/s", "demand: 25/s"))
        done = self.measure(path, "--resume", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("5 done cells stay valid, 4 are measured again", done.stderr)
        self.assertEqual(self.query(
            "SELECT max(attempt), count(*) FROM cell WHERE campaign = 3 AND state = 'done'"),
            [(1, 9)])
        # another name is another campaign
        path.write_text(path.read_text().replace("name: synthetic", "name: other"))
        other = self.measure(path, "--resume")
        self.assertNotIn(other.returncode, (0, 1))
        self.assertIn('no campaign "other"', other.stderr)

    def test_server_that_dies(self):
        """A model that cannot be served fails its cells; the others are measured."""
        (self.dir / "b.synthetic.yaml").write_text("service: never\n")
        done = self.measure(self.write(), "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        r = json.loads(done.stdout)
        self.assertEqual((r["cells_done"], r["cells_failed"]), (3, 6))
        states = dict(self.query("SELECT key, state FROM cell"))
        self.assertEqual(states["search/ta"], "done")
        self.assertEqual(states["search/tb"], "failed")
        for reason, in self.query("SELECT reason FROM cell WHERE state = 'failed'"):
            self.assertTrue(reason)
        self.assertEqual(self.servers(), [])

    def test_server_killed_in_a_cell(self):
        path = self.write(search={"scale": "10s", "steps": 2, "step": "300ms"}, together="none")
        process = subprocess.Popen(
            [perseus.PERSEUS, *map(str, self.args(path, "--json"))], stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True)
        end = time.monotonic() + 30
        killed = None
        while not killed and time.monotonic() < end:
            for pid in self.servers():
                if any((self.dir / "work/config").glob("ta.log")):
                    os.kill(int(pid), signal.SIGKILL)
                    killed = pid
            os.sched_yield()
        # the next search would last long too: stop there
        while process.poll() is None and time.monotonic() < end:
            rows = self.query("SELECT state, reason FROM cell WHERE key = 'search/ta'") \
                if self.db.exists() else []
            if rows and rows[0][0] == "failed":
                process.send_signal(signal.SIGINT)
                break
            os.sched_yield()
        process.communicate(timeout=60)
        (state, reason), = self.query("SELECT state, reason FROM cell WHERE key = 'search/ta'")
        self.assertEqual(state, "failed")
        self.assertIn("signal 9", reason)
        self.wait_gone()


class Refusals(Folder):
    def test_bad_files(self):
        good = self.write().read_text()
        lines = len(good.splitlines())
        at = good.splitlines().index("slice:") + 2  # where its first key stands
        cases = [
            (good.replace("demand: 30/s", "demand: 30ms"), ":11:demand", "30ms"),
            (good.replace("seed: 7", "sead: 7"), ":2:sead", "seed"),
            (good.replace("file: a.", "file: nothing."), "models.file", "nothing"),
            (good.replace("cpus: '0'", "cpus: '1000'"), f":{at}:slice.cpus", "1000"),
            (good + "generator_cpu: 1000\n", f":{lines + 1}:generator_cpu", "1000"),
            (good + "sets:\n- {name: x, tenants: [ta, tb]}\n", f":{lines + 2}:sets",
             "have the same tenants"),
            (good.replace("cpus: '0'", "{cpus: '0'"), "bad.yaml", "YAML"),
        ]
        for text, where, word in cases:
            path = self.dir / "bad.yaml"
            self.assertNotEqual(text, good)
            path.write_text(text)
            for more in ((), ("--dry-run",)):  # what a run refuses is no plan either
                done = self.measure(path, *more)
                self.assertNotIn(done.returncode, (0, 1), text)
                self.assertIn(where, done.stderr)
                self.assertIn(word, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_bad_stores(self):
        path = self.write()
        self.db.write_text("a letter, not a database, " * 100)
        done = self.measure(path)
        self.assertIn("results.db", done.stderr)
        self.assertNotIn(done.returncode, (0, 1))
        self.db.unlink()
        done = self.measure(path, "--resume")
        self.assertIn("no such store", done.stderr)
        self.assertNotIn(done.returncode, (0, 1))
        lock = sqlite3.connect(self.db)
        lock.execute("CREATE TABLE other (x)")
        lock.commit()
        lock.close()
        done = self.measure(path)
        self.assertIn("not a results store", done.stderr)

    def test_full_disk(self):
        """The cell that meets a full disk is not stored in part; the store stays good."""
        small = self.dir / "small"
        small.mkdir()
        inside = ["unshare", "-mr", "sh", "-c", f"mount -t tmpfs -o size=260k none {small} && "
                  '"$@"; code=$?; cp "$0"/* "$0"/..; exit $code', str(small)]
        probe = subprocess.run([*inside, "true"], capture_output=True, text=True)
        if "mount" in probe.stderr or "unshare" in probe.stderr:
            self.skipTest("no small file system can be mounted here: " + probe.stderr.strip())
        self.db = small / "results.db"
        done = subprocess.run(inside + [perseus.PERSEUS, *map(str, self.args(self.write()))],
                              capture_output=True, text=True, timeout=120)
        self.assertIn("results.db", done.stderr)
        self.assertIn("full", done.stderr)
        self.assertIn("--resume", done.stderr)
        self.assertNotIn(done.returncode, (0, 1))
        self.db = self.dir / "results.db"
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])
        self.assertEqual(self.query(
            "SELECT count(*) FROM trial JOIN cell ON cell.id = cell WHERE state != 'done'"),
            [(0,)])


if __name__ == "__main__":
    unittest.main()
