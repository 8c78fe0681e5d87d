# timeout: 180
"""Models on demand, under a budget of memory: loaded by their first request, evicted when others need
their room, and what is said when that does not work."""
import concurrent.futures
import json
import os
import pathlib
import signal
import socket
import sqlite3
import tempfile
import threading
import time
import unittest

import numpy as np
import tritonclient.grpc as tgrpc
import yaml
from tritonclient.utils import InferenceServerException

from support.budget import X, Budget, held
from support.perseus import StartError, needs_onnxruntime, new_key, run, until

MIB = 2 ** 20
NAME = "resnet18"


class OnDemand(unittest.TestCase):
    def test_the_first_request_loads(self):
        models = {f"m{i}": held(20, load_time="300ms") for i in range(3)}
        with Budget(models, "45MiB") as s:
            self.assertEqual(s.where("m0", "m1", "m2"), ["on disk"] * 3)
            self.assertEqual(s.index()["m0"]["state"], "READY")
            self.assertEqual(s.get("/v2/models/m0/ready")[0], 200)
            self.assertEqual(s.metric("perseus_model_memory_used_bytes"), 0)
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                answers = list(pool.map(lambda _: s.ask("m0"), range(8)))
            self.assertEqual([a[0] for a in answers], [200] * 8)
            self.assertIn("load;dur=", answers[0][1]["Server-Timing"])
            self.assertEqual(s.metric("perseus_model_loads_total", model="m0", result="ok"), 1)
            self.assertEqual(s.metric("perseus_model_cold_starts_total", tenant="default"), 8)
            self.assertGreater(s.metric("perseus_model_load_wait_seconds_total"), 0.25)
            self.assertNotIn("load;dur=", s.ask("m0")[1]["Server-Timing"])
            self.assertEqual(s.metric("perseus_model_hits_total", tenant="default"), 1)
            # The longest unused goes.
            self.assertEqual(s.ask("m1")[0], 200)
            self.assertEqual(s.ask("m0")[0], 200)
            self.assertEqual(s.ask("m2")[0], 200)
            self.assertEqual(s.where("m0", "m1", "m2"), ["resident", "on disk", "resident"])
            self.assertLessEqual(s.metric("perseus_model_memory_used_bytes"), 45 * MIB)
            self.assertEqual(s.metric("perseus_model_memory_budget_bytes"), 45 * MIB)
            self.assertEqual(s.metric("perseus_model_evictions_total",
                                      **{"for": "default", "of": "default"}), 1)
            # Metadata needs the model, too.
            status, _, body = s.get("/v2/models/m1")
            self.assertEqual((status, json.loads(body)["name"]), (200, "m1"))
            self.assertEqual(s.where("m1"), ["resident"])
            # By name, over the API.
            until(lambda: s.where("m0", "m1", "m2").count("resident") == 2)
            gone = [m for m in ("m0", "m2") if s.where(m) == ["on disk"]][0]
            self.assertEqual(s.get(f"/v2/repository/models/{gone}/load", "POST", b"")[0], 200)
            self.assertEqual(s.where(gone), ["resident"])

    def test_deadlines(self):
        models = {f"m{i}": held(20, load_time="400ms") for i in range(2)}
        with Budget(models, "25MiB") as s:
            self.assertEqual([s.ask("m0")[0], s.ask("m1")[0]], [200, 200])  # now it is known
            status, head, body = s.ask("m0", parameters={"timeout": 100000})
            self.assertEqual(status, 503, body)
            self.assertEqual(head["Retry-After"], "1")
            self.assertIn("is being loaded: it is expected in 4", body["error"])
            self.assertEqual(s.ask("m0", parameters={"timeout": 5000000})[0], 200)
            self.assertEqual(s.metric("perseus_requests_total", outcome="loading"), 1)

    def test_a_load_that_fails(self):
        with Budget({"m0": held(1, broken="the weights are missing")}, "25MiB",
                    {"load_pause": "1h"}) as s:
            for _ in range(3):
                status, _, body = s.ask("m0")
                self.assertEqual(status, 503)
                self.assertIn("the weights are missing", body["error"])
            status, head, body = s.ask("m0")
            self.assertEqual(status, 503)
            self.assertIn("failed to load 3 times, and is tried again in", body["error"])
            self.assertGreater(int(head["Retry-After"]), 3500)
            row = s.index()["m0"]
            self.assertEqual((row["state"], row["residency"]), ("UNAVAILABLE", "failed"))
            self.assertIn("the weights are missing (tried again in", row["reason"])
            self.assertEqual(s.metric("perseus_model_loads_total", result="failed"), 3)
            self.assertEqual(s.get("/v2/models/m0/ready")[0], 400)

    def test_a_load_that_hangs_and_one_that_stops(self):
        with Budget({"m0": held(1, load_time="600s"), "m1": held(1)}, "25MiB",
                    {"load_timeout": "200ms", "max_loading": 2}) as s:
            status, _, body = s.ask("m0")
            self.assertEqual(status, 503)
            self.assertIn("was not loaded within 200 ms", body["error"])
            self.assertIn("takes longer than load_timeout", s.ask("m0")[2]["error"])
            self.assertEqual(s.where("m0"), ["loading"])
            self.assertEqual(s.ask("m1")[0], 200)  # others go on

    def test_what_waits_is_finished_at_the_end(self):
        with Budget({"m0": held(1, load_time="500ms")}, "25MiB") as s:
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                answer = pool.submit(s.ask, "m0")
                until(lambda: s.metric("perseus_load_waiting_requests") == 1)
                s.process.send_signal(signal.SIGTERM)
                self.assertEqual(answer.result()[0], 200)

    def test_grpc_waits_too(self):
        with Budget({"m0": held(20, load_time="300ms"), "m1": held(20, load_time="300ms")},
                    "25MiB") as s:
            client = tgrpc.InferenceServerClient(s.ready["grpc"])
            x = tgrpc.InferInput("x", [1, 4], "FP32")
            x.set_data_from_numpy(np.ones((1, 4), np.float32))
            for model in ("m0", "m1"):
                self.assertTrue(client.is_model_ready(model))
                self.assertEqual(client.infer(model, [x]).as_numpy("y").shape, (1, 4))
            self.assertEqual(client.get_model_metadata("m0").name, "m0")
            with self.assertRaises(InferenceServerException) as e:
                client.infer("m1", [x], client_timeout=0.1)
            self.assertIn("DEADLINE", e.exception.status() + e.exception.message().upper())
            client.close()

    def test_who_leaves_is_forgotten(self):
        with Budget({"m0": held(20, load_time="1s"), "m1": held(20)}, "25MiB") as s:
            body = json.dumps({"inputs": X}).encode()
            with socket.create_connection(s.address) as c:
                c.sendall(b"POST /v2/models/m0/infer HTTP/1.1\r\nHost: x\r\n"
                          b"Content-Length: %d\r\n\r\n" % len(body) + body)
                until(lambda: s.metric("perseus_load_waiting_requests") == 1)
            until(lambda: s.metric("perseus_load_waiting_requests") == 0)
            self.assertEqual(s.metric("perseus_requests_total", outcome="cancelled"), 1)
            self.assertEqual(s.ask("m1")[0], 200)

    def test_sizes(self):
        with self.assertRaises(StartError) as e:
            Budget({"m0": held(20), "m1": held(30)}, "25MiB")
        self.assertIn("m1.synthetic.yaml is expected to hold 30", str(e.exception))
        self.assertIn("and model_memory is 25", str(e.exception))
        tenants = [{"name": "a", "memory": "20MiB", "client_certs": ["a"]},
                   {"name": "b", "memory": "10MiB"}]
        with self.assertRaises(StartError) as e:
            Budget({"m0": held(1)}, "25MiB", tenants=tenants)
        self.assertIn("guaranteed 30.0 MiB of memory so far, and model_memory is 25.0 MiB",
                      str(e.exception))
        with Budget({"m0": held(6)}, "35MiB", tenants=tenants) as s:
            until(lambda: "guaranteed 30.0 MiB of memory, model_memory is 35.0 MiB, and the largest "
                          "model is expected to hold 6.0" in s.stderr)
        with Budget({"m0": held(4)}, "35MiB", tenants=tenants) as s:
            self.assertNotIn("the largest model is expected", s.stderr)
        for wrong in ("0%", "101%", "many", "0"):
            with self.assertRaises(StartError) as e:
                Budget({"m0": held(1)}, wrong)
            self.assertIn("model_memory", str(e.exception))
        # One that holds more than is said of it.
        with Budget({"m0": held(30, claims="10MiB"), "m1": held(15, claims="5MiB"),
                     "m2": held(10)}, "25MiB") as s:
            status, _, body = s.ask("m0")
            self.assertEqual(status, 503)
            self.assertIn("it holds 30.0 MiB, and model_memory is 25.0 MiB", body["error"])
            self.assertEqual([s.ask("m2")[0], s.ask("m1")[0]], [200, 200])
            until(lambda: s.where("m1", "m2") == ["resident", "on disk"])
            until(lambda: s.metric("perseus_model_memory_used_bytes") <= 25 * MIB)

    def test_a_lower_budget(self):
        with Budget({f"m{i}": held(20) for i in range(3)}, "65MiB") as s:
            for i in range(3):
                self.assertEqual(s.ask(f"m{i}")[0], 200)
            s.rewrite(model_memory="25MiB")
            until(lambda: s.where("m0", "m1", "m2") == ["on disk", "on disk", "resident"])
            until(lambda: s.metric("perseus_model_memory_used_bytes") <= 25 * MIB)
            self.assertEqual(s.ask("m0")[0], 200)

    def test_the_pinned_stay(self):
        with Budget({f"m{i}": held(20) for i in range(4)}, "65MiB") as s:
            rows = yaml.safe_load((s.dir / "serve.yaml").read_text())["models"]
            s.rewrite(models=[{**row, "pin": row["name"] == "m0"} for row in rows])
            until(lambda: s.where("m0") == ["resident"])  # nobody has asked for it
            for _ in range(2):
                for i in range(1, 4):
                    self.assertEqual(s.ask(f"m{i}")[0], 200)
            self.assertEqual(s.where("m0"), ["resident"])
            self.assertEqual(s.metric("perseus_model_loads_total", model="m0", result="ok"), 1)

    def test_under_load_nothing_fails(self):
        models = {f"m{i}": held(8, load_time="5ms", mean="2ms") for i in range(6)}
        with Budget(models, "20MiB") as s:
            end = time.monotonic() + 3
            used, codes = [], []

            def ask(k):
                i = k
                while time.monotonic() < end:
                    codes.append(s.ask(f"m{i % 6}")[0])
                    i += 1 + k

            threads = [threading.Thread(target=ask, args=(k,)) for k in range(4)]
            for t in threads:
                t.start()
            while time.monotonic() < end:
                used.append(s.metric("perseus_model_memory_used_bytes"))
                time.sleep(0.05)
            for t in threads:
                t.join()
            self.assertLess(time.monotonic() - end, 2)  # nobody waits for the end of an epoch
            self.assertEqual(set(codes), {200})
            self.assertLessEqual(max(used), 20 * MIB)
            self.assertGreater(s.metric("perseus_model_evictions_total"), 10)

    def test_a_plan_and_how_fair_it_is(self):
        key, digest = new_key()
        models = {f"m{i}": held(10) for i in range(4)}
        with Budget(models, "35MiB", {"memory_policy": "pf", "memory_epoch": "200ms",
                                      "admin_keys": [digest]}) as s:
            s.key = key
            for i in range(4):
                self.assertEqual(s.ask(f"m{i}")[0], 200)

            def decided():
                s.ask("m0")
                return s.metric("perseus_model_memory_epochs_total", result="ok") > 2
            until(decided)
            status, _, body = s.get("/v2/perseus/status", headers={"Authorization": f"Bearer {key}"})
            self.assertEqual(status, 200, body)
            plan = json.loads(body)["model_memory"]
            self.assertEqual((plan["policy"], plan["why"]), ("pf", ""))
            self.assertGreater(plan["worst_share"], 1 - 1e-6)
            self.assertAlmostEqual(sum(c["share"] for c in plan["plan"]), 1)
            self.assertIn("m0/1", plan["plan"][plan["drawn"]]["models"])
            self.assertGreater(s.metric("perseus_tenant_memory_utility_seconds", kind="given"), 0)
            self.assertEqual(s.metric("perseus_model_memory_epochs_total", result="failed"), 0)
            self.assertIn("memory_policy pf, epoch 1: configuration", s.stderr)

    def test_a_file_that_goes(self):
        with Budget({"m0": held(20), "m1": held(20)}, "25MiB") as s:
            self.assertEqual(s.ask("m0")[0], 200)
            (s.dir / "m0.synthetic.yaml").unlink()
            self.assertEqual(s.ask("m0")[0], 200)  # it is loaded
            self.assertEqual(s.ask("m1")[0], 200)
            status, _, body = s.ask("m0")
            self.assertEqual(status, 503, body)
            self.assertIn("failed to load", body["error"])

    def test_after_a_crash_what_was_asked_for_is_loaded_again(self):
        with tempfile.TemporaryDirectory() as state:
            models = {f"m{i}": held(20) for i in range(3)}
            with Budget(models, "45MiB", {"state": state}) as s:
                for _ in range(5):
                    self.assertEqual([s.ask("m2")[0], s.ask("m1")[0]], [200, 200])
                path = os.path.join(state, "perseus-state.db")

                def remembered():
                    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as db:
                        return db.execute("SELECT count(*) FROM demand").fetchone()[0] == 2
                until(remembered)
                s.process.kill()
                s.process.wait()
                s.code = 0
            with Budget(models, "45MiB", {"state": state}) as s:
                until(lambda: s.where("m0", "m1", "m2") == ["on disk", "resident", "resident"])
                self.assertEqual(s.metric("perseus_model_cold_starts_total"), 0)


