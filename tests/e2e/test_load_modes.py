# timeout: 300
"""perseus load --find-capacity and sweeps, against a server whose capacity is known."""
import json
import os
import signal
import subprocess
import unittest

from support.perseus import Server, synthetic

PERSEUS = os.environ["PERSEUS"]
SANITIZED = bool(os.environ.get("PS_SANITIZED"))
# One lane, 10 ms of service: what can be served is 100/s; p95 <= 40 ms (a wait of three services)
# holds up to 61.7/s, by Erlang's distribution of the M/D/1 wait.
SPEC = synthetic(mean="10ms", mode="sleep")
ONE_LANE = {"cpus": "0"}
CAPACITY = 61.7


def load(*args, timeout=240, env=None):
    return subprocess.run([PERSEUS, "load", *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **(env or {})})


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
            (("--find-capacity", "--sla", "p95<=12s"), "20 limits: with the limit 12.0 s for 240 s"),
            (("--rate", 5, "--steps", 8), "--steps is for --find-capacity"),
            (("--sweep-rate", "1,2", "--half-width", "5%"), "--half-width is for --find-capacity"),
            (("--find-capacity", "--sla", "p95<=1s", "--arrival", "steps", "--rate-steps", "1:1s"),
             "--arrival steps has rates of its own"),
            (("--sweep-rate", "1,2", "--arrival", "offline"), "--arrival offline has no rate"),
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
                        "p95<=40ms", "--half-width", "30%", "--duration", "2s", "--steps", 5,
                        "--json")
        self.assertNotEqual(done.stdout, "", done.stderr)
        found = json.loads(done.stdout)
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
                        "--half-width", "50%", "--duration", "300ms", "--warmup", "0s",
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


class Sweeps(unittest.TestCase):
    def sweep(self, *args, env=None):
        with Server(models={"m": SPEC}, config=ONE_LANE) as s:
            return load("--url", s.http, "--model", "m", "--duration", "1.5s", "--warmup",
                        "200ms", *args, env=env)

    def test_rates_end_where_the_server_is_saturated(self):
        done = self.sweep("--sweep-rate", "20,50,400,500", "--sla", "p50<=60ms", "--json")
        found = json.loads(done.stdout)
        rates = [r["rate_rps"] for r in found["rows"]]
        # 400/s is four times what it can do; a busy machine may be saturated earlier.
        self.assertEqual(rates, [20, 50, 400][:len(rates)])
        self.assertTrue(found["saturated"])
        self.assertEqual(found["not_tried"], 4 - len(rates))
        if len(rates) == 3:
            self.assertEqual(found["rows"][2]["sla"], "violated")
            self.assertLess(found["rows"][2]["throughput_rps"], 110)

    def test_every_rate_when_told_to_keep_going(self):
        done = self.sweep("--sweep-rate", "300..500:2", "--keep-going", "--json")
        found = json.loads(done.stdout)
        self.assertEqual([r["rate_rps"] for r in found["rows"]], [300, 500])
        self.assertEqual([r["sla"] for r in found["rows"]], ["none", "none"])

    def test_users_end_where_more_bring_no_more(self):
        done = self.sweep("--sweep-concurrency", "1,2,4,8,16", "--json")
        found = json.loads(done.stdout)
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
        self.assertEqual(len(lines), 3)
        self.assertLessEqual(max(map(len, lines)), 48)


if __name__ == "__main__":
    unittest.main()
