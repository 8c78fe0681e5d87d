# timeout: 240
"""`perseus plan --replay`: a plan's machines under recorded arrivals and planned rates, what it says
of agreements, what it refuses, and that the server does what was simulated."""
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import unittest

import yaml

from support.perseus import PERSEUS, SANITIZED, Server, new_key, run, synthetic

HOUR = 3600


def poisson(seed, rate, seconds):
    """Instants of so many a second, as a timestamps trace has them."""
    r, at, found = random.Random(seed), 0.0, []
    while (at := at + r.expovariate(rate)) < seconds:
        found.append(at)
    return found


class Replay(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-replay-"))
        self.addCleanup(shutil.rmtree, self.dir)
        for name in ("a", "b"):
            (self.dir / f"{name}.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))
        self.write("prices", {"prices": [
            {"provider": "p", "region": "r", "instance_type": "small", "vcpu": 2, "memory_gib": 4,
             "on_demand_usd_per_hour": 0.1, "source": "a test", "source_date": "2026-01-01"}]})
        self.write("profiles", {"profiles": [
            {"model": m, "path": f"{m}.synthetic.yaml", "service": s, "cv": cv, "error": "2%",
             "memory": "100MiB", "load_peak": "100MiB", "source": "a test"}
            for m, s, cv in (("a", "20ms", 0.2), ("b", "10ms", 0))]})

    def write(self, name, what):
        (self.dir / f"{name}.yaml").write_text(yaml.safe_dump(what, sort_keys=False))

    def trace(self, name, instants):
        path = self.dir / name
        path.write_text("".join(f"{at:.6f}\n" for at in instants))
        return path

    def replay(self, tenants, *args, code=0, text=False):
        self.write("plan", {"prices": "prices.yaml", "profiles": "profiles.yaml",
                            "tenants": tenants})
        done = run("plan", self.dir / "plan.yaml", "--time-limit", "20s", "--today", "2026-11-22",
                   "--no-compare", *(() if text else ("--json",)), *args)
        self.assertEqual(done.returncode, code, done.stderr)
        if code > 1:
            self.assertEqual(done.stdout, "")
            return done.stderr
        if text:
            return done.stdout
        found = json.loads(done.stdout)
        self.check(found["replay"])
        return found["replay"]

    def check(self, r):
        """What is counted twice is the same twice."""
        self.assertEqual(r["requests"], sum(t["requests"] for t in r["tenants"]))
        self.assertEqual(r["requests"], sum(m["requests"] for m in r["machines"]))
        self.assertEqual(r["tenants_broken"], sum(not t["kept"] for t in r["tenants"]))
        for t in r["tenants"]:
            self.assertEqual(t["requests"], t["served"] + t["refused"] + t["expired"])
            self.assertEqual(sum(t["not_served"].values()), t["refused"] + t["expired"])
            for key in ("requests", "served", "in_time", "refused", "expired"):
                self.assertEqual(t[key], sum(m[key] for m in t["machines"]))
            self.assertLessEqual(t["intervals_broken"], t["intervals"])

    TENANTS = [{"name": "t", "model": "a", "rate": "20/s", "sla": "p99 <= 300ms"},
               {"name": "u", "model": "b", "rates": [2, 40, 0, 10], "sla": "p95 <= 150ms"}]

    def test_planned_rates_over_a_day(self):
        r = self.replay(self.TENANTS, "--replay", "rates")
        self.assertEqual((r["seconds"], r["interval_s"]), (86400, 300))
        t, u = r["tenants"]
        for found, expected in ((t, 20 * 86400), (u, 52 * 6 * HOUR)):
            self.assertLess(abs(found["requests"] - expected), 5 * expected ** 0.5)
            self.assertTrue(found["kept"])
            self.assertEqual(found["arrivals"], "rates")
            # The prediction is an upper bound at the rates that were planned with.
            self.assertLessEqual(found["at_percentile_ms"], found["foreseen_ms"])
            self.assertLessEqual(found["foreseen_ms"], found["foreseen_high_ms"])
            self.assertGreaterEqual(found["worst_hour"]["at_percentile_ms"],
                                    found["at_percentile_ms"])
        self.assertEqual(t["intervals"], 288)
        # None where u is silent, but for one that the last request before it may end in.
        self.assertIn(u["intervals"], (3 * 72, 3 * 72 + 1))
        self.assertTrue(6 * HOUR <= u["worst_hour"]["from_s"] < 12 * HOUR)
        self.assertAlmostEqual(u["busiest_rps"], 40, delta=4)
        busy = sum(m["busy"] for m in r["machines"]) * 2 * 86400  # lane seconds
        self.assertAlmostEqual(busy / (t["requests"] * 0.02 + u["requests"] * 0.01), 1, delta=0.01)

    def test_a_seed_repeats(self):
        args = ("--replay", "rates", "--replay-length", "10m", "--replay-interval", "1m")
        first = self.replay(self.TENANTS, *args, "--seed", "3")
        self.assertEqual(first, self.replay(self.TENANTS, *args, "--seed", "3"))
        self.assertNotEqual(first, self.replay(self.TENANTS, *args, "--seed", "4"))

    @unittest.skipIf(SANITIZED, "sanitizers keep what was freed")
    def test_memory_does_not_grow_with_requests(self):
        self.write("plan", {"prices": "prices.yaml", "profiles": "profiles.yaml",
                            "tenants": self.TENANTS})
        peaks = []
        for length in ("1m", "12h"):  # some hundred requests, and 1.3 million
            p = subprocess.Popen([PERSEUS, "plan", self.dir / "plan.yaml", "--no-compare", "--today",
                                  "2026-11-22", "--replay", "rates", "--replay-length", length],
                                 stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(p.pid, 0)
            p.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(p.returncode, 0)
            peaks.append(usage.ru_maxrss / 1024)  # MiB
        self.assertLess(peaks[1], peaks[0] + 4)

    def test_every_arrival_of_a_trace_is_somebodys(self):
        tenants = [{"name": "big", "model": "a", "rate": "300/s", "sla": "p99 <= 300ms"},
                   {"name": "few", "count": 3, "model": "b", "rate": "4/s", "sla": "p99 <= 200ms"},
                   {"name": "rest", "model": "b", "rate": "1/s", "sla": "p99 <= 200ms"}]
        big = self.trace("big.txt", poisson(1, 250, 60))
        few = self.trace("few.txt", poisson(2, 10, 30))
        r = self.replay(tenants, "--replay", f"big={big}", "--replay", f"few={few}",
                        "--replay-format", "timestamps")
        found = {t["name"]: t for t in r["tenants"]}
        self.assertGreater(len(found["big"]["machines"]), 1)
        self.assertEqual(found["big"]["requests"], len(big.read_text().splitlines()))
        self.assertEqual(sum(found[f"few-{i}"]["requests"] for i in (1, 2, 3)),
                         len(few.read_text().splitlines()))
        for i in (1, 2, 3):
            self.assertGreater(found[f"few-{i}"]["requests"], 60)
        self.assertEqual([found[n]["arrivals"] for n in ("big", "few-1", "rest")],
                         [str(big), str(few), "rates"])
        # The longest trace says how long: here the one of 60 s.
        self.assertAlmostEqual(r["seconds"], 60, delta=1)
        everybody = self.replay(tenants, "--replay", big, "--replay-format", "timestamps")
        self.assertEqual(everybody["requests"], found["big"]["requests"])

    def test_a_stretch_of_a_long_trace(self):
        """Its second minute alone has more arrivals than are read: the others can be had."""
        minutes = [1200, 40_000_000, 600, 1200]
        path = self.dir / "day.csv"
        path.write_text("HashOwner,HashApp,HashFunction,Trigger,1,2,3,4\n"
                        f"o,a,f,http,{','.join(map(str, minutes))}\n")
        tenants = [{**self.TENANTS[0], "rate": "25/s"}]
        said = self.replay(tenants, "--replay", path, code=2)
        self.assertIn("minute 2", said)
        self.assertIn("take a stretch of them with --replay-from and --replay-length", said)
        r = self.replay(tenants, "--replay", path, "--replay-from", "2m")
        self.assertEqual((r["requests"], round(r["seconds"], 9)), (1800, 120))
        r = self.replay(tenants, "--replay", path, "--replay-from", "2m", "--replay-length", "1m")
        self.assertEqual((r["requests"], round(r["seconds"], 9)), (600, 60))
        said = self.replay(tenants, "--replay", path, "--replay-from", "1h", code=2)
        self.assertIn("no arrival in the window", said)

    def test_more_than_was_planned_breaks_the_agreement_where_it_comes(self):
        instants = [at for at in poisson(1, 10, 600)]
        instants += [300 + at for at in poisson(2, 300, 60)]
        path = self.trace("rush.txt", sorted(instants))
        args = ("--replay", f"t={path}", "--replay-format", "timestamps", "--replay-interval",
                "1m", "--replay-length", "10m")
        r = self.replay(self.TENANTS[:1], *args, code=1)
        t = r["tenants"][0]
        self.assertFalse(t["kept"])
        self.assertEqual((t["intervals"], t["intervals_broken"]), (10, 1))
        self.assertGreater(t["busiest_rps"], 290)
        self.assertGreater(t["not_served"]["deadline"], 0.9 * (t["refused"] + t["expired"]))
        self.assertIsNone(t["at_percentile_ms"])  # over 1 % got no answer
        said = self.replay(self.TENANTS[:1], *args, code=1, text=True)
        self.assertIn("of 1 tenant, the agreement of 1 did NOT hold", said)
        self.assertRegex(said, r"\bt\b.* never .* 1 of 10 +NOT HELD")
        # Brought to the planned rate, the same shape of a day holds.
        r = self.replay(self.TENANTS[:1], *args, "--replay-rate", "planned")
        t = r["tenants"][0]
        self.assertLess(abs(t["busiest_rps"] - 20), 5)
        self.assertEqual(t["intervals_broken"], 0)
        self.assertLess(t["requests"], 0.2 * len(instants))

    def test_the_server_is_asked_the_same(self):
        """The same traces, replayed and sent to a server with the planned configuration: the same
        requests, and answers in time about as often, at 1.5 times what two lanes can do."""
        tenants = [{"name": "t", "model": "a", "rate": "30/s", "sla": "p99 <= 300ms"},
                   {"name": "u", "model": "b", "rate": "60/s", "sla": "p95 <= 200ms"}]
        self.write("profiles", {"profiles": [
            {"model": m, "path": f"{m}.synthetic.yaml", "service": s, "cv": 0, "memory": "9MiB",
             "load_peak": "9MiB", "source": "declared"} for m, s in (("a", "20ms"), ("b", "10ms"))]})
        found = {n: self.trace(f"{n}.txt", poisson(i, rate, 4))
                 for i, (n, rate) in enumerate((("t", 75), ("u", 150)))}
        r = self.replay(tenants, *(x for n, p in found.items() for x in ("--replay", f"{n}={p}")),
                        "--replay-format", "timestamps", "--replay-length", "2s",
                        "--replay-interval", "1s", "--serve-dir", self.dir / "out", code=1)
        config = yaml.safe_load((self.dir / "out/machine-001.yaml").read_text())
        keys = {t["name"]: new_key() for t in config["tenants"]}
        for t in config["tenants"]:
            t["keys"] = [keys[t["name"]][1]]
        models = {m: synthetic(mean=s) for m, s in (("a", "20ms"), ("b", "10ms"))}
        with Server(models=models, tenants=config["tenants"], config={"lanes": 2}) as server:
            self.write("load", {"url": server.http, "duration": "2s", "warmup": "0s", "tenants": [
                {"name": n, "model": m, "api_key": keys[n][0], "arrival": "trace",
                 "trace": str(found[n]), "trace_format": "timestamps", "sla": t["sla"]}
                for n, m, t in (("t", "a", tenants[0]), ("u", "b", tenants[1]))]})
            done = run("load", "--file", self.dir / "load.yaml", "--json")
        self.assertIn(done.returncode, (0, 1), done.stderr)
        sent = {t["tenant"]: t for t in json.loads(done.stdout)["tenants"]}
        for t in r["tenants"]:
            self.assertEqual(sent[t["name"]]["scheduled"], t["requests"])
            self.assertGreater(t["refused"], 0)
        replayed = sum(t["in_time"] for t in r["tenants"])
        good = sum(round(t["goodput_rps"] * 2) for t in sent.values())
        self.assertLess(good, 1.25 * replayed)
        # How many a busy machine answers in time is another matter: nobody promises it here.
        self.assertGreater(good, 0.1 * replayed)

    def test_a_plan_without_replay_says_nothing_of_one(self):
        self.write("plan", {"prices": "prices.yaml", "profiles": "profiles.yaml",
                            "tenants": self.TENANTS})
        done = run("plan", self.dir / "plan.yaml", "--json", "--today", "2026-11-22")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("replay", json.loads(done.stdout))

    def test_refused(self):
        good = self.trace("good.txt", [1, 2, 3])
        nan = self.trace("nan.txt", [1])
        nan.write_text("1\n2\nnan\n")
        empty = self.trace("empty.txt", [])
        long = self.trace("long.txt", [0, 40 * 86400])
        plain = ("--replay-format", "timestamps")
        for args, code, *said in (
                (("--replay", self.dir / "none.csv"), 4, "none.csv"),
                (("--replay", good), None, "good.txt:1"),  # no format of Azure's
                (("--replay", nan, *plain), None, "nan.txt:3"),
                (("--replay", empty, *plain), None, "empty.txt"),
                (("--replay", long, *plain), None, "long.txt", "31 days"),
                (("--replay", self.dir, *plain), None, "regular file"),
                (("--replay", f"nobody={good}", *plain), 64, "no tenant nobody"),
                (("--replay", f"t={good}", "--replay", f"t={good}", *plain), 64,
                 "two traces for tenant t"),
                (("--replay", good, "--replay", "rates", *plain), 64, "only one"),
                (("--replay", good, "--replay", f"t={good}", "--replay", f"u={good}", *plain), 64,
                 "nobody gets"),
                (("--replay", good, *plain[:1], "azure-llm", "--replay-unit", "ms"), 64,
                 "--replay-unit"),
                (("--replay", "rates", "--replay-interval", "1s"), 64, "over 10000 intervals")):
            with self.subTest(args=args):
                self.write("plan", {"prices": "prices.yaml", "profiles": "profiles.yaml",
                                    "tenants": self.TENANTS})
                done = run("plan", self.dir / "plan.yaml", "--json", "--no-compare", *args)
                self.assertGreater(done.returncode, 1, done.stderr)
                if code:
                    self.assertEqual(done.returncode, code, done.stderr)
                self.assertEqual(done.stdout, "")
                for words in said:
                    self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
