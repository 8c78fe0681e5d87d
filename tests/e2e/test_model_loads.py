# timeout: 180
"""How models are loaded under a budget of memory: several at once, in turns, foreseen; and loads that
hang, fail, or take what is gone."""
import concurrent.futures
import json
import os
import pathlib
import tempfile
import time
import unittest

from support.budget import Budget, held
from support.perseus import needs_onnxruntime, new_key, run, until

IMAGE = [{"name": "input", "datatype": "FP32", "shape": [1, 3, 224, 224],
          "data": [0.5] * (3 * 224 * 224)}]
SMALL, OTHER = "squeezenet1_1", "mobilenet_v2"


class Pretended(unittest.TestCase):
    def test_one_that_takes_long_holds_up_no_other(self):
        with Budget({"m0": held(1, load_time="600s"), "m1": held(1)}, "25MiB") as s:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                hanging = pool.submit(s.ask, "m0", parameters={"timeout": 2000000})
                until(lambda: s.where("m0") == ["loading"])
                self.assertEqual(s.ask("m1")[0], 200)
                self.assertFalse(hanging.done())
                self.assertEqual(hanging.result()[0], 504)

    def test_one_that_hangs_gives_its_place_back(self):
        models = {f"m{i}": held(1, load_time="600s") for i in range(2)}
        with Budget({**models, "m2": held(1)}, "25MiB",
                    {"load_timeout": "300ms", "max_loading": 2}) as s:
            with concurrent.futures.ThreadPoolExecutor(2) as pool:
                answers = list(pool.map(s.ask, models))
            self.assertEqual([a[0] for a in answers], [503] * 2)
            self.assertEqual(s.ask("m2")[0], 200)  # though two hang, and there are two places
            self.assertEqual(s.where(*models), ["loading"] * 2)
            self.assertIn("takes longer than load_timeout", s.ask("m0")[2]["error"])

    def test_the_end_of_a_pause(self):
        with Budget({"m0": held(1, broken="the weights are missing")}, "25MiB",
                    {"load_pause": "1s"}) as s:
            for _ in range(3):
                self.assertEqual(s.ask("m0")[0], 503)
            status, head, body = s.ask("m0")
            self.assertEqual((status, head["Retry-After"]), (503, "1"))
            self.assertIn("is tried again in", body["error"])
            self.assertEqual(s.metric("perseus_model_loads_total", result="failed"), 3)
            self.assertIn("tried again in", s.index()["m0"]["reason"])
            path = s.dir / "m0.synthetic.yaml"

            def tried():
                self.assertEqual(s.ask("m0")[0], 503)
                return s.metric("perseus_model_loads_total", result="failed") == 4
            until(tried)
            # One failure more is the next pause; a file that is mended is another matter.
            self.assertIn("is tried again in", s.ask("m0")[2]["error"])
            path.write_text(path.read_text().replace("broken: the weights are missing\n", ""))
            until(lambda: s.ask("m0")[0] == 200)

    def test_tenants_take_turns(self):
        """b's one model does not wait behind the many that a had asked for before."""
        models = {f"m{i}": held(1, load_time="200ms") for i in range(8)}
        tenants = [{"name": t, "share": True} for t in ("a", "b")]
        keys = {}
        for t in tenants:
            keys[t["name"]], digest = new_key()
            t["keys"] = [digest]
        with Budget(models, "25MiB", {"max_loading": 1}, tenants=tenants) as s:
            def ask(tenant, model):
                code = s.ask(model, headers={"Authorization": f"Bearer {keys[tenant]}"})[0]
                return code, time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                of_a = [pool.submit(ask, "a", f"m{i}") for i in range(7)]
                time.sleep(0.1)
                of_b = pool.submit(ask, "b", "m7")
                ends = sorted(f.result()[1] for f in of_a)
                self.assertEqual({f.result()[0] for f in [*of_a, of_b]}, {200})
                self.assertLess(of_b.result()[1], ends[3])


