"""perseus measure: every kind of cell on synthetic models, blocks that end early, a server that runs
elsewhere, servers that misbehave, and kill -9 in the middle of all of that."""
# timeout: 300
import asyncio
import contextlib
import fcntl
import hashlib
import json
import math
import os
import random
import secrets
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import termios
import threading
import unittest

import yaml

from support import perseus
from support.campaigns import SLA, Folder
from support.scripted_server import ScriptedServer, http
from support.validity import codes, measured, trusted

FAST = {"scale": "500ms", "steps": 2, "step": "250ms", "warmup": "10ms", "checks": 1}
LOAD = {"duration": "250ms", "warmup": "10ms"}
# Limits are not the point, and 1 s of lag (5 % of them) makes no trial INVALID.
KINDS = {
    "tenants": [{"name": "ta", "model": "a", "demand": "30/s", "sla": "p95<=20s"},
                {"name": "tb", "model": "b", "demand": "20/s", "sla": "p95<=20s"}],
    "together": "none",
    "search": dict(FAST, sets="alone"),
    "confirm": {"trials": 0},
    "frontiers": [{"name": "ab", "tenants": ["tb", "ta"], "points": 1}],
    "packings": [{"tenant": "ta", "most": 8}],
    "grids": [dict(LOAD, name="g", trials=2, axes=[{"tenant": "ta", "rates": ["0", "40/s"]},
                                                   {"tenant": "tb", "rates": ["30/s"]}])],
    "cold": {"trials": 1, "duration": "150ms"},
    "profile": {"trials": 1, "batches": [1, 3], "duration": "150ms", "warmup": "10ms"},
    "operators": {"runs": 3},
}


