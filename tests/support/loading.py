"""perseus load as tests call it, one tenant at a time."""
import json
import os
import pathlib
import tempfile
import unittest

from support.perseus import run, synthetic, tensor

ECHO = synthetic(inputs=[tensor("x", shape=(-1, 16))], outputs=[tensor("y", shape=(-1, 16))],
                 mean="0ms", echo=True)
QUICK = ("--rate", 200, "--duration", "0.25s", "--warmup", "0s")


def load(*args, env=None):
    """(exit code, first tenant, stderr)"""
    done = run("load", "--json", *args, env={**os.environ, **(env or {})})
    whole = json.loads(done.stdout) if done.stdout else {"tenants": [None]}
    return done.returncode, whole["tenants"][0], done.stderr


class Temporary(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))

    def all_ok(self, *args, **more):
        code, t, stderr = load(*args, **more)
        self.assertIsNotNone(t, stderr)
        self.assertIn(code, (0, 1), stderr)
        self.assertEqual({k: v for k, v in t["outcomes"].items() if v}, {"ok": t["scheduled"]},
                         f"{args} {t['first_failure']}")
        self.assertGreater(t["scheduled"], 0)
        self.assertIsNone(t["metadata_changed"])
        return t

    def refused(self, *args):
        code, t, stderr = load(*args)
        self.assertIsNone(t, args)
        self.assertGreater(code, 1)
        return stderr
