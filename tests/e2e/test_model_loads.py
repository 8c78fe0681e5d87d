# timeout: 180
"""How models are loaded under a budget of memory: several at once, in turns, foreseen; and loads that
hang, fail, or take what is gone."""
import concurrent.futures
import contextlib
import json
import os
import pathlib
import re
import sqlite3
import tempfile
import threading
import time
import unittest

from support.budget import Budget, held
from support.perseus import SANITIZED, needs_onnxruntime, new_key, run, until

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


    def test_killed_between_an_unload_and_a_load(self):
        with tempfile.TemporaryDirectory() as state:
            models = {"m0": held(20), "m1": held(20, load_time="600s")}
            with Budget(models, "25MiB", {"state": state}) as s:
                for _ in range(5):
                    self.assertEqual(s.ask("m0")[0], 200)

                def remembered():
                    return self.rows(state, "SELECT count(*) FROM demand")[0][0]
                until(remembered)
                with concurrent.futures.ThreadPoolExecutor(1) as pool:
                    pool.submit(self.lost, s)
                    # m0 is gone, m1 not there yet.
                    until(lambda: s.where("m0", "m1") == ["on disk", "loading"])
                    until(lambda: s.metric("perseus_model_unloads_total", model="m0"))
                    s.process.kill()
                    s.process.wait()
                s.code = 0
            with Budget(models, "25MiB", {"state": state}) as s:
                until(lambda: s.where("m0", "m1") == ["resident", "on disk"])
                self.assertEqual(s.metric("perseus_model_cold_starts_total"), 0)
                self.assertLessEqual(s.metric("perseus_model_memory_used_bytes"), 25 * 2 ** 20)

    @staticmethod
    def lost(s):
        try:
            s.ask("m1")
        except OSError:
            pass  # the server was killed

    @staticmethod
    def rows(state, sql):
        path = os.path.join(state, "perseus-state.db")
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
            return db.execute(sql).fetchall()

    def test_a_lower_budget_under_load(self):
        """Runs end, requests that wait get their models, one after the other."""
        models = {f"m{i}": held(8, load_time="5ms", mean="2ms") for i in range(4)}
        with Budget(models, "45MiB") as s:
            stop, codes = threading.Event(), []

            def ask(k):
                while not stop.is_set():
                    codes.append(s.ask(f"m{k}")[0])
            threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
            for t in threads:
                t.start()
            until(lambda: s.where(*models) == ["resident"] * 4)
            s.rewrite(model_memory="12MiB")
            until(lambda: s.metric("perseus_model_memory_used_bytes") <= 12 * 2 ** 20)
            before = len(codes)
            until(lambda: len(codes) > before + 40)
            most = max(s.metric("perseus_model_memory_used_bytes") for _ in range(20))
            stop.set()
            for t in threads:
                t.join()
            self.assertEqual(set(codes), {200})
            self.assertLessEqual(most, 12 * 2 ** 20)


    def test_several_threads_take_requests(self):
        """A load may end on one thread while another one is about to wait for it. Nothing but that
        load wakes who waits: the policy's epoch does not end here."""
        models = {f"m{i}": held(8, load_time="3ms", mean="1ms") for i in range(5)}
        with Budget(models, "20MiB", {"io_threads": 3, "memory_epoch": "10min"}) as s:
            end, codes, longest = time.monotonic() + 3, [], [0]

            def ask(k):
                i = k
                while time.monotonic() < end:
                    began = time.monotonic()
                    codes.append(s.ask(f"m{i % 5}")[0])
                    longest.append(time.monotonic() - began)
                    i += 1 + k
            threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual(set(codes), {200})
            self.assertLess(max(longest), 5)
            self.assertGreater(s.metric("perseus_model_evictions_total"), 10)