class Kinds(Folder):
    def pairs(self):
        """Of each block of the grid, (trusted, reasons) of tb at 30/s: alone, and beside ta."""
        found = {}
        for block, valid, reasons in self.query(
                "SELECT block, result.valid, result.reasons FROM result"
                " JOIN trial ON trial.id = trial JOIN cell ON cell.id = cell"
                " WHERE kind = 'rates' AND tenant_idx = 1 ORDER BY key"):
            found.setdefault(block, []).append((trusted(valid, reasons), reasons))
        return found

    def blames(self, _):
        """Why there is no block in which both of the pair can be trusted."""
        pairs = self.pairs().values()
        if any(all(good for good, _ in p) for p in pairs):
            return set()
        return {code for p in pairs for good, reasons in p if not good for code in codes(reasons)}

    def test_every_kind(self):
        path = self.write(**KINDS)

        def measure():
            self.db.unlink(missing_ok=True)
            return self.measure(path, "--json")

        done = measured(measure, self.blames)
        self.assertEqual(done.returncode, 0, done.stderr)
        r = json.loads(done.stdout)
        # 2 searches, 1 frontier, 1 packing, 4 points, 2 cold starts, 2 profiles; no operators
        self.assertEqual((r["cells_done"], r["cells_failed"], r["cells_skipped"]), (12, 0, 2))
        for kind, state, count in self.query(
                "SELECT kind, state, count(*) FROM cell GROUP BY kind"):
            self.assertEqual(state, "skipped" if kind == "operators" else "done", kind)
        # the ray of a frontier is half of what each can do alone
        alone = dict(self.query("SELECT key, factor FROM capacity JOIN cell ON cell.id = cell"
                                " WHERE kind = 'search'"))
        ray = [x for x, in self.query("SELECT rps FROM capacity_ray r JOIN cell ON cell.id = r.cell"
                                      " WHERE kind = 'frontier' ORDER BY r.position")]
        self.assertAlmostEqual(ray[0], alone["search/ta"] / 2, delta=1e-6)
        self.assertAlmostEqual(ray[1], alone["search/tb"] / 2, delta=1e-6)
        # copies have one result, and their rate is that of all
        for copies, wanted, scheduled, second in self.query(
                "SELECT copies, wanted_rps, result.scheduled, (SELECT sum(s.scheduled) FROM second s"
                " WHERE s.trial = trial.id) FROM trial JOIN cell ON cell.id = cell"
                " JOIN result ON trial = trial.id WHERE kind = 'pack' AND role = 'step'"):
            self.assertAlmostEqual(wanted, 30 * copies)
            self.assertEqual(scheduled, second)
        # a silent tenant has no result; its neighbour met the same arrivals in both points
        counts = dict(self.query(
            "SELECT key, group_concat(tenant_idx || ':' || scheduled) FROM result"
            " JOIN trial ON trial.id = trial JOIN cell ON cell.id = cell"
            " WHERE kind = 'rates' AND block = 0 GROUP BY key"))
        silent = counts["rates/g/0/0+30"]
        self.assertTrue(silent.startswith("1:"))
        self.assertIn(silent, counts["rates/g/0/40+30"].split(","))
        figures = {n for n, in self.query("SELECT DISTINCT name FROM figure")}
        self.assertLessEqual({"ready_time", "load_time", "first_request", "peak_rss"}, figures)
        self.assertEqual(self.query(
            "SELECT DISTINCT batch FROM result JOIN trial ON trial.id = trial"
            " WHERE role = 'profiled' ORDER BY batch"), [(1,), (3,)])
        # the server counted as many requests as were sent, warm-up included
        for before, after, records in self.query(
                "SELECT sum(before), sum(after), (SELECT sum(records) FROM result"
                " WHERE result.trial = trial.id) FROM scrape JOIN trial ON trial.id = scrape.trial"
                " WHERE role = 'rates' AND series LIKE 'perseus_requests_total%' GROUP BY trial.id"):
            self.assertEqual(after - (before or 0), records)
        self.report()

    def report(self):
        page, table = self.dir / "page.html", self.dir / "table.csv"
        done = perseus.run("report", self.db, "--json", "--html", page, "--csv", table,
                           "--table", "interference")
        self.assertEqual(done.returncode, 0, done.stderr)
        r = json.loads(done.stdout)
        pairs = self.pairs().values()
        self.assertEqual([len(p) for p in pairs], [2, 2])
        blocks = sum(all(good for good, _ in p) for p in pairs)
        self.assertGreater(blocks, 0, pairs)
        self.assertEqual([(x["tenant"], x["beside"], x["blocks"]) for x in r["interference"]],
                         [("tb", "ta 40/s", blocks)])
        self.assertEqual(len(r["frontier"]), 1)
        self.assertEqual([x["tenant"] for x in r["packing"]], ["ta"])
        self.assertEqual(sorted(x["model"] for x in r["cold"]), ["a", "b"])
        self.assertEqual([x["batch"] for x in r["batches"] if x["model"] == "a"], [1, 3])
        self.assertEqual(r["operators"], [])
        self.assertIn("Interference", page.read_text())
        self.assertEqual(table.read_text().splitlines()[0].split(",")[:3],
                         ["tenant", "beside", "rps"])
        self.assertIn("Batch sizes", perseus.run("report", self.db).stdout)

    def test_killed_at_any_instant(self):
        """Killed four times, in cells of several kinds; at the end every cell is there once."""
        path, more = self.write(**KINDS), []
        rng = random.Random(11)
        for cells in (2, 2, 3, 2):
            process = subprocess.Popen(
                [perseus.PERSEUS, *map(str, self.args(path, *more))],
                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            with process.stderr:
                while cells > 0:
                    line = process.stderr.readline()
                    self.assertTrue(line, "it ended by itself")
                    cells -= " left " not in line and ":" in line
                try:
                    process.wait(timeout=rng.uniform(0, 0.3))
                except subprocess.TimeoutExpired:
                    pass
                process.send_signal(signal.SIGKILL)
                process.wait()
            self.wait_gone()
            more = ["--resume"]
            self.assertEqual(self.query(
                "SELECT count(*) FROM trial JOIN cell ON cell.id = cell WHERE state != 'done'"),
                [(0,)])
        done = self.measure(path, "--json", *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["cells_done"], 12)
        self.assertEqual(self.query("SELECT count(*) FROM campaign"), [(1,)])
        # nothing is there twice
        self.assertEqual(self.query("SELECT count(*) FROM cell"), [(14,)])
        for trials, numbers in self.query(
                "SELECT count(*), count(DISTINCT number) FROM trial GROUP BY cell"):
            self.assertEqual(trials, numbers)

    def width(self, blocks):
        """Half of the widest interval of a slowdown, as a share of it, as the report has it when
        only the first blocks are there."""
        copy = self.dir / f"{blocks}.db"
        shutil.copy(self.db, copy)
        with contextlib.closing(sqlite3.connect(copy)) as db, db:
            db.execute("UPDATE cell SET state = 'skipped' WHERE block >= ?", [blocks])
        done = perseus.run("report", copy, "--json")
        self.assertTrue(done.stdout, done.stderr)
        found = [x["slowdown"] for x in json.loads(done.stdout)["lines"] if not x["alone"]]
        self.assertEqual(len(found), 2)
        return max(math.inf if x["low"] is None else (x["high"] - x["low"]) / 2 / x["value"]
                   for x in found)

    def test_blocks_end_early(self):
        """From the eighth block on, when two looks in a row at pairs of blocks are content: on a
        calm machine that is the eighth."""
        # what a busy machine adds is little beside 40 ms, and no trial is INVALID for its send lag
        tenants = [{"name": f"t{n}", "model": n, "arrival": "constant", "demand": "12/s",
                    "sla": "p95<=20s"} for n in "ab"]
        for name in "ab":
            self.model(name, mean="40ms")
        path = self.write(search={"sets": "none"}, confirm=dict(LOAD, trials=12), tenants=tenants,
                          stop={"slowdown": "100%"})
        done = self.measure(path, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        end = next((n for n in (8, 10) if self.width(n - 2) <= 1 and self.width(n) <= 1), 12)
        states = self.query("SELECT state, count(*), min(block) FROM cell GROUP BY state")
        self.assertEqual(states, [("done", 3 * end, 0), ("skipped", 36 - 3 * end, end)][:len(states)])
        self.assertEqual(len(states), 1 + (end < 12))
        # looking again changes nothing
        again = self.measure(path, "--resume", "--json")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(json.loads(again.stdout)["cells_skipped"], 36 - 3 * end)

    def test_arrivals(self):
        """A tenant's arrivals are its own: a trace at its demand, brought to each rate."""
        (self.dir / "gaps").write_text("\n".join(["20000"] * 50))
        good = self.write(search={"sets": "none"}, together="none",
                          confirm={"trials": 1, "duration": "500ms", "warmup": "0s"}).read_text()
        path = self.dir / "arrivals.yaml"
        path.write_text(good.replace("model: a", "model: a\n  arrival: trace\n  trace: gaps\n"
                                     "  trace_format: gaps\n  trace_loop: true"))
        done = self.measure(path, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        (count,), = self.query("SELECT scheduled FROM result WHERE tenant_idx = 0")
        self.assertIn(count, (14, 15))  # half a second at 30/s, the first a gap after the start
        path.write_text(good.replace("model: a", "model: a\n  cv: 2"))
        done = self.measure(path)
        self.assertNotIn(done.returncode, (0, 1))
        self.assertIn("tenants.arrival", done.stderr)


class Remote(Folder):
    """The same campaign against a server that is there already."""

    def campaign(self, s, **more):
        keys = self.dir / "keys"
        keys.mkdir(exist_ok=True)
        (keys / "tb").write_text(s.keys["tb"] + "\nsecond line\n")
        (keys / "op").write_text(s.keys["op"] + "\n")
        path = self.write(server={"url": s.url, "metrics": s.metrics_url,
                                  "metrics_key_file": "keys/op"},
                          search=FAST, confirm=dict(LOAD, trials=1), **more)
        c = yaml.safe_load(path.read_text())
        del c["slice"]
        c["models"] = [{"name": "a"}, {"name": "b"}]
        c["tenants"][0]["key_env"] = "KEY_OF_TA"
        c["tenants"][1]["key_file"] = "keys/tb"
        path.write_text(yaml.safe_dump(c, sort_keys=False))
        return path

    def server(self):
        s = Served(self)
        self.addCleanup(s.stop)
        return s

    def test_campaign(self):
        s = self.server()
        path = self.campaign(s)
        unset = self.measure(path)
        self.assertNotIn(unset.returncode, (0, 1))
        self.assertIn("KEY_OF_TA is not set", unset.stderr)
        os.environ["KEY_OF_TA"] = s.keys["ta"]
        self.addCleanup(os.environ.pop, "KEY_OF_TA")
        done = self.measure(path, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        r = json.loads(done.stdout)
        self.assertEqual((r["cells_done"], r["cells_failed"]), (6, 0))
        self.assertEqual(self.servers(), [])  # none of ours was started
        self.assertGreater(self.query("SELECT count(*) FROM scrape")[0][0], 0)
        (name,), = self.query("SELECT DISTINCT server ->> 'name' FROM cell")
        self.assertTrue(name)
        for key in s.keys.values():  # no secret in the store
            self.assertNotIn(key.encode(), self.db.read_bytes())

    def test_refused_and_gone(self):
        """A wrong key fails the cells of its tenant; a server that is gone fails the rest."""
        s = self.server()
        path = self.campaign(s, together="none")
        os.environ["KEY_OF_TA"] = "wrong"
        self.addCleanup(os.environ.pop, "KEY_OF_TA")
        done = self.measure(path, "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        states = dict(self.query("SELECT key, state FROM cell"))
        self.assertEqual(states, {"search/ta": "failed", "search/tb": "done",
                                  "confirm/0/ta": "failed", "confirm/0/tb": "done"})
        s.stop()
        done = self.measure(path, "--resume", "--json")
        self.assertEqual(done.returncode, 1, done.stderr)
        for reason, in self.query("SELECT reason FROM cell WHERE state = 'failed'"):
            self.assertIn("did not answer", reason)
        self.assertEqual(self.query("SELECT count(*) FROM cell WHERE state = 'done'"), [(2,)])


class Faults(Folder):
    """Servers that misbehave: counted by kind, and the campaign goes on."""

    def campaign(self, url, **more):
        """Four cells: two blocks at the demand rates, of two tenants, without a search."""
        c = {"name": "faults", "seed": 3, "server": {"url": url}, "together": "none",
             "models": [{"name": "m"}],
             "tenants": [{"name": n, "model": "m", "demand": "100/s", "sla": SLA}
                         for n in ("ta", "tb")],
             "search": {"sets": "none"}, "timeout": "200ms",
             "confirm": {"trials": 2, "duration": "200ms", "warmup": "0s"}}
        c.update(more)
        path = self.dir / "c.yaml"
        path.write_text(yaml.safe_dump(c, sort_keys=False))
        return path

    def test_answers(self):
        """Whatever it answers, the trials are stored with their outcomes, the report says what
        happened, and nothing hangs."""
        rows = [("garbage", "garbage"), ("half", "reset"), ("reset", "reset"), ("503", "refused"),
                ("400", "rejected"), ("not-oip", "garbage"), ("missing-output", "wrong_answer"),
                ("never", "timeout")]
        for action, outcome in rows:
            # one in three is answered: a bad server, but one that there is
            with self.subTest(action), \
                    ScriptedServer(lambda n, s, a=action: a if n % 3 else "good") as s:
                self.db = self.dir / f"{action}.db"
                done = self.measure(self.campaign(s.url), "--json")
                self.assertEqual(done.returncode, 0, done.stderr)
                said = [w for w in json.loads(perseus.run("report", self.db, "--json").stdout)
                        ["warnings"] if w.startswith("FAILURES: confirm/")]
                self.assertEqual(len(said), 4, said)
                self.assertTrue(all(f" {outcome}" in w and "the first: " in w for w in said), said)
                kinds = set()
                for outcomes, scheduled, met in self.query(
                        "SELECT outcomes, scheduled, sla_met FROM result"):
                    counted = json.loads(outcomes)
                    self.assertEqual(sum(counted.values()), scheduled)
                    self.assertEqual(met, 0)
                    kinds |= counted.keys()
                self.assertIn(outcome, kinds)

    def test_says_what_it_does(self):
        """At a terminal: a server that runs elsewhere is asked, and not started."""
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 200, 0, 0))
        with ScriptedServer(lambda n, s: "good") as s, open(ours, "rb", buffering=0) as terminal:
            process = subprocess.Popen(
                [perseus.PERSEUS, *map(str, self.args(self.campaign(s.url)))],
                stdout=subprocess.DEVNULL, stderr=theirs, env={**os.environ, "TERM": "xterm"})
            os.close(theirs)
            said = b""
            with contextlib.suppress(OSError):  # the end of a terminal
                while part := terminal.read(4096):
                    said += part
            self.assertEqual(process.wait(timeout=30), 0, said)
        self.assertIn(b"asking the server", said)
        self.assertNotIn(b"starting the server", said)

    def test_nothing_but_failures(self):
        """Where no request at all succeeds, nothing was measured: the cell says why, and is tried
        again."""
        denied = http(401, b'{"error":"who are you"}')
        moved = http(302, b"", "Location: /x\r\n")
        for action, word in ((denied, "401"), (moved, "302"), ("garbage", "garbage"),
                             ("half", "reset"), ("never", "timeout")):
            with self.subTest(word), ScriptedServer(lambda n, s, a=action: a) as s:
                self.db = self.dir / f"none-{word}.db"
                path = self.campaign(s.url)
                done = self.measure(path, "--json")
                self.assertEqual(done.returncode, 1, done.stderr)
                for state, reason in self.query("SELECT state, reason FROM cell"):
                    self.assertEqual(state, "failed")
                    self.assertIn("succeeded (", reason)
                    self.assertIn(word, reason)
                self.assertIn(word, perseus.run("report", self.db).stdout)
                s.script = lambda n, s: "good"
                again = self.measure(path, "--resume", "--json")
                self.assertEqual(again.returncode, 0, again.stderr)

    def test_no_oip_server(self):
        """Something else listens there, or it redirects: the cells fail and say what it said."""
        for answer, word in ((b"HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "302"),
                             (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "no JSON"),
                             (b"SSH-2.0-OpenSSH_9\r\n", "did not answer"), (b"", "did not answer")):
            with self.subTest(word), Answers(answer) as a:
                self.db = self.dir / f"{len(answer)}.db"
                done = self.measure(self.campaign(a.url), "--json")
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual(json.loads(done.stdout)["cells_failed"], 4)
                for reason, in self.query("SELECT reason FROM cell"):
                    self.assertIn(word, reason)

    def test_dies_and_comes_back(self):
        """A server that dies in the second cell fails the rest; resumed at another one with the same
        URL, only those are measured."""
        with ScriptedServer(lambda n, s: "die" if n == 40 else 0) as s:
            path = self.campaign(s.url)
            self.measure(path)
            port = s.port
        states = [x for x, in self.query("SELECT state FROM cell ORDER BY plan_order")]
        # the trial during which it died is a result: its requests failed
        self.assertEqual(states[0], "done")
        self.assertIn("failed", states)
        done = states.count("done")
        with Again(port) as s:
            again = self.measure(path, "--resume", "--json")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(json.loads(again.stdout)["cells_done"], 4)
        self.assertEqual(self.query("SELECT count(*) FROM cell WHERE attempt = 1"), [(done,)])


class Again(ScriptedServer):
    """A good server at a given port."""

    def __init__(self, port):
        super().__init__(lambda n, s: 0)
        self.wanted = port

    async def _main(self):
        self.loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        self.writers = set()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.wanted)
        self.port = self.wanted
        self.started.set()
        await self.stop.wait()
        self.die()


class Answers:
    """Says the same bytes to whoever asks, and closes."""

    def __init__(self, answer):
        self.answer = answer
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        self.thread = threading.Thread(target=self.serve, daemon=True)

    def serve(self):
        while True:
            try:
                s, _ = self.socket.accept()
            except OSError:
                return
            with s:
                s.recv(65536)
                s.sendall(self.answer)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.thread.join()


class Served:
    """perseus serve with two tenants and an operator, as somebody else would run it."""

    def __init__(self, test):
        self.keys, digests = {}, {}
        for who in ("ta", "tb", "op"):
            self.keys[who] = secrets.token_urlsafe(32)
            digests[who] = "sha256:" + hashlib.sha256(self.keys[who].encode()).hexdigest()
        config = {"listen": "127.0.0.1:0", "grpc": "off", "metrics": "127.0.0.1:0",
                  "models": [{"name": n, "path": str(test.dir / f"{n}.synthetic.yaml")}
                             for n in "ab"],
                  "admin_keys": [digests["op"]],
                  "tenants": [{"name": f"t{n}", "keys": [digests[f"t{n}"]], "models": [n]}
                              for n in "ab"]}
        path = test.dir / "serve.yaml"
        path.write_text(yaml.safe_dump(config))
        read, write = os.pipe()
        self.process = subprocess.Popen(
            [perseus.PERSEUS, "serve", "--config", str(path), "--ready-fd", str(write)],
            pass_fds=[write], stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as ready:
            line = json.loads(ready.readline())
        self.url = "http://" + line["http"]
        self.metrics_url = f"http://{line['metrics']}/metrics"

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)


if __name__ == "__main__":
    unittest.main()
