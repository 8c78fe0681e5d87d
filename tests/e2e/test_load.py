# timeout: 240
"""perseus load against servers that behave, stall, die and lie."""
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import time
import unittest

from support.perseus import Server, new_key, synthetic, tensor
from support.scripted_server import ScriptedServer, METADATA, stall

PERSEUS = os.environ["PERSEUS"]
SLOW = 3 if os.environ.get("PS_SANITIZED") else 1  # sanitizers cost time, not truth


def load(*args, timeout=60, env=None):
    return subprocess.run([PERSEUS, "load", *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, env={**os.environ, **(env or {})})


def load_json(server, *args, model="m", **more):
    """Runs and returns (exit code, the tenant's result, the whole result, the records)."""
    with tempfile.TemporaryDirectory() as d:
        records = pathlib.Path(d) / "r.csv"
        done = load("--url", server.url, "--model", model, "--json", "--records", records, *args,
                    **more)
        if not done.stdout:
            raise AssertionError(done.stderr)
        whole = json.loads(done.stdout)
        with open(records) as f:
            rows = list(csv.DictReader(f))
    return done.returncode, whole["tenants"][0], whole, rows


def in_system(rows, begin_s, end_s):
    """Requests under way on average between two instants of the run."""
    begin, end = begin_s * 1e9, end_s * 1e9
    return sum(max(0, min(int(r["done_ns"]), end) - max(int(r["scheduled_ns"]), begin))
               for r in rows) / (end - begin)


def latencies_ms(rows):
    return [(int(r["done_ns"]) - int(r["scheduled_ns"])) / 1e6 for r in rows
            if r["outcome"] == "ok" and r["warmup"] == "0"]


class OpenLoop(unittest.TestCase):
    def check_code(self, code, whole):
        """The exit code follows the verdicts. Which ones a busy machine allows is not asked here:
        judging is tested on made-up requests."""
        well = whole["valid"] and all(t["sla"]["verdict"] in ("met", "none")
                                      for t in whole["tenants"])
        self.assertEqual(code, 0 if well else 1)
        for t in whole["tenants"]:
            self.assertEqual(t["valid"], not t["reasons"])

    def test_good_server(self):
        with ScriptedServer(lambda n, s: 0.01) as s:
            code, t, whole, rows = load_json(s, "--rate", 100, "--duration", "3s", "--warmup",
                                             "0.5s", "--sla", "p95<=400ms")
        self.check_code(code, whole)
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"])
        self.assertEqual(len(rows), t["scheduled"] + t["warmup_scheduled"])
        self.assertEqual(len(s.requests), len(rows))
        self.assertGreaterEqual(t["p50"]["value_ms"], 10)
        self.assertAlmostEqual(t["server_queue"]["p50_ms"], 1.25, delta=0.01)
        self.assertAlmostEqual(t["server_compute"]["p50_ms"], 2.5, delta=0.01)
        for r in rows:
            self.assertLessEqual(int(r["scheduled_ns"]), int(r["sent_ns"]))
            self.assertLessEqual(int(r["sent_ns"]), int(r["first_byte_ns"]))
            self.assertLessEqual(int(r["first_byte_ns"]), int(r["done_ns"]))

    def test_same_seed_same_instants_whatever_the_server_does(self):
        instants = []
        for delay in (0, 0.2):
            with ScriptedServer(lambda n, s, d=delay: d) as s:
                rows = load_json(s, "--rate", 150, "--duration", "1s", "--seed", 9)[3]
            instants.append(sorted(int(r["scheduled_ns"]) for r in rows))
        self.assertEqual(instants[0], instants[1])

    def test_same_instants_and_inputs_with_any_number_of_threads(self):
        seen = []
        for threads in (1, 3):
            with ScriptedServer(lambda n, s: 0) as s:
                _, t, whole, rows = load_json(s, "--rate", 150, "--duration", "1s", "--seed", 9,
                                              "--threads", threads)
            self.assertEqual(whole["threads"], threads)
            self.assertEqual(t["outcomes"]["ok"], t["scheduled"])
            seen.append((sorted((int(r["sequence"]), int(r["scheduled_ns"])) for r in rows),
                         sorted(body for _, _, body in s.headers)))
        self.assertEqual(seen[0], seen[1])

    def test_slow_server_does_not_slow_the_sender(self):
        with ScriptedServer(lambda n, s: 0.6) as s:
            code, t, whole, _ = load_json(s, "--rate", 100, "--arrival", "constant", "--duration",
                                          "2s", "--warmup", "0s", "--sla", "p95<=2s")
            gaps = [b - a for a, b in zip(s.requests, s.requests[1:])]
        self.assertEqual(t["scheduled"], 200)
        self.assertEqual(t["sent"], 200)
        self.assertGreater(s.open_most, 40)  # about 60 at once: no waiting for answers
        # a sender that waited for these answers would take minutes
        self.assertLess(sum(gaps), 4)
        self.assertLess(t["send_lag"]["p50_ms"], 300)
        self.check_code(code, whole)

    def test_one_stall_shows_in_the_tail_and_not_in_the_uncorrected_view(self):
        rate, length = 200, 1.0
        with ScriptedServer(stall(1.5, length)) as s:
            _, t, _, rows = load_json(s, "--rate", rate, "--arrival", "constant", "--duration",
                                      "4s", "--warmup", "0s")
        # R x D requests, their latencies spread evenly over 0..D. What a busy machine adds makes
        # them larger, and others late as well, but not most of the run.
        latencies = sorted(latencies_ms(rows))
        for least in range(100, 1000, 100):
            self.assertGreaterEqual(sum(x > least for x in latencies),
                                    rate * (length - least / 1e3) - 4, f"{least} ms")
        self.assertLess(latencies[len(latencies) // 20], 100)
        self.assertGreater(t["latency"]["p99_ms"], 900)
        self.assertLess(t["uncorrected"]["p99_ms"], t["latency"]["p99_ms"] / 2)
        self.assertGreater(t["uncorrected"]["count"], 200)
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"])

    def test_connection_limit_makes_requests_wait_and_says_so(self):
        with ScriptedServer(lambda n, s: 0.2) as s:
            code, t, _, rows = load_json(s, "--rate", 40, "--arrival", "constant", "--duration",
                                         "1s", "--warmup", "0s", "--connections", 4)
        self.assertEqual(t["outcomes"]["ok"], 40)
        self.assertLessEqual(s.open_most, 4)
        self.assertGreater(t["waited_for_connection"], 20)
        # 4 at once, 0.2 s each: 20/s; the last of 40 waits about a second, and that is latency
        self.assertGreater(max(latencies_ms(rows)), 900)
        self.assertLess(t["service_latency"]["max_ms"], max(latencies_ms(rows)) - 400)
        self.assertEqual(code, 1)
        self.assertTrue(any("waited for a free connection" in r for r in t["reasons"]), t["reasons"])


class Failures(unittest.TestCase):
    KINDS = {
        "503": "refused", "429": "refused", "400": "rejected", "500": "rejected",
        "garbage": "garbage", "not-oip": "garbage", "empty": "garbage",
        "missing-output": "wrong_answer", "wrong-type": "wrong_answer",
        "wrong-shape": "wrong_answer", "half": "reset", "half-head": "reset", "reset": "reset",
        "never": "timeout",
    }

    def test_each_kind_is_counted_once(self):
        kinds = list(self.KINDS)
        period = len(kinds) + 1  # and one good one

        def script(n, _server):
            return "good" if n % period == len(kinds) else kinds[n % period]

        with ScriptedServer(script) as s:
            code, t, _, rows = load_json(s, "--rate", 100, "--arrival", "constant", "--duration",
                                         "1.5s", "--warmup", "0s", "--timeout", "2s")
        self.assertEqual(t["scheduled"], 150)
        self.assertEqual(sum(t["outcomes"].values()), 150)
        want = {}
        for kind in self.KINDS.values():
            want[kind] = want.get(kind, 0) + 10
        want["ok"] = 10
        got = {k: v for k, v in t["outcomes"].items() if v}
        self.assertEqual(got, want)
        # Answers that came whole and were HTTP, good or bad: neither half of one nor none.
        whole = [k for k in kinds if k not in ("garbage", "half", "half-head", "reset", "never")]
        self.assertEqual(t["completed"], 10 * len(whole) + 10)
        self.assertEqual(t["latency"]["count"], 10)
        self.assertEqual(t["latency"]["lost"], 140)
        self.assertIsNone(t["latency"]["p50_ms"])
        self.assertTrue(t["first_failure"])
        self.assertEqual(code, 1)

    def test_never_answering_server_ends_on_time(self):
        with ScriptedServer(lambda n, s: "never") as s:
            start = time.monotonic()
            _, t, _, rows = load_json(s, "--rate", 50, "--duration", "1s", "--warmup", "0s",
                                      "--timeout", "2s", "--sla", "p95<=200ms")
            took = time.monotonic() - start
        self.assertEqual(t["outcomes"]["timeout"], t["scheduled"])
        self.assertEqual(t["sent"], t["scheduled"])
        self.assertEqual(t["sla"]["verdict"], "violated")
        self.assertGreater(took, 2.5)
        self.assertLess(took, 20)
        waited = sorted((int(r["done_ns"]) - int(r["scheduled_ns"])) / 1e6 for r in rows)
        self.assertGreaterEqual(waited[0], 2000)
        self.assertLess(waited[len(waited) // 4], 3000)  # a stall of the machine makes many late

    def test_dying_server(self):
        def script(n, _server):
            return "die" if n >= 50 else "good"

        with ScriptedServer(script) as s:
            _, t, _, rows = load_json(s, "--rate", 100, "--arrival", "constant", "--duration",
                                      "2s", "--warmup", "0s", "--sla", "p95<=200ms")
        o = t["outcomes"]
        self.assertEqual(t["scheduled"], 200)
        self.assertEqual(o["ok"], 50)
        # what it had accepted and not begun with when it died stays open, for ever
        self.assertEqual(o["ok"] + o["reset"] + o["connect"] + o["timeout"], 200, o)
        self.assertGreater(o["connect"], 0)
        self.assertFalse(t["valid"])
        self.assertEqual(t["sla"]["verdict"], "undecided")  # one outage is one event
        self.assertIn("there was no connection", " ".join(t["reasons"]))

    def test_dead_server_is_not_hammered_by_a_closed_loop(self):
        def script(n, _server):
            return "die" if n >= 5 else "good"

        with ScriptedServer(script) as s:
            _, t, _, _ = load_json(s, "--concurrency", 2, "--duration", "1s", "--warmup", "0s")
        # 10 ms of rest after the first failure, doubled each time, at most 250 ms
        self.assertLess(t["scheduled"], 5 + 2 * 12)
        self.assertGreater(t["outcomes"]["connect"], 6)


class ClosedLoop(unittest.TestCase):
    def test_users_and_littles_law(self):
        with ScriptedServer(lambda n, s: 0.02) as s:
            code, t, _, rows = load_json(s, "--concurrency", 4, "--duration", "2s", "--warmup",
                                         "0.2s")
        self.assertLessEqual(s.open_most, 4)
        # a user's next request is due when the last one is answered
        self.assertAlmostEqual(in_system(rows, 0.2, 2.2), 4, delta=0.01)
        self.assertEqual(t["peak_in_flight"], 4)
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"])


    def test_users_think(self):
        with ScriptedServer(lambda n, s: 0.01) as s:
            _, t, _, rows = load_json(s, "--concurrency", 5, "--think-time", "40ms", "--duration", "2s",
                                      "--warmup", "0.3s", "--threads", 2)
        # 5 users, 50 ms from question to question on average: about 100/s; each asks or thinks
        self.assertLess(t["throughput_rps"], 120)
        self.assertAlmostEqual(in_system(rows, 0.3, 2.3) + 0.04 * t["throughput_rps"], 5, delta=1)
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"])


class Tenants(unittest.TestCase):
    def test_two_tenants_from_a_file_on_one_schedule(self):
        with ScriptedServer(lambda n, s: 0.005) as s, tempfile.TemporaryDirectory() as d:
            path = pathlib.Path(d) / "load.yaml"
            path.write_text(f"""
url: {s.url}
duration: 2s
warmup: 0s
seed: 3
tenants:
  - name: a
    model: m
    rate: 50
    sla: p95<=500ms
  - name: b
    model: m
    rate: 30
    arrival: constant
    batch: 2
    api_key: secret-b
    inputs: 2
""")
            done = load("--file", path, "--json")
            a, b = json.loads(done.stdout)["tenants"]
        self.assertEqual((a["tenant"], b["tenant"]), ("a", "b"))
        self.assertEqual(b["scheduled"], 60)
        self.assertEqual(b["inferences_per_request"], 2)
        keys = [h.get("authorization") for _, h, _ in s.headers]
        self.assertEqual(keys.count("Bearer secret-b"), 60)
        self.assertEqual(keys.count(None), a["scheduled"])
        bodies = {body for _, h, body in s.headers if h.get("authorization")}
        self.assertEqual(len(bodies), 2)
        self.assertNotIn("secret-b", done.stdout + done.stderr)

    def test_a_file_error_names_the_line(self):
        with tempfile.TemporaryDirectory() as d:
            path = pathlib.Path(d) / "load.yaml"
            path.write_text("tenants:\n  - name: a\n    model: m\n    rat: 5\n")
            done = load("--file", path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("load.yaml:4", done.stderr)
        self.assertIn("rate", done.stderr)


class Requests(unittest.TestCase):
    def one(self, *args, metadata=None, **more):
        with ScriptedServer(lambda n, s: 0, metadata) as s:
            load_json(s, "--rate", 20, "--duration", "0.5s", "--warmup", "0s", *args, **more)
            return s.headers

    def test_binary_tensors_by_default(self):
        line, headers, body = self.one("--batch", 3)[0]
        n = int(headers["inference-header-content-length"])
        head = json.loads(body[:n])
        self.assertEqual(line, "POST /v2/models/m/infer HTTP/1.1")
        self.assertEqual(head["inputs"][0]["shape"], [3, 16])
        self.assertEqual(len(body) - n, 3 * 16 * 4)

    def test_json_tensors(self):
        _, headers, body = self.one("--json-tensors")[0]
        self.assertNotIn("inference-header-content-length", headers)
        data = json.loads(body)["inputs"][0]["data"]
        self.assertEqual(len(data), 16)

    def test_shape_of_dynamic_inputs(self):
        meta = {**METADATA, "inputs": [{"name": "a:b", "datatype": "INT64", "shape": [-1, -1]}]}
        _, headers, body = self.one("--shape", "a:b:1x7", metadata=meta)[0]
        n = int(headers["inference-header-content-length"])
        self.assertEqual(json.loads(body[:n])["inputs"][0]["shape"], [1, 7])
        self.assertEqual(len(body) - n, 7 * 8)

    def test_key_from_the_environment(self):
        _, headers, _ = self.one(env={"PERSEUS_API_KEY": "from-env"})[0]
        self.assertEqual(headers["authorization"], "Bearer from-env")

    def test_answers_that_differ_are_seen_when_asked(self):
        values = iter(range(10**6))

        def script(n, _server):
            return "good"

        from support import scripted_server as ss
        kept = ss.ACTIONS["good"]
        ss.ACTIONS["good"] = lambda: ss.answer(values=(float(next(values)), 0.0, 0.0, 0.0))
        try:
            with ScriptedServer(script) as s:
                args = ("--rate", 40, "--duration", "0.5s", "--warmup", "0s", "--inputs", 2)
                self.assertEqual(load_json(s, *args)[1]["outcomes"]["wrong_answer"], 0)
                t = load_json(s, *args, "--check-repeats")[1]
        finally:
            ss.ACTIONS["good"] = kept
        self.assertEqual(t["outcomes"]["ok"], 2)
        self.assertEqual(t["outcomes"]["wrong_answer"], t["scheduled"] - 2)


class RealServer(unittest.TestCase):
    """perseus load against perseus serve."""

    def real(self, server, *args, model="m", **more):
        server.url = server.http
        return load_json(server, *args, model=model, **more)

    def test_every_tensor_type_both_ways(self):
        types = ["FP32", "FP64", "INT8", "UINT8", "INT16", "INT32", "INT64", "BOOL", "BYTES"]
        inputs = [tensor(f"x{t}", t, (-1, 5)) for t in types]
        outputs = [tensor("y", "FP32", (-1, 3))]
        with Server(models={"m": synthetic(inputs, outputs, mean="1ms")}) as s:
            for form in ([], ["--json-tensors"]):
                _, t, _, _ = self.real(s, "--rate", 50, "--duration", "1s", "--warmup", "0s",
                                       "--batch", 2, "--check-repeats", *form)
                self.assertEqual(t["outcomes"]["ok"], t["scheduled"], t["first_failure"])
                self.assertGreater(t["server_compute"]["p50_ms"], 0.9)
                self.assertEqual(t["server_queue"]["count"], t["scheduled"])

    def test_service_time_and_queue_come_from_the_server(self):
        with Server(models={"m": synthetic(mean="10ms")}, config={"lanes": 1}) as s:
            _, t, _, rows = self.real(s, "--concurrency", 3, "--duration", "1s", "--warmup", "0s")
        # one lane, three users: each waits for two others
        self.assertGreaterEqual(t["server_compute"]["p50_ms"], 10)
        self.assertLess(t["server_compute"]["p50_ms"], 25)
        self.assertGreater(t["server_queue"]["p50_ms"], 1.5 * t["server_compute"]["p50_ms"])
        for r in rows:
            inside = int(r["server_queue_ns"]) + int(r["server_compute_ns"])
            self.assertLess(inside, int(r["done_ns"]) - int(r["sent_ns"]))

    def test_keys_and_a_full_queue(self):
        key, digest = new_key()
        tenants = [{"name": "a", "keys": [digest], "queue_limit": 2}]
        with Server(models={"m": synthetic(mean="50ms")}, tenants=tenants,
                    config={"lanes": 1}) as s:
            done = load("--url", s.http, "--model", "m", "--rate", 5)
            self.assertGreater(done.returncode, 1)
            self.assertIn("key", done.stderr)
            _, t, _, _ = self.real(s, "--rate", 100, "--duration", "1s", "--warmup", "0s",
                                   "--api-key", key)
            self.assertGreater(t["outcomes"]["refused"], 50)
            self.assertGreater(t["outcomes"]["ok"], 2)  # one runs, two wait
            self.assertEqual(t["outcomes"]["ok"] + t["outcomes"]["refused"], t["scheduled"])
            done = load("--url", s.http, "--model", "nobody", "--rate", 5, "--api-key", key)
            self.assertGreater(done.returncode, 1)
            self.assertIn("nobody", done.stderr)


class CommandLine(unittest.TestCase):
    def test_usage_errors(self):
        for args, text in (
                (["--model", "m"], "rate"),
                (["--model", "m", "--rate", 5, "--concurrency", 2], "one of them"),
                (["--rate", 5], "model"),
                (["--model", "m", "--rate", 5, "--duration", "5"], "duration"),
                (["--model", "m", "--rate", 5, "--shape", "x"], "shape"),
                (["--model", "m", "--rate", 5, "--sla", "p95"], "sla"),
                (["--file", "x.yaml", "--rate", 5], "--file"),
                (["--model", "m", "--rate", 5, "--url", "ftp://x"], "ftp"),
        ):
            done = load(*args)
            self.assertGreater(done.returncode, 1, args)
            self.assertIn(text, done.stderr.lower(), args)

    def test_nobody_there(self):
        with ScriptedServer(lambda n, s: 0) as s:
            url = s.url
        done = load("--url", url, "--model", "m", "--rate", 5)
        self.assertGreater(done.returncode, 1)
        self.assertIn("server", done.stderr)

    def test_wrong_key(self):
        with ScriptedServer(lambda n, s: 0, "401") as s:
            done = load("--url", s.url, "--model", "m", "--rate", 5)
        self.assertIn("key", done.stderr)
        self.assertGreater(done.returncode, 1)

    def test_text_is_narrow_and_says_the_verdict(self):
        with ScriptedServer(lambda n, s: 0.001) as s:
            done = load("--url", s.url, "--model", "m", "--rate", 50, "--duration", "1s",
                        "--probe", "200ms", "--sla", "p50<=1s")
        self.assertRegex(done.stdout, r"VALID, SLA (met|undecided) \(p50 <= ")
        self.assertIn("bare timer", done.stdout)
        self.assertIn("needs", done.stdout)
        lines = [x for x in done.stdout.splitlines() if "invalid:" not in x]
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertEqual(done.stderr, "")

    def test_interrupt_stops_and_marks_the_run(self):
        with ScriptedServer(lambda n, s: 0) as s:
            p = subprocess.Popen([PERSEUS, "load", "--url", s.url, "--model", "m", "--rate", "50",
                                  "--duration", "60s", "--json"], stdout=subprocess.PIPE, text=True)
            while len(s.requests) < 10:
                time.sleep(0.01)
            p.send_signal(2)
            out = p.communicate(timeout=20)[0]
        whole = json.loads(out)
        self.assertTrue(whole["cancelled"])
        self.assertLess(whole["duration_s"], 30)  # what was measured, not the minute that was asked for
        self.assertAlmostEqual(whole["tenants"][0]["offered_rps"] * whole["duration_s"],
                               whole["tenants"][0]["scheduled"])
        self.assertFalse(whole["valid"])
        self.assertEqual(p.returncode, 1)


if __name__ == "__main__":
    unittest.main()