@needs_onnxruntime
class Real(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="perseus-loads-")
        self.addCleanup(self.folder.cleanup)
        self.dir = pathlib.Path(self.folder.name)
        done = run("zoo", "write", SMALL, OTHER, "--dir", str(self.dir / "models"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.files = {n: self.dir / "models" / f"{n}.onnx" for n in (SMALL, OTHER)}

    def server(self, config=None, converter=None, memory="200MiB"):
        env = {"PERSEUS_CONVERT": str(converter)} if converter else None
        return Budget(self.files, memory, {"cache": str(self.dir / "cache"), **(config or {})},
                      env=env)

    def script(self, text):
        path = self.dir / "converter"
        path.write_text("#!/bin/sh\n" + text)
        path.chmod(0o755)
        return path

    def test_a_first_load_is_foreseen(self):
        with self.server() as s:
            status, head, body = s.infer(SMALL, IMAGE, parameters={"timeout": 20000})
            self.assertEqual(status, 503, body)  # not 504 later
            self.assertGreaterEqual(int(head["Retry-After"]), 1)
            self.assertIn("is being loaded: it is expected in", body["error"])
            # Who comes again finds it.
            until(lambda: s.where(SMALL) == ["resident"])
            self.assertEqual(s.infer(SMALL, IMAGE)[0], 200)
            self.assertEqual(s.metric("perseus_model_loads_total", result="ok"), 1)

    def test_a_conversion_that_hangs(self):
        with self.server() as s:
            self.assertEqual(s.infer(OTHER, IMAGE)[0], 200)
        sleeper = self.script("exec sleep 600\n")
        with self.server({"convert_timeout": "2s"}, sleeper) as s:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                hanging = pool.submit(s.infer, SMALL, IMAGE)
                until(lambda: s.where(SMALL) == ["loading"])
                # What is converted already is mapped beside it.
                self.assertEqual(s.infer(OTHER, IMAGE)[0], 200)
                self.assertFalse(hanging.done())
                status, _, body = hanging.result()
            self.assertEqual(status, 503)
            self.assertIn("converting the model took longer than 2.00 s (convert_timeout), and "
                          "was ended", body["error"])
            self.assertIn("convert_timeout", s.index()[SMALL]["reason"])
            self.assertEqual(s.metric("perseus_model_loads_total", model=SMALL, result="failed"), 1)
            self.assertEqual(s.metric("perseus_model_memory_used_bytes", kind="loading"), 0)
            # Mended, it is tried again by the next request.
            sleeper.write_text(f'#!/bin/sh\nexec "{os.environ["PERSEUS"]}-convert" "$@"\n')
            self.assertEqual(s.infer(SMALL, IMAGE)[0], 200)

    def test_a_conversion_that_crashes(self):
        with self.server(converter=self.script("kill -SEGV $$\n")) as s:
            status, _, body = s.infer(SMALL, IMAGE)
            self.assertEqual(status, 503)
            self.assertIn("crashed over this model (signal 11)", body["error"])

    def test_a_file_that_is_cut(self):
        with self.server() as s:
            before = s.infer(SMALL, IMAGE)
            self.assertEqual(before[0], 200)
            # What serves is a mapping of our own copy.
            os.truncate(self.files[SMALL], 1000)
            self.assertEqual(s.infer(SMALL, IMAGE)[2]["outputs"], before[2]["outputs"])
            # It is looked at again by a load.
            answer = s.get(f"/v2/repository/models/{SMALL}/unload", "POST", b"")
            self.assertEqual(answer[0], 200)
            status, _, body = s.get(f"/v2/repository/models/{SMALL}/load", "POST", b"")
            self.assertGreaterEqual(status, 400, body)
            self.assertIn("failed to load", json.loads(body)["error"])
            self.assertEqual(s.infer(OTHER, IMAGE)[0], 200)


if __name__ == "__main__":
    unittest.main()
