# timeout: 120
"""perseus load's arrivals, from options to the instants of requests."""
import csv
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from support.scripted_server import ScriptedServer

PERSEUS = os.environ["PERSEUS"]
EXAMPLES = pathlib.Path(os.environ["PS_SOURCE_DIR"]) / "examples" / "traces"


def load(*args, timeout=60):
    return subprocess.run([PERSEUS, "load", *map(str, args)], capture_output=True, text=True,
                          timeout=timeout)


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def run_load(self, server, *args):
        """Returns the tenants' results and the rows of the records, by instant."""
        records = self.folder / "records.csv"
        done = load("--json", "--records", records, "--warmup", "0s", *args)
        self.assertTrue(done.stdout, done.stderr)
        with open(records) as f:
            rows = sorted(csv.DictReader(f), key=lambda r: int(r["scheduled_ns"]))
        return json.loads(done.stdout)["tenants"], rows

    def instants(self, *args, delay=0.001):
        """The scheduled instants of one tenant in ns."""
        with ScriptedServer(lambda n, s: delay) as s:
            _, rows = self.run_load(s, "--url", s.url, "--model", "m", *args)
        return [int(r["scheduled_ns"]) for r in rows]


class Processes(Case):
    def test_each_arrival_offers_what_it_says(self):
        for kind, options, expected in (
                ("poisson", ["--rate", 500], 200),
                ("gamma", ["--rate", 500, "--cv", 0.2], 200),
                ("bursts", ["--rate", 500, "--burst-length", "2ms"], 200),
                ("ramp", ["--ramp-to", 1000, "--ramp-over", "400ms"], 200),
                ("sinusoid", ["--rate", 500, "--swing", "80%", "--period", "200ms"], 200)):
            got = self.instants("--arrival", kind, "--duration", "400ms", *options)
            self.assertLess(abs(len(got) - expected), 5 * expected ** 0.5, kind)
            self.assertEqual(got, sorted(got))

    def test_even_steps_are_where_they_should_be(self):
        got = self.instants("--arrival", "steps", "--rate-steps", "100:200ms,0:300ms,50:1s",
                            "--even", "--duration", "1s")
        want = [5e6 + 10e6 * i for i in range(20)] + [510e6 + 20e6 * i for i in range(25)]
        self.assertEqual(len(got), len(want))
        for a, b in zip(got, want):
            self.assertAlmostEqual(a, b, delta=1)

    def test_the_seed_decides(self):
        args = ["--arrival", "gamma", "--cv", 2, "--rate", 300, "--duration", "300ms"]
        a, b, c = (self.instants(*args, "--seed", seed, delay=delay)
                   for seed, delay in ((1, 0.001), (1, 0.05), (2, 0.001)))
        self.assertEqual(a, b)
        self.assertNotEqual(a, c)


class ClosedLoops(Case):
    def test_users_think(self):
        with ScriptedServer(lambda n, s: 0.01) as s:
            (t,), rows = self.run_load(s, "--url", s.url, "--model", "m", "--concurrency", 2,
                                       "--think-time", "40ms", "--think", "constant",
                                       "--duration", "500ms")
        # 2 users, at least 50 ms each time
        self.assertLessEqual(t["scheduled"], 20)
        self.assertGreater(t["scheduled"], 8)
        # The next request of a user is due a think time after an answer (the first one after the
        # start), not when a timer woke.
        free = {0} | {int(r["done_ns"]) for r in rows}
        for r in rows:
            self.assertIn(int(r["scheduled_ns"]) - 40_000_000, free)

    def test_offline_keeps_its_number_under_way(self):
        with ScriptedServer(lambda n, s: 0.02) as s:
            (t,), _ = self.run_load(s, "--url", s.url, "--model", "m", "--arrival", "offline",
                                    "--concurrency", 4, "--duration", "300ms")
            self.assertEqual(s.open_most, 4)
        self.assertGreater(t["scheduled"], 16)


