# timeout: 600
# sanitizers: no (it measures five networks first; the parts are unit-tested under them)
"""perseus predict on a store that was really measured: five small networks of the zoo, once for all
tests, about 20 s."""
import csv
import json
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

import yaml

from support import perseus

MODELS = ("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "efficientnet_b0", "resnet18")


def campaign():
    return {"name": "profiles", "seed": 1,
            "models": [{"name": m, "zoo": m} for m in MODELS],
            "tenants": [{"name": m, "model": m, "demand": "1/s", "sla": "p95<=10s"} for m in MODELS],
            "together": "none", "slice": {"cpus": "0"}, "search": {"sets": "none"},
            "confirm": {"trials": 0},
            "profile": {"trials": 1, "users": 1, "batches": [1], "duration": "1s",
                        "warmup": "50ms"},
            "operators": {"runs": 4}}


@perseus.needs_onnxruntime
class Predict(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.dir = pathlib.Path(cls.folder.name)
        cls.db = cls.dir / "results.db"
        (cls.dir / "c.yaml").write_text(yaml.safe_dump(campaign(), sort_keys=False))
        done = perseus.run("measure", cls.dir / "c.yaml", "--store", cls.db, "--workdir",
                           cls.dir / "work", timeout=900)
        if done.returncode != 0:
            raise AssertionError(done.stderr)
        # trials of a second beside other tests may be INVALID, and would not be learned from
        db = sqlite3.connect(cls.db)
        db.execute("UPDATE trial SET valid = 1")
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
        path = self.dir / f"{self.id()}.db"
        shutil.copy(self.db, path)
        db = sqlite3.connect(path)
        for sql in statements:
            db.execute(sql)
        db.commit()
        db.close()
        return path

    def test_validate(self):
        done = self.predict("--validate", "--json", "--csv", self.dir / "v.csv")
        self.assertEqual(done.returncode, 0, done.stderr)
        quantities = {q["quantity"]: q for q in json.loads(done.stdout)["quantities"]}
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
        plan = perseus.run("measure", more, "--dry-run", "--store", self.dir / "new.db")
        self.assertEqual(plan.returncode, 0, plan.stderr)
        self.assertRegex(plan.stdout, rf"profile +{4 * len(names)} cells")
        self.assertRegex(plan.stdout, rf"operators +{len(names)} cells")

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


if __name__ == "__main__":
    unittest.main()
