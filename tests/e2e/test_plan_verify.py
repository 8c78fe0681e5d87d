# timeout: 400
"""`perseus plan --verify`: a plan that holds, one that fails, one that cannot be measured here, and
one that is planned again until it holds. Models sleep, and limits are far from what they take: a
busy machine decides nothing here."""
import json
import os
import pathlib
import shutil
import sqlite3
import tempfile
import unittest

import yaml

from support.perseus import run, synthetic

HUGE = 900  # vCPUs that no machine of a test has


def price(name, vcpu, usd):
    return {"provider": "p", "region": "r", "instance_type": name, "vcpu": vcpu, "memory_gib": 1,
            "on_demand_usd_per_hour": usd, "source": "a test", "source_date": "2026-01-01"}


def tenant(name, **more):
    """Its limit is so wide that a generator late by a second is still in time to judge it."""
    return {"name": name, "model": "m", "rate": "40/s", "sla": "p50 <= 20s, success >= 80%", **more}


class Verify(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-verify-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.prices = [price("one", 1, 0.1)]

    def write(self, tenants, takes="5ms", said="5ms", error="1%"):
        """A model that takes this long and is said to take that long."""
        (self.dir / "m.synthetic.yaml").write_text(yaml.safe_dump(synthetic(mean=takes)))
        (self.dir / "prices.yaml").write_text(yaml.safe_dump({"prices": self.prices}))
        (self.dir / "profiles.yaml").write_text(yaml.safe_dump({"profiles": [
            {"model": "m", "path": "m.synthetic.yaml", "service": said, "error": error,
             "memory": "50MiB", "load_peak": "20MiB", "source": "a test"}]}))
        plan = self.dir / "plan.yaml"
        plan.write_text(yaml.safe_dump({
            "prices": "prices.yaml", "profiles": "profiles.yaml", "server_memory": "100MiB",
            "tenants": tenants}, sort_keys=False))
        return plan

    def verify(self, tenants, *args, text=False, **models):
        """(exit code, JSON or text)."""
        plan = self.write(tenants, **models)
        how = [] if text else ["--json"]
        done = run("plan", plan, *how, "--verify", "--verify-duration", "1s", "--verify-max", "75s",
                   "--workdir", self.dir / "work", *args, cwd=self.dir, timeout=300)
        self.said = done.stderr
        self.assertIn(done.returncode, (0, 1, 11), done.stderr)
        return done.returncode, done.stdout if text else json.loads(done.stdout)

    def test_holds(self):
        """Machines that are alike are measured once; the trials are kept, and not made again."""
        db = self.dir / "trials.db"
        args = ("--verify-store", db)
        code, found = self.verify([tenant("t", count=2), tenant("u", apart_from=["t"])],
                                  *args)
        proof = found["verification"]
        self.assertEqual((code, proof["verdict"]), (0, "holds"), proof)
        self.assertIn("The plan HOLDS", proof["sentence"])
        self.assertTrue(found["verdict"].endswith(" " + proof["sentence"]))  # what a report shows
        one, = proof["rounds"]
        self.assertEqual(one["corrections"], [])
        names = [n for m in one["measured"] for n in m["machines"]]
        self.assertEqual(sorted(names),
                         [m["name"] for m in found["placements"]["plan"]["machines"]])
        for m in one["measured"]:
            self.assertTrue(m["measured"])
            self.assertAlmostEqual(sum(t["usd_per_hour"] for t in m["tenants"]), 0.1)
            for t in m["tenants"]:
                self.assertEqual((t["verdict"], t["rps"], t["percentile"]), ("met", 40, 0.5))
                self.assertLessEqual(5, t["measured_ms"])
                self.assertLessEqual(t["measured_low_ms"], t["measured_ms"])
                self.assertLessEqual(t["foreseen_ms"], t["foreseen_high_ms"])
                self.assertEqual(t["foreseen_goodput_rps"], 20)  # a half of them in time, at least
                self.assertAlmostEqual(t["foreseen_usd_per_million_good"],
                                       t["usd_per_hour"] / (3600 * 20) * 1e6)
                self.assertAlmostEqual(t["usd_per_million_good"],
                                       t["usd_per_hour"] / (3600 * t["goodput_rps"]) * 1e6)
        with sqlite3.connect(db) as store:
            kept = store.execute("SELECT count(*) FROM trial").fetchone()[0]
            # the server had what the plan writes: agreements and weights
            config, = {p.read_text() for p in (self.dir / "work/config").glob("*.yaml")
                       if "weight:" in p.read_text() and "t-1" in p.read_text()}
        self.assertEqual(kept, sum(m["trials"] for m in one["measured"]))
        self.assertIn("sla: p50 <= 20", config)

    def test_taken_from_the_store_by_what_was_measured(self):
        """Whatever the machine costs and stands beside, it is the same load on the same model; what
        another build measured is measured again."""
        db = self.dir / "trials.db"

        def measured(*more):
            code, found = self.verify([tenant("t", rate="150/s", instance_types=["one"]), *more],
                                      "--verify-store", db, "--verify-resume", takes="2ms",
                                      said="2ms", error="50%")
            return {t["tenant"]: (m.get("earlier"), m.get("passed_over"))
                    for m in found["verification"]["rounds"][0]["measured"] for t in m["tenants"]}
        self.assertEqual(measured(), {"t": (False, None)})
        self.prices = [price("one", 1, 0.7), price("huge", HUGE, 9)]
        self.assertEqual(measured(tenant("u", instance_types=["huge"])),
                         {"t": (True, None), "u": (None, None)})
        with sqlite3.connect(db) as store:
            store.execute("UPDATE campaign SET manifest = json_set(manifest,"
                          " '$.runs[#-1].perseus.revision', 'another')")
        self.assertEqual(measured(), {"t": (False, "measured by another build of perseus")})

    def test_alike_ones_are_measured_once(self):
        """At the rates that the others have when one is gone, for which they were planned."""
        code, found = self.verify([tenant("t", replicas=3, rate="120/s", survive=True)])
        self.assertEqual(code, 0, found.get("verification"))
        m, = found["verification"]["rounds"][0]["measured"]
        self.assertEqual(m["machines"], ["machine-001", "machine-002", "machine-003"])
        self.assertIn("1 of its 3 machines", found["verification"]["sentence"])
        self.assertAlmostEqual(m["tenants"][0]["rps"], 60)

    def test_fails(self):
        """Half a second where 5 ms are planned, at 40/s on one lane: nobody is in time."""
        name = "t-with-a-name-of-thirty-and-more"
        code, said = self.verify([tenant(name, sla="p50 <= 1s, success >= 80%")],
                                 takes="500ms", text=True)
        self.assertEqual(code, 1)
        shown = said[said.index("Measured here:"):]
        self.assertIn(f'The plan FAILS: on machine 1 {name} broke "p50 <= 1',
                      " ".join(shown.split()))
        self.assertLessEqual(max(map(len, shown.splitlines())), 80)

    def test_what_does_not_fit_is_named(self):
        self.prices.append(price("huge", HUGE, 9))
        code, found = self.verify([tenant("t", instance_types=["one"]),
                                   tenant("big", instance_types=["huge"])])
        proof = found["verification"]
        self.assertEqual((code, proof["verdict"]), (11, "not shown"), proof)
        seen = {m["instance_type"]: m for m in proof["rounds"][0]["measured"]}
        self.assertTrue(seen["p/one"]["measured"])
        self.assertFalse(seen["p/huge"]["measured"])
        self.assertIn(f"it has {HUGE} vCPUs", seen["p/huge"]["why"])
        self.assertEqual(seen["p/huge"]["tenants"][0]["verdict"], "not measured")
        self.assertIn("was not measured", proof["sentence"])

    def test_rates_over_the_day(self):
        """Each tenant is measured in a stretch in which it sends."""
        def curve(name, rates):
            return {k: v for k, v in tenant(name, rates=rates).items() if k != "rate"}
        code, found = self.verify([curve("d", ["40/s", "0"]), curve("n", ["0", "30/s"])])
        self.assertEqual(code, 0, found["verification"])
        stretches = {m["stretch"]: {t["tenant"]: t["verdict"] for t in m["tenants"]}
                     for m in found["verification"]["rounds"][0]["measured"]}
        self.assertEqual(stretches, {1: {"d": "met", "n": "silent"},
                                     2: {"d": "silent", "n": "met"}})

    def test_refined_until_it_holds(self):
        """Five tenants want 3.4 times the lane that they were given together. What this plan learned the
        next one plans with, without measuring."""
        kept = self.dir / "fix.yaml"
        tenants = [tenant("t", count=5, rate="170/s", sla="p50 <= 500ms, success >= 60%")]
        code, found = self.verify(tenants, "--refine", "3", "--write-corrections", kept, takes="4ms",
                                  said="500us", error="60%")  # and so given room
        proof = found["verification"]
        self.assertEqual((code, proof["verdict"]), (0, "holds"), proof)
        first, last = proof["rounds"][0], proof["rounds"][-1]
        self.assertEqual((first["verdict"], first["machines"]), ("fails", 1))
        self.assertGreater(last["machines"], 2)
        self.assertEqual(found["machines"], last["machines"])  # what is printed is the last plan
        fix, = first["corrections"]
        self.assertEqual((fix["model"], fix["instance_type"]), ("m", "p/one"))
        self.assertGreater(fix["service_time_factor"], 7.9)
        for m in last["measured"]:
            for t in m["tenants"]:
                self.assertGreater(t["foreseen_high_ms"], 4)
        self.assertIn("corrections of 1 model are in", self.said)
        plan = self.dir / "plan.yaml"
        again = run("plan", plan, "--json", "--corrections", kept)
        self.assertEqual(again.returncode, 0, again.stderr)
        again = json.loads(again.stdout)
        self.assertEqual(again["machines"], found["machines"])
        self.assertEqual(again["corrections"], found["corrections"])
        text = run("plan", plan, "--corrections", kept).stdout
        self.assertIn("Service times corrected by what was measured of plans:\n  m on p/one: x ",
                      text)
        before = json.loads(run("plan", plan, "--json").stdout)
        self.assertLess(before["machines"], again["machines"])
        self.assertNotIn("corrections", before)
        plan.write_text(plan.read_text() + "corrections: fix.yaml\n")  # or the plan names it
        named = json.loads(run("plan", plan, "--json").stdout)
        self.assertEqual(named["machines"], again["machines"])

    def test_refined_with_a_store(self):
        """The store says how long a model takes; then the model becomes slower. What the measured plan
        shows goes before what the store has, and stays when it is written down."""
        self.write([], takes="500us")
        campaign = {"name": "m", "seed": 1, "models": [{"name": "m", "file": "m.synthetic.yaml"}],
                    "tenants": [{"name": "m", "model": "m", "demand": "20/s", "sla": "p95<=1s"}],
                    "together": "none", "slice": {"cpus": "0"}, "search": {"sets": "none"},
                    "confirm": {"trials": 0},
                    "profile": {"trials": 2, "users": 1, "batches": [1], "duration": "300ms",
                                "warmup": "20ms"}}
        (self.dir / "c.yaml").write_text(yaml.safe_dump(campaign, sort_keys=False))
        db, fix = self.dir / "r.db", self.dir / "fix.yaml"
        done = run("measure", self.dir / "c.yaml", "--store", db, "--workdir", self.dir / "w",
                   timeout=120)
        self.assertIn(done.returncode, (0, 1), done.stderr)
        with sqlite3.connect(db) as store:  # short trials on a busy machine may be INVALID
            store.execute("UPDATE trial SET valid = 1")
        (self.dir / "m.synthetic.yaml").write_text(yaml.safe_dump(synthetic(mean="4ms")))
        plan = self.dir / "plan.yaml"
        plan.write_text(yaml.safe_dump({
            "prices": "prices.yaml", "server_memory": "100MiB", "instance_types": ["one"],
            "tenants": [tenant("t", count=3, rate="150/s", sla="p50 <= 500ms, success >= 80%")]}))
        how = ("plan", plan, "--store", db, "--json")
        done = run(*how, "--verify", "--verify-duration", "1s", "--verify-max", "75s", "--refine",
                   "2", "--write-corrections", fix, "--workdir", self.dir / "work", cwd=self.dir,
                   timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr + done.stdout)
        found = json.loads(done.stdout)
        first, last = (found["verification"]["rounds"][i] for i in (0, -1))
        self.assertEqual((first["verdict"], first["machines"]), ("fails", 1))
        self.assertEqual((last["verdict"], last["machines"]), ("holds", 3))
        tenants = [t for m in found["placements"]["plan"]["machines"] for t in m["tenants"]]
        self.assertEqual({t["figures"]["service"]["from"] for t in tenants}, {"measured"})
        again = run(*how, "--corrections", fix)
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(json.loads(again.stdout)["machines"], 3)
        self.assertEqual(json.loads(run(*how).stdout)["machines"], 1)

    def test_refined_in_vain(self):
        """No machine is fast enough for what was measured."""
        code, found = self.verify([tenant("t", rate="10/s", sla="p50 <= 80ms, success >= 80%")],
                                  "--refine", "2", takes="300ms")
        self.assertEqual(code, 1)
        self.assertIn("there is no plan: tenant t", found["verification"]["sentence"])
        self.assertEqual(len(found["verification"]["rounds"]), 1)

    def test_refusals(self):
        path = self.dir / "m.synthetic.yaml"
        plan = self.write([tenant("t")])
        for args, code, part in ((("--verify-resume",), 64, "--verify-resume needs"),
                                 (("--verify-duration", "2m", "--verify-max", "1m"), 64,
                                  "longer than --verify-max"),
                                 (("--write-corrections", "x.yaml"), 64, "needs --refine"),
                                 (("--refine", "-1"), 64, "refine")):
            done = run("plan", plan, "--verify", *args, cwd=self.dir)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(part, done.stderr)
        path.unlink()
        done = run("plan", plan, "--verify", cwd=self.dir)
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("m.synthetic.yaml", done.stderr)


if __name__ == "__main__":
    unittest.main()
