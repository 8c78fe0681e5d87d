# timeout: 300
"""perseus load --find-capacity and sweeps, against a server whose capacity is known."""
import json
import os
import pathlib
import re
import signal
import subprocess
import tempfile
import unittest

import fastjsonschema

from support.perseus import Server, synthetic
from support.schema import strict
from support.scripted_server import ScriptedServer
from support.terminal import Screen, on_terminal

PERSEUS = os.environ["PERSEUS"]
SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])
SANITIZED = bool(os.environ.get("PS_SANITIZED"))
# One lane, 10 ms of service: what can be served is 100/s; p95 <= 40 ms (a wait of three services)
# holds up to 61.7/s, by Erlang's distribution of the M/D/1 wait.
SPEC = synthetic(mean="10ms", mode="sleep")
ONE_LANE = {"cpus": "0"}
CAPACITY = 61.7


def load(*args, timeout=240, env=None):
    return subprocess.run([PERSEUS, "load", *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **(env or {})})


def schema(name):
    """Refuses what docs/NAME.schema.json does not describe."""
    text = (SOURCE / f"docs/{name}.schema.json").read_text()
    return fastjsonschema.compile(strict(json.loads(text)))


def rows(table):
    """Lines of a sweep's table that are no reason of the one before."""
    return [x for x in table.splitlines() if re.match(r" *\d", x)]


def load_file(folder, url, tenants, **run):
    """A load file: tenants are dictionaries."""
    path = pathlib.Path(folder) / "load.yaml"
    path.write_text(json.dumps({"url": url, **run, "tenants": tenants}))
    return path


class Refusals(unittest.TestCase):
    def test_what_contradicts_is_refused_before_anything_is_asked(self):
        nowhere = ("--url", "http://127.0.0.1:9", "--model", "m")
        for args, words in (
            (("--find-capacity",), "no SLA"),
            (("--find-capacity", "--sla", "p95<=1s", "--rate", 5), "leave out --rate"),
            (("--find-capacity", "--sla", "p95<=1s", "--concurrency", 5),
             "leave out --concurrency"),
            (("--find-capacity", "--sla", "p95<=1s", "--sweep-rate", "1,2"), "give one of them"),
            (("--sweep-rate", "1,2", "--sweep-concurrency", "1,2"), "give one of them"),
            (("--sweep-rate", "1,2", "--rate", 5), "leave out --rate"),
            (("--sweep-rate", "2,1"), "do not rise"),
            (("--sweep-rate", "1..10"), "neither a list nor a range"),
            (("--sweep-rate", "1..1e9:3"), "out of range"),
            (("--sweep-concurrency", "0.1,0.2"), "out of range"),
            (("--sweep-rate", "1,2", "--records", "/dev/null"), "of one trial"),
            (("--rate", 5, "--keep-going"), "for sweeps"),
            (("--rate", 5, "--seed", "-1"), "'-1' is out of range: 0 to 9000000000000000"),
            (("--rate", 5, "--seed", 2 ** 64 - 1), "out of range: 0 to 9000000000000000"),
            (("--find-capacity", "--sla", "p95<=12s"), "20 limits: with the limit 12.0 s for 240 s"),
            (("--rate", 5, "--steps", 8), "--steps is for --find-capacity"),
            (("--sweep-rate", "1,2", "--half-width", "5%"), "--half-width is for --find-capacity"),
            (("--find-capacity", "--sla", "p95<=1s", "--arrival", "steps", "--rate-steps", "1:1s"),
             "--arrival steps has rates of its own"),
            (("--sweep-rate", "1,2", "--arrival", "offline"), "--arrival offline has no rate"),
            (("--offline", "--rate", 5), "no place beside --rate"),
            (("--offline", "--sweep-rate", "1,2"), "no place beside --sweep-rate"),
            (("--offline", "--find-capacity", "--sla", "p95<=1s"), "beside --find-capacity"),
        ):
            done = load(*nowhere, *args)
            self.assertEqual(done.returncode, 64, (args, done.stderr))
            self.assertIn(words, done.stderr, args)
            self.assertEqual(done.stdout, "")