class Traces(Case):
    def test_gaps_and_timestamps_become_instants(self):
        gaps = self.write("gaps.txt", "# us\n1000\n2000\n0\n50000.5\n1000000\n")
        want = [1_000_000, 3_000_000, 3_000_000, 53_000_500]
        args = ["--arrival", "trace", "--duration", "200ms", "--trace"]
        self.assertEqual(self.instants(*args, gaps, "--trace-format", "gaps"), want)
        self.assertEqual(self.instants(*args, gaps, "--trace-format", "gaps", "--trace-speed",
                                       "0.5"), [2 * x for x in want])
        stamps = self.write("stamps.txt", "".join(f"1700000000.{x:09d}\n" for x in want) +
                            "1700000009\n")
        self.assertEqual(self.instants(*args, stamps, "--trace-format", "timestamps"),
                         [x - want[0] for x in want])

    def test_a_window_loops(self):
        gaps = self.write("gaps.txt", "10\n" * 30)
        got = self.instants("--arrival", "trace", "--trace", gaps, "--trace-format", "gaps",
                            "--trace-unit", "ms", "--trace-from", "95ms", "--trace-length",
                            "50ms", "--trace-loop", "--duration", "100ms")
        self.assertEqual(got, [x * 1_000_000 for x in range(5, 100, 10)])

    def test_azure_formats(self):
        for name in ("azure-functions-2019.csv", "azure-functions-2021.csv", "azure-llm.csv"):
            got = self.instants("--arrival", "trace", "--trace", EXAMPLES / name, "--rate", 600,
                                "--trace-loop", "--duration", "600ms")
            self.assertLess(abs(len(got) - 360), 200, name)
            self.assertGreater(len(set(got)), 100, name)

    def test_the_example_is_a_load(self):
        text = (EXAMPLES / "replay.yaml").read_text().replace("trace: ", f"trace: {EXAMPLES}/")
        with ScriptedServer(lambda n, s: 0.001) as s:
            path = self.write("load.yaml", text.replace("http://127.0.0.1:8000", s.url)
                              .replace("duration: 30s", "duration: 2s"))
            results, _ = self.run_load(s, "--file", path)
        self.assertEqual([t["tenant"] for t in results], ["web", "chat", "batch"])
        for t in results:
            self.assertGreater(t["scheduled"], 5, t["tenant"])
            self.assertEqual(t["sent"], t["scheduled"])

    def test_tenants_of_a_file_share_one_trace(self):
        self.write("gaps.txt", "5\n" * 100)
        tenant = ("  - {name: %s, model: m, arrival: trace, trace: gaps.txt, trace_format: gaps, "
                  "trace_unit: ms%s}\n")
        with ScriptedServer(lambda n, s: 0.001) as s:
            path = self.write("load.yaml", f"url: {s.url}\nduration: 500ms\nwarmup: 0s\ntenants:\n" +
                              tenant % ("a", ", trace_part: 1/2") +
                              tenant % ("b", ", trace_part: 2/2"))
            results, rows = self.run_load(s, "--file", path)
        self.assertEqual([int(r["scheduled_ns"]) for r in rows],
                         [5_000_000 * i for i in range(1, 100)])
        for t in results:
            self.assertGreater(t["scheduled"], 25)


class Refusals(Case):
    def refused(self, args, *words):
        done = load("--model", "m", *args)
        self.assertEqual(done.stdout, "")
        self.assertNotEqual(done.returncode, 0)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_hostile_traces_are_refused_with_file_and_line(self):
        for text, line, words in (("5\n-3\n", 2, "below 0"), ("1\n\n# c\nx\n", 4, "no number"),
                                  ("1\n" + "9" * 70000 + "\n", 2, "65536 bytes")):
            path = self.write("t.txt", text)
            self.refused(["--arrival", "trace", "--trace-format", "gaps", "--trace", path],
                         f"{path}:{line}", words)
        self.refused(["--arrival", "trace", "--trace", "/dev/null"], "/dev/null", "regular file")
        self.refused(["--arrival", "trace", "--trace", self.folder / "no"], "no", "cannot open")
        path = self.write("short.txt", "1000\n")
        self.refused(["--arrival", "trace", "--trace-format", "gaps", "--trace", path],
                     "the trace ends after 0.001 s", "loop")

    def test_mistakes_in_a_load_file_have_their_line(self):
        head = "url: http://127.0.0.1:1\n"
        tenants = "tenants:\n  - {name: a, model: m, rate: 5}\n  - {name: b, model: m, %s}\n"
        for text, line, words in (
                (head + tenants % "rate: 1e12", 4, "out of range"),
                (head + tenants % "rate: 0", 4, "either a rate"),
                (head + tenants % "arrival: gamma, rate: 5", 4, "needs cv"),
                (head + tenants % "arrival: steps, rate_steps: ['5:0s']", 4, "out of range"),
                (head + "duration: 0\n" + tenants % "rate: 5", 2, "out of range"),
                (head + tenants % "arrival: ramp, ramp_to: 5, ramp_over: 0s", 4, "out of range"),
                (head + "seed: -1\n" + tenants % "rate: 5", 2,
                 "'-1' is out of range: 0 to 9000000000000000")):
            self.refused_file(text, line, words)

    def test_tenants_that_do_not_fit_have_their_line(self):
        """What no single key shows: it is found in the plan, and said where it was written."""
        self.write("gaps.txt", "5\n" * 100)
        head = "url: http://127.0.0.1:1\nduration: 1s\nwarmup: 0s\ntenants:\n"
        a = "  - {name: a, model: m, rate: 5}\n"
        trace = ("  - {name: b, model: m, arrival: trace, trace: gaps.txt, trace_format: gaps,"
                 " trace_unit: ms, %s}\n")
        for text, line, words in (
                (a + "\n" + a, 7, "two tenants are called 'a'"),
                (f"  - {{name: {'n' * 64}, model: m, rate: 5}}\n", 5, "at most 63 bytes"),
                (a + "  - {name: b, model: m, arrival: bursts, rate: 1e6, burst_ratio: 20,"
                 " burst_share: 1%}\n", 6, "at most 1e+07/s, not 2e+07/s"),
                (a + "  - {name: b, model: m, arrival: bursts, rate: 5, burst_ratio: 20,"
                 " burst_share: 10%}\n", 6, "no such bursts"),
                (a + trace % "trace_speed: 1e9, trace_loop: true", 6, "offers over 1e+07/s"),
                (a + trace % "trace_speed: 2", 6, "the trace ends after 0.250 s")):
            self.refused_file(head + text, line, words)
        self.refused_file(head + a + a, 6, "two tenants are called 'a'", "--sweep-rate", "5,10")
        self.refused_file(head + a, 5, "tenant 'a' has no SLA", "--find-capacity")

    def refused_file(self, text, line, words, *args):
        path = self.write("load.yaml", text)
        done = load("--file", path, *args)
        self.assertEqual(done.stdout, "")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(f"{path}:{line}:", done.stderr)
        self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
