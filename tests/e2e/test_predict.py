# timeout: 600
# sanitizers: no (it measures five networks first; the parts are unit-tested under them)
"""perseus predict on a store that was really measured: five small networks of the zoo and one pair of
them, once for all tests, about 30 s."""
import csv
import hashlib
import importlib.util
import itertools
import json
import os
import pathlib
import sqlite3
import subprocess
import sys
import tempfile
import unittest
import zlib

import yaml

from support import campaigns, perseus

MODELS = ("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "resnet18")

PAIR = ("--campaign", "2")  # without profiles nothing is learned, which is quicker


def campaign():
    return {"name": "profiles", "seed": 1,
            "models": [{"name": m, "zoo": m} for m in MODELS],
            "tenants": [{"name": m, "model": m, "demand": "1/s", "sla": "p95<=10s"} for m in MODELS],
            "together": "none", "slice": {"cpus": "0"}, "search": {"sets": "none"},
            "confirm": {"trials": 0},
            "profile": {"trials": 1, "users": 1, "batches": [1], "duration": "1s",
                        "warmup": "50ms"},
            "operators": {"runs": 4}}


def pair():
    """Two of them together: what a slowdown is learned from."""
    c = campaign()
    c["name"], c["sets"] = "pair", [{"name": "both", "tenants": list(MODELS[:2])}]
    c["models"], c["tenants"] = c["models"][:2], c["tenants"][:2]
    c["confirm"] = {"trials": 1, "duration": "1s", "warmup": "50ms"}
    for tenant in c["tenants"]:
        tenant["demand"] = "4/s"
    del c["profile"], c["operators"]
    return c


@perseus.needs_onnxruntime
class Predict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        cls.db = cls.dir / "results.db"
        for name, what in (("c", campaign()), ("pair", pair())):
            path = cls.dir / f"{name}.yaml"
            path.write_text(yaml.safe_dump(what, sort_keys=False))
            done = perseus.run("measure", path, "--store", cls.db, "--workdir", cls.dir / "work",
                               timeout=900)
            if done.returncode != 0:
                raise AssertionError(done.stderr)
        # trials of a second beside other tests may be INVALID, and would not be learned from
        db = sqlite3.connect(cls.db)
        db.execute("UPDATE trial SET valid = 1")
        db.execute("UPDATE result SET valid = 1, reasons = NULL")
        db.commit()
        db.close()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def predict(self, *args, db=None):
        return perseus.run("predict", db or self.db, *args, timeout=600)

    def zoo(self, name):
        if not (self.dir / f"{name}.onnx").exists():
            done = perseus.run("zoo", "write", "--dir", self.dir, name)
            self.assertEqual(done.returncode, 0, done.stderr)
        return self.dir / f"{name}.onnx"

    def changed(self, *statements):
        """A copy of the store in which something was changed by hand."""
        return campaigns.changed(self.db, self.dir / f"{self.id()}.db", *statements)

    def manifests(self, change):
        """A copy of the store; `change` is given every model of every manifest."""
        path = self.changed()
        db = sqlite3.connect(path)
        for id, text in db.execute("SELECT id, manifest FROM campaign").fetchall():
            manifest = json.loads(text)
            for run in manifest["runs"]:
                for model in run["models"]:
                    change(model)
            db.execute("UPDATE campaign SET manifest = ? WHERE id = ?", (json.dumps(manifest), id))
        db.commit()
        db.close()
        return path

    def on_two_cpus(self, *models):
        """A copy of the store in which these were measured so too, in just the same times."""
        path = self.changed()
        db = sqlite3.connect(path)
        db.row_factory = sqlite3.Row
        first, text = db.execute("SELECT id, file_text FROM campaign WHERE name = 'profiles'").fetchone()
        wide = yaml.safe_load(text)
        wide.update(slice={"cpus": "0-1"}, server={"width": "wide"})

        def copy(table, where, **changes):
            for row in db.execute(f"SELECT * FROM {table} WHERE {where}").fetchall():
                row = dict(row) | {k: v(row) if callable(v) else v for k, v in changes.items()}
                db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES"
                           f" ({', '.join('?' * len(row))})", list(row.values()))
        profiles = " OR ".join(f"key LIKE 'profile/%/{m}'" for m in models)
        copy("campaign", f"id = {first}", id=1000, uuid="wide", slice_cpus="0-1",
             file_text=yaml.safe_dump(wide))
        for table in ("tenant", "tenant_set", "set_member"):
            copy(table, f"campaign = {first}", campaign=1000)
        copy("cell", f"campaign = {first} AND ({profiles})", campaign=1000,
             id=lambda r: r["id"] + 1000)
        copy("trial", "cell + 1000 IN (SELECT id FROM cell)", id=lambda r: r["id"] + 1000,
             cell=lambda r: r["cell"] + 1000)
        copy("result", "trial + 1000 IN (SELECT id FROM trial)", id=lambda r: r["id"] + 1000,
             trial=lambda r: r["trial"] + 1000)
        db.commit()
        db.close()
        return path

    def unknown(self, name):
        """The network with an operator in it that nobody knows."""
        path = self.dir / f"unknown_{name}.onnx"
        content = self.zoo(name).read_bytes()
        self.assertIn(b"GlobalAveragePool", content)
        path.write_bytes(content.replace(b"GlobalAveragePool", b"GlobalUnheardPool"))
        return path

    def validate(self, db, *args):
        done = self.predict("--validate", "--json", *args, db=db)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        return {q["quantity"]: q for q in found["quantities"]}, "\n".join(found["notes"])

    def test_damaged_cells_are_named(self):
        _, notes = self.validate(self.changed(
            "UPDATE trial SET duration_ns = duration_ns + 1 WHERE cell = (SELECT min(id) FROM cell"
            " WHERE campaign = 2)"), *PAIR)
        with sqlite3.connect(self.db) as db:
            key, = db.execute("SELECT key FROM cell WHERE campaign = 2 ORDER BY id").fetchone()
        self.assertIn("DAMAGED: campaign pair (2): ", notes)
        self.assertIn(key, notes)
        self.assertIn("perseus store check", notes)

    def test_two_names_of_one_file_are_one_model(self):
        def twins(model):
            if model["name"] == "resnet18":
                model["sha256"] = hashlib.sha256(self.zoo("mobilenet_v1").read_bytes()).hexdigest()
        quantities, notes = self.validate(self.manifests(twins))
        self.assertEqual({m["model"] for m in quantities["service time"]["models"]},
                         set(MODELS) - {"resnet18"})
        self.assertIn("resnet18 is the same network as mobilenet_v1", notes)

    def test_a_file_with_another_content_is_not_learned_from(self):
        def written_again(model):
            if model["name"] == "resnet18":
                model["sha256"], model["zoo"] = 64 * "0", None
        quantities, notes = self.validate(self.manifests(written_again))
        self.assertEqual({m["model"] for m in quantities["service time"]["models"]},
                         set(MODELS) - {"resnet18"})
        self.assertIn("is not the file that was measured as resnet18", notes)

    def test_a_model_with_unknown_operators(self):
        path = self.unknown("resnet18")
        done = self.predict(path)
        self.assertNotEqual(done.returncode, 0)
        self.assertRegex(done.stderr, "of its .* operators are not known, the first is a "
                                      "GlobalUnheardPool")

        def measured(model):
            if model["name"] == "resnet18":
                model.update(path=str(path), zoo=None,
                             sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        quantities, notes = self.validate(self.manifests(measured))
        self.assertEqual({m["model"] for m in quantities["service time"]["models"]},
                         set(MODELS) - {"resnet18"})
        self.assertIn("resnet18 is not learned from", notes)

    def test_a_measured_model_that_cannot_be_read_refuses_nothing_else(self):
        path = self.dir / "broken.onnx"
        path.write_bytes(self.zoo("resnet18").read_bytes()[:5000])

        def broken(model):
            if model["name"] == "resnet18":
                model.update(path=str(path), zoo=None,
                             sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        quantities, notes = self.validate(self.manifests(broken))
        self.assertEqual(len(quantities["service time"]["models"]), 4)
        self.assertIn("resnet18 is not learned from", notes)

    def test_campaigns_of_two_machines(self):
        db = self.changed("UPDATE campaign SET manifest = json_set(manifest,"
                          " '$.runs[0].machine.processor.model', 'another')"
                          " WHERE name = 'pair'")
        done = self.predict(self.zoo("googlenet"), db=db)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("campaigns of two machines", done.stderr)
        self.assertIn("--campaign", done.stderr)

    def test_a_server_that_runs_elsewhere(self):
        remote = {k: v for k, v in campaign().items() if k not in ("slice", "operators")}
        remote["server"] = {"url": "http://127.0.0.1:1"}
        remote["models"] = [{"name": m} for m in MODELS]
        for tenant in remote["tenants"]:
            tenant["key_env"] = "KEY"
        text = yaml.safe_dump(remote, sort_keys=False).replace("'", "''")
        db = self.changed(f"UPDATE campaign SET file_text = '{text}', slice_cpus = NULL"
                          " WHERE name = 'profiles'")
        done = self.predict("--validate", db=db)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("campaign profiles is not learned from: its server runs elsewhere",
                      done.stdout)
        self.assertIn("known of 0 models", done.stdout)

    def test_requests_that_do_not_arrive_at_random(self):
        even = pair()
        even["tenants"][0].update(arrival="constant")
        text = yaml.safe_dump(even, sort_keys=False).replace("'", "''")
        _, notes = self.validate(
            self.changed(f"UPDATE campaign SET file_text = '{text}' WHERE name = 'pair'"), *PAIR)
        self.assertIn("squeezenet1_1 are not learned from: its requests do not arrive", notes)

    def test_pairs_that_are_left_out(self):
        """Requests without answers, which are the worst of all; loads under which no queue settles."""
        nobody = bytes([0, 0, 0, 100]) + bytes(2 + 16 + 1)  # a hundred were lost, none is known
        nobody = b"PSH1" + zlib.crc32(nobody).to_bytes(4, "little") + nobody
        _, notes = self.validate(self.changed(
            f"UPDATE result SET latency = X'{nobody.hex()}' WHERE tenant_idx = 0 AND trial IN"
            " (SELECT trial.id FROM trial JOIN cell ON cell.id = cell"
            "  WHERE key LIKE 'confirm/%both')"), *PAIR)
        self.assertIn("slowdown and p99 of squeezenet1_1 beside mobilenet_v1 are not learned from",
                      notes)
        quantities, _ = self.validate(self.changed(
            "UPDATE tenant SET demand_rps = 5000 WHERE campaign ="
            " (SELECT id FROM campaign WHERE name = 'pair')"))
        note = quantities["p99 beside a neighbour"]["note"]
        self.assertIn("known of 0 models", note)
        self.assertIn("2 measured under loads of 1 and more", note)

    def test_requests_that_were_not_kept(self):
        """Then what the arrivals happened to be counts as error, and it is said."""
        _, notes = self.validate(self.db, *PAIR)
        self.assertNotIn("not every request", notes)
        for how in ("records_dropped = 1", "records = scheduled - 1", "records = 0"):
            with self.subTest(how):
                _, notes = self.validate(self.changed(f"UPDATE result SET {how} WHERE tenant_idx = 0"),
                                         *PAIR)
                self.assertIn("campaign pair: not every request of its sets is in the store", notes)

    def test_three_models_on_another_slice(self):
        """No error and no interval from three; but what lies beyond them is marked."""
        db = self.on_two_cpus("squeezenet1_1", "mobilenet_v1", "mobilenet_v2")
        done = self.predict(self.zoo("resnet18"), "--cpus", "2", "--threads", "2", "--json", db=db)
        self.assertEqual(done.returncode, 0, done.stderr)
        p, = (p for p in json.loads(done.stdout)["predictions"]
              if p["quantity"] == "service time on another slice")
        self.assertEqual(p["models"], 3)
        self.assertIn("from three models", p["note"])
        self.assertTrue(p["extrapolated"])
        self.assertIn("service time on the first slice", [b["what"] for b in p["beyond"]])

    def test_validate(self):
        done = self.predict("--validate", "--json", "--csv", self.dir / "v.csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(done.stdout)
        quantities = {q["quantity"]: q for q in found["quantities"]}
        # trials that the set-up declared valid are not what was written
        self.assertFalse([n for n in found["notes"] if not n.startswith("DAMAGED")])
        self.assertIn("known of 2 models", quantities["slowdown beside a neighbour"]["note"])
        service = quantities["service time"]
        self.assertEqual({m["model"] for m in service["models"]}, set(MODELS))
        self.assertGreater(service["error"], 0)
        for name in ("linear", "robust linear", "support vectors", "operators", "physical",
                     "median of three"):
            self.assertIn(name, service["candidates"])
        self.assertIsNotNone(service["candidates"]["operators"])
        self.assertIsNotNone(service["candidates"]["physical"])
        # what was not measured says so, and the rest is shown all the same
        self.assertIn("0 models", quantities["capacity alone"]["note"])
        with open(self.dir / "v.csv", newline="") as f:
            rows = list(csv.DictReader(f))
        self.assertEqual({r["left_out"] for r in rows}, set(MODELS))
        for r in rows:
            self.assertGreater(float(r["measured"]), 0)
        text = self.predict("--validate").stdout
        self.assertIn("model left out", text)

    def test_the_script_that_writes_the_tables(self):
        script = pathlib.Path(os.environ["PS_SOURCE_DIR"]) / "scripts/prediction-tables"
        page = self.dir / "page.md"
        page.write_text("before\n<!-- prediction tables: begin -->\nold\n"
                        "<!-- prediction tables: end -->\nafter\n")
        for _ in range(2):  # the second time over the first
            done = subprocess.run([script, self.db, "--into", page], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
        text = page.read_text()
        self.assertTrue(text.startswith("before\n<!--") and text.endswith("end -->\nafter\n"))
        self.assertNotIn("old", text)
        self.assertEqual(text.count("Measured on: "), 1)
        for model in MODELS:
            self.assertIn(f"| {model} | ", text)
        page.write_text("no marks")
        done = subprocess.run([script, self.db, "--into", page], capture_output=True, text=True)
        self.assertEqual((done.returncode, page.read_text()), (1, "no marks"))

    def test_a_model_that_was_not_measured(self):
        done = self.predict(self.zoo("googlenet"), "--json", "--csv", self.dir / "p.csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        p, = json.loads(done.stdout)["predictions"]
        self.assertEqual((p["model"], p["quantity"], p["models"]), ("googlenet", "service time", 5))
        # 1.5 G multiply-accumulates: no machine that runs this does it in 2 ms, or takes 2 s
        self.assertTrue(2e6 < p["value"] < 2e9, p)
        self.assertIsNone(p["measured"])
        # five models bound 83 % and no more
        self.assertIsNone(p["low"])
        self.assertEqual(p["needs_models"], 4)
        with open(self.dir / "p.csv", newline="") as f:
            row, = csv.DictReader(f)
        self.assertEqual((row["model"], row["low"]), ("googlenet", ""))
        p, = json.loads(self.predict(self.zoo("googlenet"), "--confidence", "80%",
                                     "--json").stdout)["predictions"]
        self.assertTrue(p["low"] <= p["value"] <= p["high"])
        self.assertAlmostEqual(p["guaranteed"], 0.6)

    def test_a_model_that_was_measured_is_left_out(self):
        done = self.predict(self.zoo("mobilenet_v2"), "--json")
        p, = json.loads(done.stdout)["predictions"]
        self.assertEqual((p["model"], p["models"]), ("mobilenet_v2", 4))
        self.assertGreater(p["measured"], 0)
        self.assertIn("measured", self.predict(self.zoo("mobilenet_v2")).stdout)

    def test_beyond_the_measured_range(self):
        done = self.predict(self.zoo("googlenet"), "--batch", "64", "--json")
        p, = json.loads(done.stdout)["predictions"]
        self.assertTrue(p["extrapolated"])
        beyond = {b["what"]: b for b in p["beyond"]}
        self.assertEqual(beyond["batch"]["value"], 64)
        self.assertEqual(beyond["batch"]["measured_to"], 1)
        self.assertIn("EXTRAPOLATED: batch 64",
                      self.predict(self.zoo("googlenet"), "--batch", "64").stdout)

    def test_too_little_names_the_campaign(self):
        db = self.changed("UPDATE cell SET state = 'failed', reason = 'x' WHERE key LIKE 'profile/%'"
                          " AND key NOT LIKE '%squeezenet1_1'")
        done = self.predict(self.zoo("googlenet"), db=db)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("known of 1 models", done.stderr)
        self.assertIn("--write-campaign", done.stderr)
        more = self.dir / "more.yaml"
        done = self.predict(self.zoo("googlenet"), "--write-campaign", more, db=db)
        self.assertEqual(done.returncode, 0, done.stderr)
        names = [m["name"] for m in yaml.safe_load(more.read_text())["models"]]
        self.assertIn("googlenet", names)
        self.assertIn("resnet18", names)
        self.assertNotIn("squeezenet1_1", names)
        # weights as in the store: the same name is the same file
        self.assertEqual(yaml.safe_load(more.read_text())["seed"], 1)
        plan = perseus.run("measure", more, "--dry-run", "--store", self.dir / "new.db")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertRegex(plan.stdout, rf"profile +{4 * len(names)} cells")
        self.assertRegex(plan.stdout, rf"operators +{len(names)} cells")

    def test_the_campaign_that_is_missing(self):
        """One that is known but was not measured so; files of one name; half a CPU."""
        (self.dir / "a").mkdir()
        (self.dir / "a/resnet18.onnx").write_bytes(self.unknown("resnet18").read_bytes())
        more = self.dir / "batch8.yaml"
        done = perseus.run("predict", self.db, self.zoo("resnet18"), self.dir / "a/resnet18.onnx",
                           "--batch", "8", "--cpus", "0.5", "--write-campaign", more)
        self.assertEqual(done.returncode, 0, done.stderr)
        written = yaml.safe_load(more.read_text())
        files = {m["name"]: m.get("file", "") for m in written["models"]}
        self.assertEqual(files["resnet18"], str(self.zoo("resnet18").resolve()))
        self.assertEqual(files["resnet18_2"], str((self.dir / "a/resnet18.onnx").resolve()))
        self.assertEqual(written["profile"]["batches"], [1, 8])
        self.assertEqual(written["slice"]["cpu_quota"], 0.5)
        many = []
        for k in range(17):
            many.append(self.dir / f"many{k}.onnx")
            many[-1].write_bytes(b"model %d" % k)
        done = self.predict(*many, "--write-campaign", more)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("17 models in one campaign: at most 16", done.stderr)

    def test_no_number_in_the_store(self):
        db = self.changed("UPDATE figure SET value = NULL WHERE name = 'node_time' AND cell IN"
                          " (SELECT id FROM cell WHERE key = 'operators/0/resnet18')")
        done = self.predict("--validate", db=db)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("nan", done.stderr)
        self.assertIn("cell operators/0/resnet18", done.stderr)

    def test_questions_that_make_no_sense(self):
        for args, said in (
                ((), "a model to predict is missing"),
                (("--validate", self.zoo("googlenet")), "not at files"),
                ((self.zoo("googlenet"), "--beside", "resnet18"), "--beside-rate"),
                ((self.zoo("googlenet"), "--rate", "3"), "--beside"),
                ((self.zoo("googlenet"), "--beside", "nobody", "--rate", "1", "--beside-rate", "1"),
                 "no model nobody"),
                ((self.zoo("googlenet"), "--confidence", "100%"), "--confidence"),
                ((self.dir / "none.onnx",), "none.onnx"),
                ((self.dir / "c.yaml",), "c.yaml"),
        ):
            done = self.predict(*args)
            with self.subTest(args=[str(a) for a in args]):
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(said, done.stderr)
                self.assertEqual(done.stdout, "")

    def test_the_server_does_not_load_the_libraries(self):
        maps = subprocess.run(["ldd", perseus.PERSEUS], capture_output=True, text=True).stdout
        self.assertNotIn("liblapacke", maps)
        self.assertNotIn("libsvm", maps)


class Verdicts(unittest.TestCase):
    """Of the figure in bench/: what noise hides is undecided, what cannot be said is missed."""

    @classmethod
    def setUpClass(cls):
        bench = pathlib.Path(os.environ["PS_SOURCE_DIR"]) / "bench"
        sys.path.insert(0, str(bench))
        spec = importlib.util.spec_from_file_location("predict_zoo", bench / "predict-zoo.py")
        cls.figure = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(cls.figure)

    def test_what_is_known_of_a_miss(self):
        from lib import predicted

        def model(name, rows, noise=None):
            rows = [{"at": {"batch": b}, "of": name, "measured": m, "predicted": p} for b, m, p in rows]
            return {"model": name, "noise": noise, "rows": rows, "candidate": "linear",
                    "error": sum(abs(r["predicted"] / r["measured"] - 1) for r in rows) / len(rows)}
        models = [model("small", [(1, 10, 12), (4, 40, 44)]),
                  model("middle", [(1, 20, 25), (4, 60, 50)], noise=0.11),
                  model("large", [(1, 30, 20), (4, 90, 80)], noise=0.01)]
        self.assertEqual([predicted.reasons(m, models, "ns") for m in models],
                         ["too high; the smallest of all",
                          "too high in 1 of 2 rows; its own measurements scatter by 11.0 %",
                          "too low; the largest of all"])
        pair = [{"at": {}, "of": "a", "beside": "b", "measured": 2, "predicted": 3},
                {"at": {}, "of": "b", "beside": "a", "measured": 2, "predicted": 2.1}]
        self.assertIn("worst: a beside b, 2 measured, 3 predicted",
                      predicted.reasons({"model": "a", "noise": None, "error": 0.3, "rows": pair}, [], ""))
        q = {"quantity": "service time", "setting": "", "unit": "ns", "goal": 0.2, "note": None,
             "error": 0.19, "noise": None, "candidates": {"linear": 0.2, "physical": None},
             "models": models}
        made = predicted.tables([q], "a machine")
        self.assertIn("| service time | 19.0 % | not known | 20.0 % | linear 20.0 % |", made)
        self.assertIn("| small | 15.0 % | not known | linear |  |", made)
        self.assertIn("| large | 22.2 % | 1.0 % | linear | too low; the largest of all |", made)

    def test_sets_of_three_are_balanced(self):
        together = {}
        for models in self.figure.TRIPLES:
            self.assertEqual(len(set(models)), 3)
            for pair in itertools.combinations(sorted(models), 2):
                together[pair] = together.get(pair, 0) + 1
        self.assertEqual(len(together), 15, "each two of six meet")
        self.assertLessEqual(max(together.values()), 2)

    def test_how_often_intervals_hold(self):
        # the score interval, at 1.96
        for held, n, low, high in ((12, 12, 0.7575, 1), (11, 12, 0.6461, 0.9851), (6, 12, 0.2538, 0.7462)):
            with self.subTest(held=held):
                got = self.figure.wilson(held, n)
                self.assertAlmostEqual(got[0], low, 3)
                self.assertAlmostEqual(got[1], high, 3)

    def test_table(self):
        figure = self.figure
        small, large, mixed = [0.05] * 5, [0.3] * 5, [0.01, 0.3, 0.02, 0.05]
        for error, errors, noise, want in (
                (0.05, small, 0.03, "met"),
                (0.3, large, 0.03, "missed"),
                (0.1, mixed, 0.03, "undecided"),
                (0.05, small, 0.04, "undecided"),
                (0.3, large, 0.04, "undecided"),
                (0.05, small, None, "undecided"),
                (None, [0.05, None, 0.05, 0.05], 0.01, "missed"),
                (None, [], 0.01, "missed"),
                (0.05, small[:3], 0.03, "undecided"),
        ):
            with self.subTest(errors=errors, noise=noise):
                self.assertEqual(figure.judged(error, errors, 0.1, noise)[2], want)


if __name__ == "__main__":
    unittest.main()
