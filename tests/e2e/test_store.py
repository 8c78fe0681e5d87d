"""perseus store: merged twice is merged once, a flipped bit is named, exports say what they mean."""
# timeout: 120
import csv
import fcntl
import json
import os
import pathlib
import resource
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

from support.perseus import run

MAKE = os.path.join(os.environ["PS_BUILD_DIR"], "tests/unit/unit_report_report")
DOCS = pathlib.Path(os.environ["PS_SOURCE_DIR"]) / "docs/store.md"


class Store(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.made = os.path.join(cls.folder.name, "made.db")
        subprocess.run([MAKE, "--write", cls.made], check=True)

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(dir=self.folder.name))
        self.db = self.dir / "results.db"
        shutil.copy(self.made, self.db)

    def ok(self, *args):
        r = run("store", *args)
        self.assertEqual(r.returncode, 0, r.stderr)
        return r.stdout

    def dump(self, path):
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return list(db.iterdump())

    def test_merge_twice(self):
        out = self.dir / "all.db"
        self.ok("merge", self.db, "-o", out)
        first = self.dump(out)
        said = self.ok("merge", self.db, out, self.db, "-o", out)
        self.assertIn("0 campaigns and 0 cells are new", said)
        self.assertEqual(self.dump(out), first)
        self.assertIn("all as written", self.ok("check", out))
        # the same answer from both
        a, b = (run("report", p, "--json").stdout for p in (self.db, out))
        self.assertEqual(a, b)

    def test_flipped_value_is_named(self):
        self.assertIn("all as written", self.ok("check", self.db))
        with sqlite3.connect(self.db) as db:
            trial, cell, number = db.execute(
                "SELECT trial.id, cell.key, trial.number FROM trial JOIN cell ON cell.id = trial.cell"
                " ORDER BY trial.id DESC LIMIT 1").fetchone()
            db.execute("UPDATE result SET ok = ok - 1, good = 0 WHERE trial = ?", (trial,))
        r = run("store", "check", self.db)
        self.assertEqual(r.returncode, 1)
        self.assertIn(f"cell {cell}, trial {number}: its content is not what was written", r.stdout)
        self.assertIn(": 1 findings", r.stdout)
        said = [w for w in json.loads(run("report", self.db, "--json").stdout)["warnings"]
                if w.startswith("DAMAGED")]
        self.assertEqual(len(said), 1, said)
        self.assertIn(f"cell {cell} is not what was written", said[0])
        out = self.dir / "all.db"
        r = run("store", "merge", self.db, "-o", out)
        self.assertNotEqual(r.returncode, 0)
        self.assertIn(cell, r.stderr)
        self.assertFalse(out.exists())

    def test_broken_file(self):
        data = bytearray(self.db.read_bytes())
        data[:16] = b"not a database!!"
        self.db.write_bytes(data)
        r = run("store", "check", self.db)
        self.assertGreater(r.returncode, 1)
        self.assertIn(str(self.db), r.stderr)

    def test_export(self):
        out = self.dir / "csv"
        self.ok("export", self.db, "-o", out, "--requests")
        docs = DOCS.read_text()
        rows = {}
        for path in sorted(out.iterdir()):
            with open(path, newline="") as f:
                table = list(csv.DictReader(f))
            rows[path.name] = table
            with open(path, newline="") as f:
                header = f.readline().rstrip("\r\n").split(",")
            for column in header:
                self.assertIn(f"| `{column}` |", docs, path.name)
        with sqlite3.connect(self.db) as db:
            for table, name in (("campaign", "campaigns"), ("cell", "cells"), ("trial", "trials"),
                                ("result", "results"), ("second", "seconds"), ("sample", "samples")):
                n, = db.execute(f"SELECT count(*) FROM {table}").fetchone()
                self.assertEqual(len(rows[f"{name}.csv"]), n, name)
            n, = db.execute("SELECT sum(records) FROM result").fetchone()
            self.assertEqual(len(rows["requests.csv"]), n or 0)
        self.assertTrue(all(r["latency_p99_ns"] == "" or int(r["latency_p99_ns"]) > 0 for r in rows["results.csv"]))
        self.assertFalse(list(out.glob(".*")))

    def test_docs_have_the_columns(self):
        self.assertIn(self.ok("columns").strip(), DOCS.read_text())

    def test_locked(self):
        with open(self.db, "r+") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            r = run("store", "merge", self.made, "-o", self.db)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("another perseus is writing to this store", r.stderr)
            self.assertIn("all as written", self.ok("check", self.db))  # readers may read

    def test_a_limit_on_the_size_of_files(self):
        """`ulimit -f`: an error that names the file, not the end of the program without a word."""
        def limited():
            resource.setrlimit(resource.RLIMIT_FSIZE, (51200, 51200))

        out = self.dir / "all.db"
        r = run("store", "merge", self.db, "-o", out, preexec_fn=limited)
        self.assertGreater(r.returncode, 1, r.stderr)
        self.assertIn(str(out), r.stderr)
        self.assertIn("ulimit -f", r.stderr)
        self.assertFalse(out.exists())
        r = run("store", "export", self.db, "-o", self.dir / "csv", "--requests",
                preexec_fn=limited)
        self.assertGreaterEqual(r.returncode, 0, r.stderr)  # no signal ended it
        self.assertIn("all as written", self.ok("check", self.db))

    def test_full_and_read_only_disks(self):
        small = self.dir / "small"
        small.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", small], capture_output=True)
        if made.returncode != 0:
            self.skipTest("no right to mount a small disk here")
        try:
            out = small / "all.db"
            r = run("store", "merge", self.db, "-o", out)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("full", r.stderr)
            self.assertFalse(out.exists())
            r = run("store", "export", self.db, "-o", small / "csv", "--requests")
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("No space left on device", r.stderr)
            for part in (small / "csv").glob(".*"):
                self.fail(f"{part} was left")
            shutil.rmtree(small / "csv")
            subprocess.run(["mount", "-o", "remount,size=8m", small], check=True)
            shutil.copy(self.db, out)
            subprocess.run(["mount", "-o", "remount,ro", small], check=True)
            self.assertIn("all as written", self.ok("check", out))
            r = run("store", "merge", self.made, "-o", out)
            self.assertNotEqual(r.returncode, 0)
            self.assertIn("Read-only file system", r.stderr)
            self.assertIn(str(out), r.stderr)
        finally:
            subprocess.run(["umount", small], check=True)


if __name__ == "__main__":
    unittest.main()
