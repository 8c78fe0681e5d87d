# timeout: 400
# sanitizers: no (it measures five models first; the parts are unit-tested under them)
"""`perseus plan --store`: figures from a store that was really measured, once for all tests, about
20 s. Its models are synthetic; that they are networks of the zoo is written into it afterwards, so that
there is something to predict from."""
import itertools
import json
import pathlib
import sqlite3
import tempfile
import unittest

import yaml

from support import campaigns, perseus

MODELS = {"squeezenet1_1": "4ms", "mobilenet_v1": "6ms", "mobilenet_v2": "5ms",
          "efficientnet_b0": "7ms", "resnet18": "15ms"}
FOUR = tuple(MODELS)[:4]
PAIR = FOUR[:2]


def campaign():
    return {"name": "small", "seed": 1,
            "models": [{"name": m, "file": f"{m}.synthetic.yaml"} for m in MODELS],
            "tenants": [{"name": m, "model": m, "demand": "20/s", "sla": "p95<=100ms"} for m in MODELS],
            # all pairs of four: what is learned without one of them is chosen by leaving out others
            "sets": [*({"name": f"{a}-{b}-pair", "tenants": [a, b]}
                       for a, b in itertools.combinations(FOUR, 2)),
                     {"name": "three", "tenants": [*PAIR, "mobilenet_v2"]}],
            "together": "none", "slice": {"cpus": "0"},
            "search": {"sets": "alone", "scale": "100ms", "steps": 2, "step": "200ms",
                       "warmup": "20ms", "checks": 1},
            "confirm": {"trials": 1, "duration": "400ms", "warmup": "20ms"},
            "profile": {"trials": 2, "users": 1, "batches": [1], "duration": "200ms",
                        "warmup": "20ms"}}


def price(name, vcpu, usd):
    return {"provider": "p", "region": "r", "instance_type": name, "vcpu": vcpu, "memory_gib": 8,
            "on_demand_usd_per_hour": usd, "source": "a test", "source_date": "2026-01-01"}


def tenant(name, model, **more):
    return {"name": name, "model": model, "rate": "5/s", "sla": "p99 <= 400ms", **more}


