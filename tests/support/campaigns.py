"""A folder with a campaign of two tenants on synthetic models, and the store that it fills."""
import os
import pathlib
import shutil
import sqlite3
import tempfile
import time
import unittest

import yaml

from support import perseus

SLA = "p95<=80ms,success>=99%"


def changed(db, path, *statements):
    """A copy of a store at `path`, in which something was changed by hand; returns `path`."""
    shutil.copy(db, path)
    copy = sqlite3.connect(path)
    for sql in statements:
        copy.execute(sql)
    copy.commit()
    copy.close()
    return path


def campaign(models, **more):
    """Two tenants of 3 and 5 ms; in all about 13 s. A stall of the machine that lasts for the whole
    closed loop fails its cell: 500 ms are longer than most."""
    c = {"name": "synthetic", "seed": 7, "models": models,
         "tenants": [{"name": "ta", "model": "a", "demand": "30/s", "sla": SLA},
                     {"name": "tb", "model": "b", "demand": "20/s", "sla": SLA}],
         "slice": {"cpus": "0"},
         "search": {"scale": "500ms", "steps": 2, "step": "300ms", "warmup": "20ms", "checks": 1},
         "confirm": {"trials": 2, "duration": "300ms", "warmup": "20ms"}}
    c.update(more)
    return c


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)
        self.db = self.dir / "results.db"
        for name, mean in (("a", "3ms"), ("b", "5ms")):
            self.model(name, mean=mean)

    def model(self, name, **keys):
        (self.dir / f"{name}.synthetic.yaml").write_text(yaml.safe_dump(perseus.synthetic(**keys)))

    def write(self, **more):
        models = [{"name": n, "file": f"{n}.synthetic.yaml"} for n in "ab"]
        path = self.dir / "c.yaml"
        path.write_text(yaml.safe_dump(campaign(models, **more), sort_keys=False))
        return path

    def args(self, path, *more):
        return ["measure", path, "--store", self.db, "--workdir", self.dir / "work", *more]

    def measure(self, path, *more):
        return perseus.run(*self.args(path, *more))

    def query(self, sql, *args):
        db = sqlite3.connect(self.db)
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def servers(self):
        """Processes of perseus serve with a configuration in our folder."""
        found = []
        for p in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                if str(self.dir / "work").encode() in p.read_bytes() and b"serve" in p.read_bytes():
                    found.append(p.parent.name)
            except OSError:
                pass
        return found

    def wait_gone(self):
        end = time.monotonic() + 10
        while self.servers() and time.monotonic() < end:
            os.sched_yield()
        self.assertEqual(self.servers(), [])