class Sampler(threading.Thread):
    """Memory of a server and its children, ten times a second: each page by its share."""

    def __init__(self, server):
        super().__init__()
        self.server, self.found, self.stop = server, [], threading.Event()

    def look(self):
        pid = self.server.process.pid
        pids = [pid]
        for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
            with contextlib.suppress(OSError):
                pids += map(int, task.read_text().split())
        total = 0
        for p in pids:
            with contextlib.suppress(OSError):
                text = pathlib.Path(f"/proc/{p}/smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+) kB", text, re.M)[1]) * 1024
        return total

    def run(self):
        while not self.stop.wait(0.1):
            self.found.append(self.look())

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.join()


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
        with self.server({"convert_timeout": "6s"}, sleeper) as s:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                hanging = pool.submit(s.infer, SMALL, IMAGE)
                until(lambda: s.where(SMALL) == ["loading"])
                # What is converted already is mapped beside it.
                self.assertEqual(s.infer(OTHER, IMAGE)[0], 200)
                self.assertFalse(hanging.done())
                status, _, body = hanging.result()
            self.assertEqual(status, 503)
            self.assertIn("converting the model took longer than 6.00 s (convert_timeout), and "
                          "was ended", body["error"])
            self.assertIn("convert_timeout", s.index()[SMALL]["reason"])
            self.assertEqual(s.metric("perseus_model_loads_total", model=SMALL, result="failed"), 1)
            self.assertEqual(s.metric("perseus_model_memory_used_bytes", kind="loading"), 0)
            # Mended, it is tried again by the next request.
            sleeper.write_text(f'#!/bin/sh\nexec "{os.environ["PERSEUS"]}-convert" "$@"\n')
            self.assertEqual(s.infer(SMALL, IMAGE)[0], 200)

    def test_how_long_loads_take_is_kept(self):
        state = self.dir / "state"
        with self.server({"state": str(state)}) as s:
            self.assertEqual(s.infer(SMALL, IMAGE)[0], 200)
            steps = {k: s.metric("perseus_model_load_steps_total", step=k)
                     for k in ("hash", "wait", "convert", "open")}
            self.assertEqual(steps["wait"], 1)
            self.assertEqual((steps["convert"], steps["open"]), (1, 0))
            self.assertGreater(s.metric("perseus_model_load_step_seconds_total", step="convert"),
                               0)
        path = state / "perseus-state.db"
        with sqlite3.connect(path) as db:
            rows = dict(db.execute("SELECT step, scale FROM load_scale"))
            self.assertGreater(rows["convert"], 0)
            db.execute("UPDATE load_scale SET scale = 900 WHERE step = 'convert'")
        with self.server({"state": str(state), "cache": str(self.dir / "none")}) as s:
            self.assertEqual(s.metric("perseus_model_loads_total"), 0)  # the observer has read it
            status, head, body = s.infer(OTHER, IMAGE, parameters={"timeout": 60000000})
            self.assertEqual(status, 503, body)
            self.assertGreater(int(head["Retry-After"]), 100)

    @unittest.skipIf(SANITIZED, "sanitizers keep what was freed")
    def test_memory_as_measured_from_outside(self):
        """Two models that cannot both be there, asked for in turn. What the server holds beside one of
        them while it is asked (libraries, working memory of runs, requests) is the base; no tenth of a
        second shows more than that and the budget."""
        with self.server() as s:  # converts both
            for name in self.files:
                self.assertEqual(s.infer(name, IMAGE)[0], 200)
        budget = 19 * 2 ** 20
        with self.server(memory=str(budget)) as s:
            bases = []
            for name in self.files:
                with Sampler(s) as sampler:
                    self.assertEqual(s.infer(name, IMAGE)[0], 200)
                    sampler.found.clear()
                    for _ in range(20):
                        self.assertEqual(s.infer(name, IMAGE)[0], 200)
                    until(lambda: len(sampler.found) > 4)
                used = s.metric("perseus_model_memory_used_bytes")
                bases.append(max(sampler.found) - used)
            base = max(bases)
            before = s.metric("perseus_model_evictions_total")
            end = time.monotonic() + 5
            with Sampler(s) as sampler:
                while time.monotonic() < end:
                    for name in self.files:
                        self.assertEqual(s.infer(name, IMAGE)[0], 200)
            self.assertGreater(s.metric("perseus_model_evictions_total") - before, 10)
            self.assertGreater(len(sampler.found), 20)
            most = max(sampler.found) - base
            self.assertLessEqual(most, budget, f"{most / 2**20:.1f} MiB, base {base / 2**20:.1f}")
            self.assertGreater(most, budget / 2)

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
