"""perseus measure: what the manifest says about how a campaign was run."""
# timeout: 120
import hashlib
import json
import os
import pathlib
import sqlite3
import tempfile
import unittest

import yaml

from support import perseus


class Manifest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        self.db, self.work = self.dir / "results.db", self.dir / "work"

    def runs(self, model, *more, **keys):
        """Measures one tenant, alone; the manifest's runs."""
        path = self.dir / "c.yaml"
        path.write_text(yaml.safe_dump({
            "name": "manifest", "models": [{"name": "a", **model}],
            "tenants": [{"name": "t", "model": "a", "demand": "30/s",
                         "sla": "p95<=500ms,success>=90%"}],
            "slice": {"cpus": "0"},
            "search": {"scale": "200ms", "steps": 2, "step": "300ms", "warmup": "20ms",
                       "checks": 1},
            "confirm": {"trials": 1, "duration": "300ms", "warmup": "20ms"}, **keys}))
        done = perseus.run("measure", path, "--store", self.db, "--workdir", self.work, "--quiet",
                           *more)
        self.assertEqual(done.returncode, 0, done.stderr)
        db = sqlite3.connect(self.db)
        (text,), = db.execute("SELECT manifest FROM campaign")
        db.close()
        return json.loads(text)["runs"]

    def test_synthetic_models_load_no_library(self):
        (self.dir / "a.synthetic.yaml").write_text(yaml.safe_dump(perseus.synthetic()))
        model = {"file": "a.synthetic.yaml"}
        run, = self.runs(model)
        self.assertEqual(run["options"], {
            "program": os.path.realpath(perseus.PERSEUS), "campaign": str(self.dir / "c.yaml"),
            "store": str(self.db), "workdir": str(self.work), "resume": False,
            "changed": None})
        self.assertNotIn("onnxruntime", run)
        before, again = self.runs(model, "--resume")
        self.assertEqual(before, run)
        self.assertTrue(again["options"]["resume"])

    @perseus.needs_onnxruntime
    def test_the_library_that_was_loaded(self):
        data = pathlib.Path(perseus.ORT_LIBRARY).read_bytes()
        other = self.dir / "another-libonnxruntime.so"
        other.write_bytes(data)
        for library, more in ((os.path.realpath(perseus.ORT_LIBRARY), {}),
                              (str(other), {"server": {"library": str(other)}})):
            with self.subTest(library):
                self.db.unlink(missing_ok=True)
                run, = self.runs({"zoo": "lstm_256"}, **more)
                self.assertEqual(run["onnxruntime"], {
                    "path": library, "bytes": len(data),
                    "sha256": hashlib.sha256(data).hexdigest()})


if __name__ == "__main__":
    unittest.main()