def run_elsewhere(folder):
    """The same network with other weights."""
    done = run("zoo", "write", NAME, "--dir", folder + "/other", "--seed", 7)
    assert done.returncode == 0, done.stderr
    return pathlib.Path(folder, "other", f"{NAME}.onnx")


@needs_onnxruntime
class Mapped(unittest.TestCase):
    def test_the_second_load_maps_the_converted_file(self):
        with tempfile.TemporaryDirectory(prefix="perseus-memory-") as d:
            done = run("zoo", "write", NAME, "--dir", d)
            self.assertEqual(done.returncode, 0, done.stderr)
            size = (pathlib.Path(d) / f"{NAME}.onnx").stat().st_size
            with Budget({}, str(3 * size), {"model_repository": [d], "cache": d + "/cache"}) as s:
                took = []
                for _ in range(2):
                    before = s.metric("perseus_model_load_seconds_total")
                    self.assertEqual(s.get(f"/v2/models/{NAME}")[0], 200)
                    took.append(s.metric("perseus_model_load_seconds_total") - before)
                    self.assertGreater(s.metric("perseus_model_memory_bytes", kind="mapped"),
                                       0.9 * size)
                    self.assertEqual(
                        s.get(f"/v2/repository/models/{NAME}/unload", "POST", b"")[0], 200)
                    self.assertEqual(
                        s.get(f"/v2/repository/models/{NAME}/load", "POST", b"")[0], 200)
                self.assertLess(took[1], took[0] / 2, took)
                # The converted file goes under the mapping, and the model's own is another one.
                for path in pathlib.Path(d, "cache").glob("*.ort"):
                    path.unlink()
                x = [{"name": "input", "datatype": "FP32", "shape": [1, 3, 224, 224],
                      "data": [0.5] * (3 * 224 * 224)}]
                before = s.infer(NAME, x)
                self.assertEqual(before[0], 200)
                os.replace(run_elsewhere(d), pathlib.Path(d, f"{NAME}.onnx"))
                self.assertEqual(s.infer(NAME, x)[2]["outputs"], before[2]["outputs"])
                self.assertEqual(
                    s.get(f"/v2/repository/models/{NAME}/load", "POST", b"")[0], 200)
                until(lambda: s.infer(NAME, x)[2]["outputs"] != before[2]["outputs"])
                self.assertEqual(len(list(pathlib.Path(d, "cache").glob("*.ort"))), 1)
            # Its conversion takes more memory than there may be.
            with Budget({}, str(2 * size), {"model_repository": [d], "cache": d + "/none"}) as s:
                status, _, body = s.get(f"/v2/models/{NAME}")
                self.assertEqual(status, 503)
                self.assertIn(b"loading it for the first time is expected to take", body)


if __name__ == "__main__":
    unittest.main()