class Capacity(unittest.TestCase):
    @unittest.skipIf(SANITIZED, "a service then takes longer than it says; the next test has the code")
    def test_a_known_capacity_is_found_and_confirmed(self):
        with Server(models={"m": SPEC}, config=ONE_LANE) as s:
            done = load("--url", s.http, "--model", "m", "--find-capacity", "--sla",
                        "p95<=40ms", "--half-width", "30%", "--duration", "1s", "--steps", 5,
                        "--json")
        self.assertNotEqual(done.stdout, "", done.stderr)
        found = json.loads(done.stdout)
        schema("load-capacity")(found)
        self.assertEqual(found["mode"], "find-capacity")
        self.assertEqual(done.returncode, 0 if found["known"] else 1, done.stderr)
        self.assertEqual(found["known"], found["valid"] and found["confirmed"] == "confirmed")
        self.assertEqual(found["valid"], found["reason"] is None)
        scale, steps = found["scale"], found["steps"]
        self.assertLessEqual(scale["low"], scale["value"])
        self.assertLessEqual(scale["value"], scale["high"])
        for step in steps:  # never a capacity that a fresh trial refuted
            if step["confirming"] and step["verdict"] != "pass" and found["known"]:
                self.assertLess(scale["value"], step["scale"])
        if found["stop"] == "precise" and not found["cut"]:
            self.assertLessEqual(found["half_width"], 0.3)
        self.assertLess(found["closed_loop_scale"], 103)
        # A machine that is busy with other things serves less, and says so.
        if found["valid"] and found["closed_loop_scale"] > 96:
            self.assertLess(scale["low"], 1.1 * CAPACITY)
            self.assertGreater(scale["high"], 0.85 * CAPACITY)

    def test_a_hopeless_sla_has_no_capacity(self):
        with Server(models={"m": SPEC}, config=ONE_LANE) as s:
            done = load("--url", s.http, "--model", "m", "--find-capacity", "--sla", "p95<=5ms",
                        "--half-width", "50%", "--duration", "150ms", "--warmup", "0s",
                        "--steps", 4, env={"COLUMNS": "40"})
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("not shown", done.stdout)
        self.assertNotIn("confirming trials: about", done.stderr)  # seconds

    def test_a_long_search_says_so_and_one_without_room_is_refused(self):
        with Server(models={"m": SPEC}, config=ONE_LANE) as s:
            argv = ("--url", s.http, "--model", "m", "--find-capacity", "--sla")
            asked = subprocess.Popen([PERSEUS, "load", *argv, "p95<=10s"], text=True,
                                     stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
            try:
                said = ""
                while "confirming trials: about" not in said:
                    said = asked.stderr.readline()
                    self.assertNotEqual(said, "", "it ended without a word")
            finally:
                asked.send_signal(signal.SIGINT)
                asked.communicate(timeout=60)
            done = load(*argv, "p95<=1s", "--warmup", "10h")
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn("leaves no room for a step", done.stderr)


class SeveralTenants(unittest.TestCase):
    """Their costs are five to one, their rates one to ten the other way."""

    SLOW, FAST = synthetic(mean="5ms", mode="sleep"), synthetic(mean="1ms", mode="sleep")

    def search(self, tenants):
        with tempfile.TemporaryDirectory() as d, \
                Server(models={"slow": self.SLOW, "fast": self.FAST}, config=ONE_LANE) as s:
            file = load_file(d, s.http, tenants, duration="500ms", warmup="0s")
            return load("--file", file, "--find-capacity", "--half-width", "50%", "--steps", 4,
                        "--json")

    def test_are_searched_along_their_rates(self):
        done = self.search([
            {"name": "a", "model": "slow", "rate": 40, "sla": "p50<=15ms"},
            {"name": "b", "model": "fast", "rate": 4, "sla": "p50<=15ms"}])
        self.assertNotEqual(done.stdout, "", done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual(done.returncode, 0 if found["known"] else 1, done.stderr)
        a, b = found["tenants"]
        self.assertEqual([a["tenant"], b["tenant"]], ["a", "b"])
        # Alone each has the whole lane; what they have together follows from that.
        if not SANITIZED:
            self.assertLess(a["closed_loop_rps"], 206)
            self.assertGreater(b["closed_loop_rps"], 1.5 * a["closed_loop_rps"])
        whole = 1 / (40 / a["closed_loop_rps"] + 4 / b["closed_loop_rps"])
        self.assertGreater(found["closed_loop_scale"], 0.999 * whole)
        self.assertLess(found["closed_loop_scale"], 1.2 * whole)
        self.assertLessEqual(found["scale"]["high"], 1.1001 * found["closed_loop_scale"])
        for t, rate in ((a, 40), (b, 4)):
            self.assertAlmostEqual(t["rate_rps"]["value"], rate * found["scale"]["value"])
        for step in found["steps"]:
            self.assertEqual(len(step["tenants"]), 2)
            if step["confirming"] and step["verdict"] != "pass" and found["known"]:
                self.assertLess(found["scale"]["value"], step["scale"])

    def test_each_needs_an_sla_and_a_rate(self):
        good = {"name": "a", "model": "slow", "rate": 40, "sla": "p50<=15ms"}
        for bad, words in (({"name": "b", "model": "fast", "rate": 4}, "tenant 'b' has no SLA"),
                           ({"name": "b", "model": "fast", "concurrency": 4, "sla": "p90<=1s"},
                            "tenant 'b' is a closed loop")):
            done = self.search([good, bad])
            self.assertEqual(done.returncode, 64, done.stderr)
            self.assertIn(words, done.stderr)


class Offline(unittest.TestCase):
    def run_offline(self, *args):
        with ScriptedServer(lambda n, s: 0.01) as s:
            done = load("--url", s.url, "--model", "m", "--offline", "--duration", "500ms",
                        "--warmup", "0s", "--json", *args)
            return json.loads(done.stdout), s.open_most

    def test_keeps_sixteen_under_way_or_as_many_as_told(self):
        for args, users in (((), 16), (("--concurrency", 3), 3)):
            found, most = self.run_offline(*args)
            (t,) = found["tenants"]
            self.assertEqual((most, t["users"], t["arrival"]), (users, users, "offline"))
            # as fast as it goes: each of them has the next request when it has an answer
            self.assertLessEqual(t["scheduled"], users * 50 + users)
            if not SANITIZED:
                self.assertGreater(t["scheduled"], users * 5)


class Sweeps(unittest.TestCase):
    def sweep(self, *args, env=None):
        with Server(models={"m": SPEC}, config=ONE_LANE) as s:
            return load("--url", s.http, "--model", "m", "--duration", "1.5s", "--warmup",
                        "200ms", *args, env=env)

    def test_rates_end_where_the_server_is_saturated(self):
        done = self.sweep("--sweep-rate", "20,50,400,500", "--sla", "p50<=60ms", "--json")
        found = json.loads(done.stdout)
        schema("load-sweep")(found)
        rates = [r["rate_rps"] for r in found["rows"]]
        for r in found["rows"]:
            (t,) = r["tenants"]
            self.assertEqual((t["percentile"], t["limit_ms"], t["sla"]), (0.5, 60, r["sla"]))
            self.assertEqual(t["quantile_ms"], r["p50_ms"])  # what is judged, not p99
        # 400/s is four times what it can do; a busy machine may be saturated earlier, or come to
        # it so late that the trial says nothing of the server.
        self.assertEqual(rates, [20, 50, 400, 500][:len(rates)])
        if len(rates) == 4:
            self.assertFalse(found["rows"][2]["valid"])
            return
        self.assertTrue(found["saturated"])
        self.assertEqual(found["not_tried"], 4 - len(rates))
        if len(rates) == 3:
            self.assertEqual(found["rows"][2]["sla"], "violated")
            self.assertLess(found["rows"][2]["throughput_rps"], 110)

    def test_tenants_of_a_file_keep_their_proportions(self):
        with tempfile.TemporaryDirectory() as d, ScriptedServer(lambda n, s: 0) as s:
            file = load_file(d, s.url, [
                {"name": n, "model": "m", "rate": rate, "arrival": "constant", "api-key": n}
                for n, rate in (("a", 30), ("b", 10))], duration="1s", warmup="0s")
            done = load("--file", file, "--sweep-rate", "20,80", "--keep-going", "--json")
            found = json.loads(done.stdout)
            self.assertEqual([r["rate_rps"] for r in found["rows"]], [20, 80], done.stderr)
            for r in found["rows"]:
                self.assertAlmostEqual(r["offered_rps"], r["rate_rps"], delta=3)
            keys = [head["authorization"] for _, head, _ in s.headers]
            self.assertAlmostEqual(keys.count("Bearer a"), 75, delta=3)
            self.assertAlmostEqual(keys.count("Bearer b"), 25, delta=3)
            several = load("--file", file, "--sweep-concurrency", "1,2")
            self.assertEqual(several.returncode, 64)
            self.assertIn("--sweep-concurrency is for one tenant", several.stderr)

    def test_every_rate_when_told_to_keep_going(self):
        done = self.sweep("--sweep-rate", "300..500:2", "--keep-going", "--json")
        found = json.loads(done.stdout)
        self.assertEqual([r["rate_rps"] for r in found["rows"]], [300, 500])
        self.assertEqual([r["sla"] for r in found["rows"]], ["none", "none"])

    def test_users_end_where_more_bring_no_more(self):
        done = self.sweep("--sweep-concurrency", "1,2,4,8,16", "--json")
        found = json.loads(done.stdout)
        schema("load-sweep")(found)
        users = [r["users"] for r in found["rows"]]
        self.assertEqual(users, [1, 2, 4, 8, 16][:len(users)])
        self.assertGreaterEqual(len(users), 3)
        if not SANITIZED:
            for r in found["rows"]:  # N users, one server: N services each
                self.assertAlmostEqual(r["p50_ms"], 10 * r["users"], delta=6 * r["users"])

    def test_the_table_fits_a_narrow_terminal(self):
        done = self.sweep("--sweep-concurrency", "1,2", env={"COLUMNS": "48"})
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0].split(), ["users", "through/s", "p99", "SLA"])
        self.assertEqual(len(rows(done.stdout)), 2)
        self.assertLessEqual(max(map(len, lines)), 48)

    def test_a_file_or_a_pipe_gets_the_whole_table(self):
        with ScriptedServer(lambda n, s: 0) as s:
            done = load("--url", s.url, "--model", "m", "--sweep-rate", "20,40", "--duration",
                        "300ms", "--warmup", "0s", "--sla", "p90<=1s", env={"COLUMNS": ""})
        self.assertIn("95 % of p90", done.stdout.splitlines()[0])


