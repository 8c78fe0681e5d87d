# timeout: 120
# threads: yes
"""Tenants begin and cease to share while requests are under way: none of them fails, because an
instance is ready before requests are sent to it, and goes after the last one that was."""
import os
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.environ["PS_SOURCE_DIR"], "tests/e2e"))
from test_operate import Operated, X, new_key, synthetic, until  # noqa: E402

LOAD_TIME = "400ms"  # of an instance: long against the time between two requests


class Stream:
    """Requests of a tenant, one after the other, from entering the block until leaving it."""

    def __init__(self, server, who, models=("m",)):
        self.server, self.who, self.models = server, who, models
        self.bad, self.good, self.stopping = [], 0, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.stopping:
            for model in self.models:
                status, _, body = self.server.infer_as(self.who, model)
                if status == 200:
                    self.good += 1
                else:
                    self.bad.append((status, model, body))

    def __enter__(self):
        self.thread.start()
        until(lambda: self.good or self.bad)
        return self

    def __exit__(self, *_):
        good = self.good + len(self.bad)
        until(lambda: self.good + len(self.bad) > good + 4)  # what the reload has left behind
        self.stopping = True
        self.thread.join()


class Moves(unittest.TestCase):
    def server(self, **share):
        models = {n: synthetic(load_time=LOAD_TIME, seed=i) for i, n in enumerate("mn")}
        tenants = [{"name": n, "share": share.get(n, True)} for n in "ab"]
        return self.enterContext(Operated(models=models, tenants=tenants,
                                          config={"io_threads": 2}))

    def reload(self, s):
        status, body = s.ask("admin", "/v2/perseus/reload", "POST")
        self.assertEqual(status, 200, body)
        return body

    def instances(self, s):
        """What is loaded, in all domains."""
        return {k: v for k, v in s.metrics("admin").items() if "perseus_model_memory" in k and v}

    def loads(self, s):
        return sum(v for k, v in s.metrics("admin").items()
                   if k.startswith("perseus_model_loads_total") and 'result="ok"' in k)

    def unloads(self, s):
        return sum(v for k, v in s.metrics("admin").items()
                   if k.startswith("perseus_model_unloads_total"))

    def test_moves(self):
        """(who shares before, who shares after, instances loaded and let go by that)"""
        rows = (({}, {"a": False}, 2, 0),
                ({}, {"a": False, "b": False}, 4, 2),
                ({"a": False}, {}, 0, 2),
                ({"a": False, "b": False}, {}, 2, 4),
                ({"a": False, "b": False}, {"a": False}, 2, 2))
        for before, after, loaded, left in rows:
            with self.subTest(before=before, after=after):
                s = self.server(**before)
                loads, unloads = self.loads(s), self.unloads(s)
                for t in s.tenants:
                    t["share"] = after.get(t["name"], True)
                s.edit(tenants=s.tenants)
                with Stream(s, "a", "mn") as a, Stream(s, "b", "mn") as b:
                    self.reload(s)
                    until(lambda: self.unloads(s) == unloads + left)
                self.assertEqual((a.bad, b.bad), ([], []))
                self.assertEqual(self.loads(s), loads + loaded)

    def test_a_new_tenant_finds_its_own(self):
        """Its first request, right after the answer to the reload, is served."""
        s = self.server()
        s.keys["c"], digest = new_key()
        s.edit(tenants=s.tenants + [{"name": "c", "keys": [digest], "share": False}])
        with Stream(s, "a") as a:
            self.reload(s)
            self.assertEqual([s.infer_as("c", m)[0] for m in "mn"], [200, 200])
        self.assertEqual(a.bad, [])

    def test_models_that_are_taken_away(self):
        """A tenant with its own instances loses sight of one: nobody keeps it."""
        s = self.server(a=False)
        unloads = self.unloads(s)
        s.edit(tenants=[{**s.tenants[0], "models": ["m"]}, s.tenants[1]])
        with Stream(s, "a") as a:
            self.reload(s)
            until(lambda: self.unloads(s) == unloads + 1)
        self.assertEqual(a.bad, [])
        self.assertEqual(s.infer_as("a", "n")[0], 404)

    def test_a_model_that_cannot_be_loaded_holds_nothing_up(self):
        s = self.server()
        (s.dir / "n.synthetic.yaml").write_text("broken: worn out\n")
        s.edit(tenants=[{**s.tenants[0], "share": False}, s.tenants[1]])
        began = time.monotonic()
        with Stream(s, "b", "mn") as b:
            self.reload(s)
            self.assertEqual(s.infer_as("a", "m")[0], 200)
            self.assertNotEqual(s.infer_as("a", "n")[0], 200)
        self.assertLess(time.monotonic() - began, 50)  # the limit is 60 s
        self.assertEqual(b.bad, [])

    def test_the_end_does_not_wait_for_a_reload(self):
        s = self.server()
        (s.dir / "o.synthetic.yaml").write_text("load_time: 30s\n")
        whole = [{"name": n, "path": n + ".synthetic.yaml"} for n in "mno"]
        s.edit(models=whole, tenants=[{**s.tenants[0], "share": False}, s.tenants[1]])
        asked = threading.Thread(target=lambda: s.ask("admin", "/v2/perseus/reload", "POST"))
        asked.start()
        until(lambda: "o" in [x["name"] for x in s.ask("admin", "/v2/repository/index",
                                                       "POST")[1]])
        began = time.monotonic()
        s.process.terminate()
        s.process.wait()
        asked.join()
        self.assertLess(time.monotonic() - began, 45)


if __name__ == "__main__":
    unittest.main()