class Store(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        cls.db = cls.dir / "results.db"
        for name, mean in MODELS.items():
            (cls.dir / f"{name}.synthetic.yaml").write_text(
                yaml.safe_dump(perseus.synthetic(mean=mean)))
        (cls.dir / "c.yaml").write_text(yaml.safe_dump(campaign(), sort_keys=False))
        done = perseus.run("measure", cls.dir / "c.yaml", "--store", cls.db, "--workdir",
                           cls.dir / "work", timeout=300)
        if done.returncode not in (0, 1):
            raise AssertionError(done.stderr)
        db = sqlite3.connect(cls.db)
        # trials of a moment beside other tests may be INVALID, and would not be learned from
        db.execute("UPDATE trial SET valid = 1")
        db.execute("UPDATE result SET valid = 1, reasons = NULL")
        # nor may searches of a moment find anything: six tenths of what a lane can do
        for cell, key in db.execute("SELECT id, key FROM cell WHERE kind = 'search'").fetchall():
            most = 1000 / float(MODELS[key.split("/")[1]][:-2])
            db.execute("UPDATE cell SET state = 'done', reason = NULL,"
                       " server = coalesce(server, '{\"lanes\": 1}') WHERE id = ?", (cell,))
            db.execute("INSERT OR REPLACE INTO capacity (cell, factor, factor_low, factor_high,"
                       " checked, check_met) VALUES (?, ?, ?, ?, 1, 1)",
                       (cell, 0.6 * most, 0.55 * most, 0.65 * most))
            db.execute("INSERT OR IGNORE INTO capacity_ray (cell, position, rps) VALUES (?, 0, 1)",
                       (cell,))
        for id, text in db.execute("SELECT id, manifest FROM campaign").fetchall():
            manifest = json.loads(text)
            for run in manifest["runs"]:
                for model in run["models"]:
                    model.update(zoo=model["name"], zoo_seed=1, sha256=None, path=None)
            db.execute("UPDATE campaign SET manifest = ? WHERE id = ?", (json.dumps(manifest), id))
        db.commit()
        db.close()
        (cls.dir / "prices.yaml").write_text(yaml.safe_dump({"prices": [
            price("one", 1, 0.1), price("two", 2, 0.19)]}))

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def changed(self, *statements):
        """A copy of the store in which something was changed by hand."""
        return campaigns.changed(self.db, self.dir / f"{self.id()}.db", *statements)

    def without(self, *models):
        keys = " OR ".join(f"key LIKE '%{m}'" for m in models)
        return self.changed("UPDATE cell SET state = 'failed', reason = 'x', server = NULL"
                            f" WHERE {keys} OR key LIKE '%pair'")

    def run_plan(self, tenants, *args, db=None, **more):
        path = self.dir / "plan.yaml"
        path.write_text(yaml.safe_dump({"prices": "prices.yaml", "tenants": tenants, **more},
                                       sort_keys=False))
        return perseus.run("plan", path, "--store", db or self.db, "--today", "2026-11-22", *args)

    def plan(self, tenants, *args, db=None, **more):
        done = self.run_plan(tenants, "--json", *args, db=db, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def figures(self, found):
        """By tenant, of its first machine."""
        return {t["tenant"]: t["figures"]
                for m in found["placements"]["plan"]["machines"] for t in m["tenants"]}

    def test_measured(self):
        found = self.plan([tenant("a", "squeezenet1_1"), tenant("b", "mobilenet_v1")],
                          instance_types=["one"])
        figures = self.figures(found)
        for name, least in (("a", 4), ("b", 6)):
            service, memory = figures[name]["service"], figures[name]["memory"]
            capacity = figures[name]["capacity"]
            self.assertEqual((service["from"], memory["from"], capacity["from"]),
                             ("measured",) * 3)
            # sleeping takes no less than it says, and on a busy machine some more
            self.assertTrue(least <= service["mean_ms"] / capacity["service_times_longer_by"]
                            < 20 * least, service)
            self.assertGreaterEqual(service["high_ms"], service["mean_ms"])
            self.assertFalse(service["outside_measured_range"])
            self.assertGreater(memory["resident_bytes"], 0)
            self.assertGreater(capacity["rps"], 0)
            self.assertLessEqual(capacity["low_rps"], capacity["rps"])
        # a slice of this machine is not the type: that stays marked
        machine, = found["placements"]["plan"]["machines"]
        self.assertTrue(machine["tenants"][0]["extrapolated"])
        self.assertEqual({(p["model"], p["beside"]): p["from"] for p in found["beside"]},
                         {PAIR: "measured", PAIR[::-1]: "measured"})
        for p in found["beside"]:
            self.assertTrue(1 <= p["times_as_long"] <= p["high"])
        text = self.run_plan([tenant("a", "squeezenet1_1"), tenant("b", "mobilenet_v1")],
                             instance_types=["one"]).stdout
        for part in ("Where the figures are from", "service time measured (on 1 CPU, 2 trials",
                     "memory measured", "capacity measured (on 1 CPU)",
                     "2 of 2 pairs that share a machine were measured"):
            self.assertIn(part, text)
        self.assertNotIn("OUTSIDE", text)

    def test_a_replay_takes_as_long_as_the_set(self):
        """Beside the other one runs take as long as the 15 ms model's: so do the simulated ones."""
        db = self.changed(
            "UPDATE result SET server_compute = (SELECT r.server_compute FROM result r JOIN trial t"
            " ON t.id = r.trial JOIN cell c ON c.id = t.cell WHERE c.key LIKE '%resnet18'"
            " AND r.server_compute IS NOT NULL LIMIT 1) WHERE tenant_idx = 0 AND trial IN"
            " (SELECT t.id FROM trial t JOIN cell c ON c.id = t.cell"
            "  WHERE c.key LIKE '%squeezenet1_1-mobilenet_v1-pair')")
        found = self.plan([tenant("a", PAIR[0], sla="p99 <= 2s"),
                           tenant("b", PAIR[1], sla="p99 <= 2s")], "--replay", "rates",
                          "--replay-length", "2h", db=db, instance_types=["one"])
        machine, = found["placements"]["plan"]["machines"]
        longer = {p["model"]: p["times_as_long"] for p in found["beside"]}
        self.assertGreater(longer[PAIR[0]], 1.3)
        requests = {t["name"]: t["requests"] for t in found["replay"]["tenants"]}
        busy_s = sum(requests[t["tenant"]] * t["figures"]["service"]["mean_ms"] / 1e3
                     * longer[m] for t, m in zip(machine["tenants"], PAIR))
        self.assertEqual([t["tenant"] for t in machine["tenants"]], ["a", "b"])
        self.assertAlmostEqual(found["replay"]["machines"][0]["busy"] * 7200 / busy_s, 1,
                               delta=0.02)

    def test_pairs_that_were_not_measured(self):
        found = self.plan([tenant("a", "squeezenet1_1"), tenant("b", "resnet18")],
                          instance_types=["one"])
        self.assertEqual({p["from"] for p in found["beside"]}, {"predicted"})
        none = self.plan([tenant("a", "squeezenet1_1"), tenant("b", "resnet18")],
                         instance_types=["one"],
                         db=self.changed("UPDATE cell SET state = 'failed', reason = 'x'"
                                         " WHERE key LIKE '%pair'"))
        self.assertEqual(none["beside"], [])

    def test_the_capacity_that_was_measured_holds(self):
        """Half the rate carried: the formula must not carry more, and service times say so."""
        args = ([tenant("a", "squeezenet1_1")],)
        db = self.changed("UPDATE capacity SET factor = 20, factor_low = 16, factor_high = 24")
        found = self.plan(*args, db=db, instance_types=["one"])
        capacity = self.figures(found)["a"]["capacity"]
        self.assertEqual((capacity["rps"], capacity["lanes"]), (20, 1))
        self.assertGreater(capacity["service_times_longer_by"], 1.2)
        before = self.figures(self.plan(*args, instance_types=["one"]))["a"]["service"]
        self.assertGreater(self.figures(found)["a"]["service"]["mean_ms"], before["mean_ms"])

    def test_another_number_of_cpus_is_marked(self):
        found = self.plan([tenant("a", "squeezenet1_1")], instance_types=["two"])
        service = self.figures(found)["a"]["service"]
        self.assertEqual((service["from"], service["outside"]),
                         ("predicted", "CPUs 2 (measured on 1)"))
        self.assertTrue(service["outside_measured_range"])
        self.assertIn("OUTSIDE THE MEASURED RANGE: CPUs 2",
                      self.run_plan([tenant("a", "squeezenet1_1")], instance_types=["two"]).stdout)

    def test_a_model_that_was_not_measured(self):
        found = self.plan([tenant("a", "squeezenet1_1"), tenant("b", "mobilenet_v1")],
                          instance_types=["one"], db=self.without("mobilenet_v1"))
        figures = self.figures(found)
        self.assertEqual(figures["a"]["service"]["from"], "measured")
        service, memory = figures["b"]["service"], figures["b"]["memory"]
        self.assertEqual((service["from"], memory["from"]), ("predicted", "predicted"))
        capacity = figures["b"]["capacity"]
        self.assertEqual((capacity["from"], capacity["lanes"]), ("predicted", 1))
        self.assertTrue(0 < capacity["low_rps"] <= capacity["rps"])
        self.assertIn("4 models", service["how"])
        # four bound too little for 95 %: that is said, and the margin is the errors' own
        self.assertIn("too few for an interval", service["how"])
        self.assertGreater(service["high_ms"], service["mean_ms"])
        self.assertGreater(memory["resident_bytes"], 0)

    def test_the_file_gives_what_the_store_has_not(self):
        (self.dir / "profiles.yaml").write_text(yaml.safe_dump({"profiles": [
            {"model": m, "service": "30ms", "memory": "77MiB"} for m in ("mine", "squeezenet1_1")]}))
        found = self.plan([tenant("a", "squeezenet1_1"), tenant("b", "mine")],
                          "--profiles", self.dir / "profiles.yaml", instance_types=["one"])
        figures = self.figures(found)
        self.assertEqual(figures["a"]["service"]["from"], "measured")
        self.assertEqual((figures["b"]["service"]["from"], figures["b"]["memory"]["from"]),
                         ("given in the file",) * 2)
        self.assertEqual(figures["b"]["memory"]["resident_bytes"], 77 << 20)

    def test_missing(self):
        done = self.run_plan([tenant("a", "squeezenet1_1"), tenant("b", "nobody"),
                              tenant("c", "nobody")])
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertIn("1 model is neither measured nor can be predicted: nobody of b, c",
                      done.stderr)
        self.assertIn("--write-campaign", done.stderr)
        done = self.run_plan([tenant("a", "mobilenet_v1")], db=self.without(*FOUR))
        self.assertIn("mobilenet_v1 of a", done.stderr)
        self.assertIn("note: mobilenet_v1: the service time is known of 1 models, and 4 are needed",
                      done.stderr)
        path = self.dir / "plan.yaml"
        for option in ("--models", "--write-campaign"):
            done = perseus.run("plan", path, option, self.dir / "x")
            self.assertEqual(done.returncode, 64)
            self.assertIn("needs --store", done.stderr)
        done = self.run_plan([tenant("a", "squeezenet1_1")], db=self.dir / "none.db")
        self.assertIn("none.db", done.stderr)

    def manifest(self, change):
        """A copy of the store; `change` is given the manifest, and gives a second one or None."""
        path = self.changed()
        db = sqlite3.connect(path)
        text, = db.execute("SELECT manifest FROM campaign").fetchone()
        manifest = json.loads(text)
        last = change(manifest)
        db.execute("UPDATE campaign SET manifest = ?", (json.dumps(manifest),))
        if last:  # a later campaign in which nothing was measured
            names = [r[1] for r in db.execute("PRAGMA table_info(campaign)")]
            new = {"id": "1000", "uuid": "'later'", "manifest": "?"}
            db.execute(f"INSERT INTO campaign ({', '.join(names)})"
                       f" SELECT {', '.join(new.get(n, n) for n in names)} FROM campaign",
                       (json.dumps(last),))
        db.commit()
        db.close()
        return path

    def test_another_engine_is_another_measurement(self):
        def updated(manifest):
            first, = manifest["runs"]
            first["onnxruntime"] = {"sha256": "old"}
            return {"runs": [{**first, "onnxruntime": {"sha256": "new"}}]}

        def updated_between(manifest):
            first, = manifest["runs"]
            manifest["runs"] = [{**first, "onnxruntime": {"sha256": s}} for s in ("old", "new")]

        for change in (updated, updated_between):
            db = self.manifest(change)
            done = perseus.run("predict", db, "--validate", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(done.stdout)
            self.assertIn("known of 0 models", found["quantities"][0]["note"])
            self.assertIn("its engine was another library", "\n".join(found["notes"]))
            done = self.run_plan([tenant("a", "squeezenet1_1")], db=db)
            self.assertEqual(done.returncode, 4, done.stdout)
            self.assertIn("its engine was another library", done.stderr)
        # chosen by itself it counts
        found = json.loads(perseus.run("predict", self.manifest(updated), "--validate", "--json",
                                       "--campaign", "1", timeout=300).stdout)
        self.assertFalse([n for n in found["notes"] if not n.startswith("DAMAGED")])
        self.assertEqual(len(found["quantities"][0]["models"]), 5)
        # and each quantity has its error on models left out: capacity alone, too
        capacity, = (q for q in found["quantities"] if q["quantity"] == "capacity alone")
        self.assertEqual({m["model"] for m in capacity["models"]}, set(MODELS))
        self.assertGreater(capacity["error"], 0)
        self.assertIsNotNone(capacity["candidates"]["queueing"])

    def test_sets_of_three(self):
        found = json.loads(perseus.run("predict", self.db, "--validate", "--json",
                                       timeout=300).stdout)
        quantities = {q["quantity"]: q for q in found["quantities"]}
        for name in ("slowdown beside several", "p99 beside several"):
            q = quantities[name]
            self.assertEqual({m["model"] for m in q.get("models", [])}, {*PAIR, "mobilenet_v2"},
                             (q, quantities["slowdown beside a neighbour"]))
            self.assertGreater(q["error"], 0)
            for m in q["models"]:
                row, = m["rows"]
                self.assertEqual(row["at"]["neighbours"], 2)
                self.assertGreater(row["predicted"], 0)
        args = ["predict", self.db, self.zoo("squeezenet1_1"), "--rate", "20", "--confidence", "60%"]
        done = perseus.run(*args, "--json", "--beside", PAIR[1], "--beside-rate", "20/s", "--beside",
                           "mobilenet_v2", "--beside-rate", "20", timeout=300)
        self.assertEqual(done.returncode, 0, done.stderr)
        # another file than the measured one, as the store's models are synthetic
        slowdown, p99 = json.loads(done.stdout)["predictions"][1:]
        for p, least, unit in ((slowdown, 1, ""), (p99, 1e6, "ns")):
            self.assertIn("beside mobilenet_v1 at 20/s, mobilenet_v2 at 20/s", p["setting"])
            self.assertEqual((p["models"], p["unit"]), (4, unit))
            self.assertGreaterEqual(p["value"], least)
            self.assertIn("from its pairs", p["note"])
        for rates, said in ((("20",), "a --beside-rate for each"), (("20", "-1"), "no rate"),
                            (("20", "90/day"), "no rate")):
            more = [x for r in rates for x in ("--beside-rate", r)]
            done = perseus.run(*args, "--beside", PAIR[1], "--beside", "mobilenet_v2", *more)
            self.assertEqual(done.returncode, 64)
            self.assertIn(said, done.stderr)

    def zoo(self, name):
        if not (self.dir / f"{name}.onnx").exists():
            done = perseus.run("zoo", "write", "--dir", self.dir, name)
            self.assertEqual(done.returncode, 0, done.stderr)
        return self.dir / f"{name}.onnx"

    def test_profiles_of_several_users(self):
        several = campaign()
        several["profile"]["users"] = 4
        text = yaml.safe_dump(several, sort_keys=False).replace("'", "''")
        db = self.changed(f"UPDATE campaign SET file_text = '{text}'")
        found = json.loads(perseus.run("predict", db, "--validate", "--json").stdout)
        self.assertIn("known of 0 models", found["quantities"][0]["note"])
        self.assertIn("profiles of 4 users are not learned from", "\n".join(found["notes"]))

    def dry_run(self, path):
        done = perseus.run("measure", path, "--dry-run", "--store", self.dir / "new.db")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_the_campaign_that_is_missing(self):
        """Of a model that nobody measured: refused all the same, and written with all pairs."""
        out = self.dir / "missing.yaml"
        done = self.run_plan([tenant("a", "squeezenet1_1"), tenant("b", "lenet", rate="30/s"),
                              tenant("c", "lenet")], "--write-campaign", out)
        self.assertEqual(done.returncode, 4)
        self.assertIn("where the file of lenet is is not known", done.stderr)
        self.assertIn("--models DIR", done.stderr)
        self.assertFalse(out.exists())
        done = self.run_plan([tenant("a", "squeezenet1_1"), tenant("b", "gru_1024", rate="30/s"),
                              tenant("c", "gru_1024")], "--write-campaign", out,
                             instance_types=["one"])
        self.assertEqual((done.returncode, done.stdout), (4, ""))
        self.assertIn("gru_1024 of b, c", done.stderr)
        self.assertIn("wrote ", done.stderr)
        self.assertIn(f"perseus measure {out} --store", done.stderr)
        written = yaml.safe_load(out.read_text())
        self.assertEqual({m["name"]: m["zoo"] for m in written["models"]},
                         {"gru_1024": "gru_1024", "squeezenet1_1": "squeezenet1_1"})
        rates = {t["model"]: t["demand"] for t in written["tenants"]}
        self.assertEqual(rates["gru_1024"], "30/s")  # of the busiest tenant
        self.assertEqual(len(written["sets"]), 1)
        self.assertEqual(written["search"]["sets"], "alone")
        self.assertEqual(written["slice"], {"cpus": "0-0"})
        text = self.dry_run(out)
        for kind in ("search", "confirm", "profile", "operators"):
            self.assertRegex(text, rf"{kind} +[1-9]")

    def test_the_campaign_of_what_is_only_predicted(self):
        """There is a plan, and so only pairs that share a machine are asked for."""
        out = self.dir / "predicted.yaml"
        tenants = [tenant("a", "squeezenet1_1"), tenant("b", "resnet18")]
        done = self.run_plan(tenants, "--write-campaign", out, instance_types=["one"])
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("1 pair", done.stderr)
        written = yaml.safe_load(out.read_text())
        self.assertEqual(written["search"]["sets"], "none")
        self.assertNotIn("profile", written)
        self.assertEqual(written["slice"]["priced_as"], "p/one")
        self.assertRegex(self.dry_run(out), r"confirm +12 cells")
        # all of it is measured
        done = self.run_plan([tenant("a", PAIR[0]), tenant("b", PAIR[1])], "--write-campaign",
                             self.dir / "none.yaml", instance_types=["one"])
        self.assertIn("nothing is missing", done.stderr)
        self.assertFalse((self.dir / "none.yaml").exists())
        # on a type with another number of CPUs it is not
        done = self.run_plan([tenant("a", PAIR[0])], "--write-campaign", out,
                             instance_types=["two"])
        self.assertIn("profile", yaml.safe_load(out.read_text()))


if __name__ == "__main__":
    unittest.main()