class LiveView(unittest.TestCase):
    """What was tried stands above the load that goes on, and goes when the table is printed."""

    def view(self, args, columns, rows, delay=0.002):
        with ScriptedServer(lambda n, s: delay) as s:
            written, out, _ = on_terminal(["--url", s.url, "--model", "m", *args], columns, rows,
                                          NO_COLOR="1")
        screen = Screen(columns, rows)
        screen.feed(written)
        self.assertEqual("".join(screen.lines).strip(), "", "something stayed on the screen")
        self.assertLess(screen.widest, columns)
        self.assertLess(screen.highest, rows + 1)
        return [x for x in screen.seen if "tenant" in x], out

    def test_a_sweep_in_forty_columns(self):
        seen, out = self.view(("--sweep-rate", "20,40,60,80", "--keep-going", "--duration", "500ms",
                               "--warmup", "0s", "--sla", "p50<=1s"), 40, 24)
        self.assertRegex(seen[0], r"\A1 of 4, 20 requests/s\nload: \S+ left")
        self.assertRegex(seen[-1], r"\A  rate/s +p50 SLA\n"  # the SLA's
                                   r" +20 +\d\S+ \w+.*\n +40 +\d\S+ \w+.*\n +60 +\d\S+ \w+.*\n"
                                   r"4 of 4, 80 requests/s\nload: .*\n"
                                   r"tenant +rate/s +p50 +p99 +errors\ndefault ")
        self.assertEqual(len(rows(out)), 4)  # stdout has the whole table

    def test_the_latest_rows_stay_where_there_is_no_room_for_all(self):
        seen, _ = self.view(("--sweep-rate", "20,40,60,80", "--keep-going", "--duration", "500ms",
                             "--warmup", "0s"), 60, 8)
        self.assertRegex(seen[-1], r"\A  rate/s +through/s +p99 SLA\n +40 .*\n +60 .*\n4 of 4")
        self.assertEqual(len(seen[-1].splitlines()), 7)

    def test_what_goes_on_comes_before_what_was(self):
        for rows, first in ((5, r"2 of 2, 40 requests/s\nload: "), (4, r"load: ")):
            seen, _ = self.view(("--sweep-rate", "20,40", "--keep-going", "--duration", "500ms",
                                 "--warmup", "0s"), 30, rows)
            self.assertRegex(seen[-1], r"\A" + first)
            self.assertEqual(len(seen[-1].splitlines()), rows - 1)

    def test_a_search(self):
        with Server(models={"m": SPEC}, config=ONE_LANE) as s:
            written, out, _ = on_terminal(
                ["--url", s.http, "--model", "m", "--find-capacity", "--sla", "p50<=15ms",
                 "--duration", "300ms", "--warmup", "0s", "--steps", "4", "--half-width", "50%"],
                50, 24, NO_COLOR="1")
        screen = Screen(50, 24)
        screen.feed(written)
        self.assertEqual("".join(screen.lines).strip(), "", "something stayed on the screen")
        self.assertLess(screen.widest, 50)
        seen = [x for x in screen.seen if "tenant" in x]
        self.assertRegex(seen[0], r"\Aclosed loop of 2 users of default\nload: ")
        steps = [x for x in seen if re.search(r"(?m)^step 3 of at most", x)]
        self.assertRegex(steps[-1], r"\A   rate/s  quantile verdict\n( +\S+ +\d\S* \S+ \w+\n){2}"
                                    r"step 3 of at most 7, \S+ requests/s\nload: ")
        self.assertIn("verdict", out)

    def test_quiet_where_there_is_no_terminal(self):
        with ScriptedServer(lambda n, s: 0.002) as s:
            done = load("--url", s.url, "--model", "m", "--sweep-rate", "20,40", "--duration",
                        "300ms", "--warmup", "0s")
        self.assertEqual(done.stderr, "")
        self.assertIn("rate/s", done.stdout)


if __name__ == "__main__":
    unittest.main()
