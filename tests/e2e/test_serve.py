# threads: yes
"""perseus serve with real clients: what is answered, to whom, and when it ends."""
import hashlib
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import numpy as np
import onnx
import yaml
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from support.perseus import (PERSEUS, Server, StartError, needs_onnxruntime, new_key, run, synthetic,
                             tensor, until)

NUMPY = {"BOOL": np.bool_, "UINT8": np.uint8, "UINT16": np.uint16, "UINT32": np.uint32,
         "UINT64": np.uint64, "INT8": np.int8, "INT16": np.int16, "INT32": np.int32,
         "INT64": np.int64, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
         "BYTES": np.object_}


def sample(datatype, seed=0):
    rng = np.random.default_rng(seed)
    if datatype == "BYTES":
        return np.array([[b"", b"a", "\u00e9\u4e16".encode(), b"x" * 300]], dtype=np.object_)
    if datatype == "BOOL":
        return np.array([[True, False, True, True]])
    if datatype.startswith("FP"):
        return rng.standard_normal((1, 4)).astype(NUMPY[datatype])
    info = np.iinfo(NUMPY[datatype])
    return np.array([[info.min, info.max, 0, 7]], dtype=NUMPY[datatype])


def triton_input(name, array, datatype, binary):
    x = triton.InferInput(name, list(array.shape), datatype)
    x.set_data_from_numpy(array, binary_data=binary)
    return x


def identity_onnx(path, datatype=onnx.TensorProto.FLOAT):
    x = onnx.helper.make_tensor_value_info("x", datatype, ["n", 4])
    y = onnx.helper.make_tensor_value_info("y", datatype, ["n", 4])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)],
                                   ir_version=8)
    onnx.save(model, path)


class Triton(unittest.TestCase):
    """The reference client understands every answer."""

    @classmethod
    def setUpClass(cls):
        models = {f"m_{t.lower()}": synthetic([tensor("x", t)], [tensor("y", t)], mean="100us")
                  for t in NUMPY}
        models["two"] = synthetic([tensor("a", "FP32", [-1, 3]), tensor("b", "INT64", [2])],
                                  [tensor("u", "FP32", [-1, 2]), tensor("v", "INT8", [3])],
                                  mean="100us")
        cls.server = Server(models).__enter__()
        cls.client = triton.InferenceServerClient(cls.server.url)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()
        cls.server.__exit__(None, None, None)

    def test_health(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        self.assertTrue(self.client.is_model_ready("two"))
        self.assertTrue(self.client.is_model_ready("two", "1"))
        self.assertFalse(self.client.is_model_ready("two", "2"))
        self.assertFalse(self.client.is_model_ready("three"))

    def test_server_metadata(self):
        m = self.client.get_server_metadata()
        self.assertEqual(m["name"], "perseus")
        self.assertIn("binary_tensor_data", m["extensions"])

    def test_model_metadata(self):
        m = self.client.get_model_metadata("two")
        self.assertEqual(m["name"], "two")
        self.assertEqual(m["versions"], ["1"])
        self.assertEqual(m["platform"], "perseus_synthetic")
        self.assertEqual(m["inputs"], [{"name": "a", "datatype": "FP32", "shape": [-1, 3]},
                                       {"name": "b", "datatype": "INT64", "shape": [2]}])
        self.assertEqual([o["name"] for o in m["outputs"]], ["u", "v"])

    def test_every_datatype_both_ways(self):
        """Outputs are a function of inputs: JSON and binary must agree."""
        for datatype in NUMPY:
            results = []
            for in_binary in (True, False):
                for out_binary in (True, False):
                    if datatype == "FP16" and not (in_binary and out_binary):
                        continue
                    with self.subTest(datatype=datatype, input=in_binary, output=out_binary):
                        answer = self.client.infer(
                            f"m_{datatype.lower()}",
                            [triton_input("x", sample(datatype), datatype, in_binary)],
                            outputs=[triton.InferRequestedOutput("y", binary_data=out_binary)])
                        y = answer.as_numpy("y")
                        self.assertEqual(y.shape, (1, 4))
                        if datatype != "BYTES":
                            self.assertEqual(y.dtype, NUMPY[datatype])
                        results.append([v if isinstance(v, bytes) else
                                        v.encode() if isinstance(v, str) else v
                                        for v in y.flatten().tolist()])
            for other in results[1:]:
                self.assertEqual(other, results[0], datatype)

    def test_inputs_matter(self):
        ys = [self.client.infer("m_fp32", [triton_input("x", sample("FP32", seed), "FP32", True)])
              .as_numpy("y").tolist() for seed in (1, 1, 2)]
        self.assertEqual(ys[0], ys[1])
        self.assertNotEqual(ys[0], ys[2])

    def test_fp16_as_json_is_refused(self):
        with self.assertRaises(InferenceServerException) as e:
            self.client.infer("m_fp16", [triton_input("x", sample("FP16"), "FP16", True)],
                              outputs=[triton.InferRequestedOutput("y", binary_data=False)])
        self.assertIn("FP16", e.exception.message())

    def test_default_outputs_order_and_id(self):
        a = np.ones((2, 3), np.float32)
        b = np.array([1, 2], np.int64)
        answer = self.client.infer("two", [triton_input("b", b, "INT64", True),
                                           triton_input("a", a, "FP32", True)], request_id="q 1")
        response = answer.get_response()
        self.assertEqual(response["id"], "q 1")
        self.assertEqual(response["model_name"], "two")
        self.assertEqual(response["model_version"], "1")
        self.assertEqual([o["name"] for o in response["outputs"]], ["u", "v"])
        self.assertEqual(answer.as_numpy("u").shape, (2, 2))
        only = self.client.infer("two", [triton_input("a", a, "FP32", False),
                                         triton_input("b", b, "INT64", True)],
                                 outputs=[triton.InferRequestedOutput("v")])
        self.assertIsNone(only.as_numpy("u"))
        np.testing.assert_array_equal(only.as_numpy("v"), answer.as_numpy("v"))

    def test_errors_reach_the_client(self):
        x = sample("FP32")
        rows = [
            ("m_fp32", [("z", x, "FP32")], "z"),
            ("m_fp32", [("x", x.astype(np.float64), "FP64")], "FP64"),
            ("m_fp32", [("x", np.ones((1, 5), np.float32), "FP32")], "[1,5]"),
            ("m_fp32", [("x", np.ones((4,), np.float32), "FP32")], "x"),
            ("m_fp32", [("x", x, "FP32"), ("w", x, "FP32")], "w"),
            ("two", [("a", np.ones((1, 3), np.float32), "FP32")], "b"),
            ("nobody", [("x", x, "FP32")], "nobody"),
        ]
        for model, inputs, word in rows:
            for binary in (True, False):
                with self.subTest(model=model, word=word, binary=binary):
                    with self.assertRaises(InferenceServerException) as e:
                        self.client.infer(model, [triton_input(n, a, t, binary)
                                                  for n, a, t in inputs])
                    self.assertIn(word, e.exception.message())
                    self.assertIn(e.exception.status(), ("400", "404"))

    def test_server_timing(self):
        status, head, _ = self.server.infer("m_fp32", [
            {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}])
        self.assertEqual(status, 200)
        parts = dict(p.strip().split(";dur=") for p in head["Server-Timing"].split(","))
        self.assertEqual(set(parts), {"queue", "compute"})
        self.assertGreaterEqual(float(parts["compute"]), 0.1)  # declared: 100 us
        self.assertGreaterEqual(float(parts["queue"]), 0.0)

    def test_curl_raw_binary(self):
        """A body that is nothing but the tensor, as curl --data-binary would send it."""
        data = sample("FP32").tobytes()
        out = subprocess.run(
            ["curl", "-sS", "-i", "-X", "POST", "-H", "Inference-Header-Content-Length: 0",
             "-H", "Expect: 100-continue", "--data-binary", "@-",
             f"{self.server.http}/v2/models/m_fp32/infer"],
            input=data, capture_output=True, timeout=30, check=True).stdout
        self.assertIn(b"200 OK", out)
        self.assertIn(b"application/octet-stream", out)
        want = self.client.infer("m_fp32", [triton_input("x", sample("FP32"), "FP32", True)])
        self.assertTrue(out.endswith(want.as_numpy("y").tobytes()))


def keyed_tenants(**rows):
    keys, tenants = {}, []
    for name, row in rows.items():
        keys[name], digest = new_key()
        tenants.append({"name": name, "keys": [digest], **row})
    return keys, tenants


X = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]


def niceness_of(pid):
    """Of each thread, by number and name."""
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        name, rest = (task / "stat").read_text().split(" (", 1)[1].rsplit(") ", 1)
        found[int(task.name), name] = int(rest.split()[16])
    return found


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


class Tenants(unittest.TestCase):
    """Who may ask, and for what."""

    @classmethod
    def setUpClass(cls):
        cls.keys, tenants = keyed_tenants(ann={"models": ["left"]}, bob={"models": ["right"]})
        cls.server = Server({"left": synthetic(), "right": synthetic()}, tenants).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def test_each_sees_its_own(self):
        for key, model, want in (("ann", "left", 200), ("ann", "right", 404), ("bob", "left", 404),
                                 ("bob", "right", 200)):
            with self.subTest(key=key, model=model):
                self.assertEqual(self.server.infer(model, X, bearer(self.keys[key]))[0], want)
                path = f"/v2/models/{model}"
                self.assertEqual(self.server.get(path, headers=bearer(self.keys[key]))[0], want)

    def test_foreign_looks_unknown(self):
        foreign = self.server.infer("right", X, bearer(self.keys["ann"]))
        unknown = self.server.infer("wrong", X, bearer(self.keys["ann"]))
        self.assertEqual(foreign[0], unknown[0])
        self.assertEqual(foreign[2]["error"].replace("right", "?"),
                         unknown[2]["error"].replace("wrong", "?"))
        self.assertEqual(set(map(str.lower, foreign[1])), set(map(str.lower, unknown[1])))

    def test_keys(self):
        for headers in ({}, bearer("psk_wrong"), bearer(self.keys["ann"][:-1]),
                        bearer(self.keys["ann"] + "A"), {"Authorization": self.keys["ann"]},
                        {"Authorization": "Basic " + self.keys["ann"]}):
            with self.subTest(headers=headers):
                for model in ("left", "wrong"):
                    status, head, body = self.server.infer(model, X, headers)
                    self.assertEqual(status, 401)
                    self.assertEqual(head["WWW-Authenticate"], "Bearer")
                    self.assertNotIn(self.keys["ann"], json.dumps(body))

    def test_health_needs_no_key(self):
        for path in ("/v2/health/live", "/v2/health/ready", "/v2"):
            self.assertEqual(self.server.get(path)[0], 200)

    def test_ready_line_names_what_each_has(self):
        rows = {(m["tenant"], m["name"], m["version"]) for m in self.server.ready["models"]}
        self.assertEqual(rows, {("ann", "left", "1"), ("bob", "right", "1")})


class Overload(unittest.TestCase):
    def test_a_full_queue_answers_at_once_and_harms_nobody_else(self):
        """One lane, held by a run of bob's: ann's queue of two fills, bob's stays open."""
        keys, tenants = keyed_tenants(ann={"queue_limit": 2}, bob={"queue_limit": 2})
        with Server({"long": synthetic(mean="600s"), "m": synthetic()}, tenants,
                    args=["--lanes", "1"]) as s:
            seen = []

            def ask(name):
                seen.append((name, *s.infer("m", X, bearer(keys[name]), timeout=60)))

            held = http.client.HTTPConnection(*s.address, timeout=60)
            held.request("POST", "/v2/models/long/infer", json.dumps({"inputs": X}),
                         bearer(keys["bob"]))
            # Sockets are served in the order in which they became ready: then it has been admitted.
            self.assertEqual(s.get("/v2/health/live")[0], 200)
            threads = [threading.Thread(target=ask, args=("ann",)) for _ in range(12)]
            for t in threads:
                t.start()
            until(lambda: len(seen) == 10)  # while the lane is held
            for _, status, head, body in seen:
                self.assertEqual(status, 429, body)
                self.assertGreaterEqual(int(head["Retry-After"]), 1)
                self.assertIn("ann", body["error"])
            threads.append(threading.Thread(target=ask, args=("bob",)))
            threads[-1].start()
            held.close()  # who leaves frees the lane
            for t in threads:
                t.join()
            self.assertEqual(sorted((name, status) for name, status, _, _ in seen[10:]),
                             [("ann", 200), ("ann", 200), ("bob", 200)])

    def test_timeout_parameter(self):
        """A request whose time runs out is answered then, waiting or running."""
        with Server({"slow": synthetic(mean="5s")}, args=["--lanes", "1"]) as s:
            answers = []

            def ask():
                answers.append(s.infer("slow", X, parameters={"timeout": 100000}))

            threads = [threading.Thread(target=ask) for _ in range(2)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            self.assertEqual([a[0] for a in answers], [504, 504])


class Versions(unittest.TestCase):
    def test_highest_is_the_default(self):
        models = [{"name": "m", "path": f"v{v}.synthetic.yaml", "version": v} for v in (1, 3)]
        with Server({"v1": synthetic(outputs=[tensor("one")]),
                     "v3": synthetic(outputs=[tensor("three")])}, config={"models": models}) as s:
            rows = (("/v2/models/m", 200, "three"), ("/v2/models/m/versions/1", 200, "one"),
                    ("/v2/models/m/versions/3", 200, "three"),
                    ("/v2/models/m/versions/2", 404, None), ("/v2/models/m/versions/x", 404, None))
            for path, want, name in rows:
                with self.subTest(path=path):
                    status, _, body = s.get(path)
                    self.assertEqual(status, want)
                    if name:
                        body = json.loads(body)
                        self.assertEqual(body["outputs"][0]["name"], name)
                        self.assertEqual(body["versions"], ["1", "3"])


class Lifecycle(unittest.TestCase):
    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with self.assertRaises(StartError) as e:
                Server({"m": synthetic()}, listen=f"127.0.0.1:{port}")
            self.assertIn(str(port), e.exception.message)
            self.assertEqual(e.exception.code, 9)
            self.assertIn(f"127.0.0.1:{port}", e.exception.stderr)

    def test_drain_under_load(self):
        """SIGTERM while eight wait: all of them are answered, new ones are not, exit code 0."""
        with Server({"slow": synthetic(mean="100ms")}, args=["--lanes", "1"]) as s:
            body = json.dumps({"inputs": X}).encode()
            head = (f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\n"
                    f"Content-Length: {len(body)}\r\n\r\n").encode()
            clients = [socket.create_connection(s.address, timeout=30) for _ in range(8)]
            for c in clients:
                c.sendall(head + body)
            # Sockets are served in the order in which they became ready: when this is answered,
            # the eight before it have been read and admitted.
            self.assertEqual(s.get("/v2/health/live")[0], 200)
            s.process.send_signal(signal.SIGTERM)
            answers = []
            for c in clients:
                with c, c.makefile("rb") as f:
                    answers.append(f.read())
            self.assertTrue(all(a.startswith(b"HTTP/1.1 200") for a in answers), answers)
            self.assertIn(b"connection: close", answers[-1].lower())
            self.assertEqual(s.stop(), 0)
            with self.assertRaises(OSError):
                socket.create_connection(s.address, timeout=5)

    def test_live_comes_before_ready(self):
        """A model that takes long to load (two million recorded durations): until it is there the
        server is live, not ready, and refuses with a hint to come back."""
        with tempfile.TemporaryDirectory() as d:
            d = pathlib.Path(d)
            (d / "times.txt").write_text("1ms\n" * 2_000_000)
            spec = synthetic(service="recorded", durations_file="times.txt")
            (d / "m.synthetic.yaml").write_text(yaml.safe_dump(spec))
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = probe.getsockname()[1]
            process = subprocess.Popen([PERSEUS, "serve", "--models", str(d), "--listen",
                                        f"127.0.0.1:{port}"], stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            self.addCleanup(process.kill)
            while True:  # until it listens
                try:
                    c = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                    c.connect()
                    break
                except ConnectionRefusedError:
                    self.assertIsNone(process.poll())

            def ask(method, path, body=None):
                c.request(method, path, body)
                r = c.getresponse()
                return r.status, r.headers, r.read()

            self.assertEqual(ask("GET", "/v2/health/ready")[0], 400)
            self.assertEqual(ask("GET", "/v2/health/live")[0], 200)
            status, head, body = ask("POST", "/v2/models/m/infer", json.dumps({"inputs": X}))
            self.assertEqual(status, 503)
            self.assertGreaterEqual(int(head["Retry-After"]), 1)
            self.assertIn("not loaded yet", json.loads(body)["error"])
            self.assertEqual(ask("GET", "/v2/models/m/ready")[0], 400)
            self.assertEqual(ask("GET", "/v2/models/m")[0], 503)
            while ask("GET", "/v2/health/ready")[0] != 200:
                self.assertIsNone(process.poll())
            self.assertEqual(ask("POST", "/v2/models/m/infer", json.dumps({"inputs": X}))[0], 200)
            c.close()
            process.terminate()
            self.assertEqual(process.wait(timeout=60), 0)

    def test_second_signal_cancels(self):
        with Server({"slow": synthetic(mean="600s")}) as s:
            body = json.dumps({"inputs": X}).encode()
            with socket.create_connection(s.address, timeout=30) as c:
                c.sendall((f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
                self.assertEqual(s.get("/v2/health/live")[0], 200)
                s.process.send_signal(signal.SIGTERM)
                s.process.send_signal(signal.SIGINT)
                self.assertEqual(s.process.wait(timeout=60), 0)

    def test_drain_waits_for_a_run_whose_client_left(self):
        """SIGTERM, then the client of the running request goes: the server still gets the run back
        from its lane and accounts for it before it ends."""
        with Server({"slow": synthetic(mean="600s")}, config={"access_log": True}) as s:
            body = json.dumps({"inputs": X}).encode()
            with socket.create_connection(s.address, timeout=30) as c:
                c.sendall((f"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\n"
                           f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
                self.assertEqual(s.get("/v2/health/live")[0], 200)
                s.process.send_signal(signal.SIGTERM)
            self.assertEqual(s.process.wait(timeout=60), 0)
            lines = [json.loads(line) for line in s.stderr.splitlines() if line[:1] == "{"]
            self.assertEqual([(x["model"], x["status"]) for x in lines if x["model"]],
                             [("slow", "cancelled")])

    def test_every_thread_stays_on_its_cpus(self):
        cpu = str(max(os.sched_getaffinity(0)))
        with Server({"m": synthetic()}, args=["--cpus", cpu]) as s:
            self.assertEqual(s.ready["lanes"], 1)
            self.assertEqual(s.infer("m", X)[0], 200)
            tasks = list(pathlib.Path(f"/proc/{s.process.pid}/task").iterdir())
            self.assertGreaterEqual(len(tasks), 2)
            for task in tasks:
                allowed = [line.split()[1] for line in (task / "status").read_text().splitlines()
                           if line.startswith("Cpus_allowed_list:")]
                self.assertEqual(allowed, [cpu], (task / "comm").read_text())

    def test_cpus_that_are_not_there(self):
        with self.assertRaises(StartError) as e:
            Server({"m": synthetic()}, args=["--cpus", "1000"])
        self.assertIn("1000", e.exception.message)

    def test_idle_server_ends_at_once(self):
        for signo in (signal.SIGTERM, signal.SIGINT):
            with Server({"m": synthetic()}) as s:
                self.assertEqual(s.stop(signo), 0)


class BadConfiguration(unittest.TestCase):
    """Each mistake gets its line; --check-config finds it without starting."""

    ROWS = [
        ("unknown key", "listne: 127.0.0.1:0\n", "listne"),
        ("bad unit", "idle_timeout: 5\n", "idle"),
        ("unknown model of a tenant", "tenants: [{name: a, models: [n]}]\n", "'n'"),
        ("two without key", "tenants: [{name: a}, {name: b}]\n", "no key"),
        ("key in clear", "tenants: [{name: a, keys: [psk_secret]}]\n", "sha256:"),
        ("no file", "models: [{name: n, path: none.onnx}]\n", "none.onnx"),
        ("no kind of model", "models: [{name: n, path: x.txt}]\n", "x.txt"),
        ("bad name", "models: [{name: a/b, path: m.synthetic.yaml}]\n", "name"),
        ("twice", "models: [{name: m, path: m.synthetic.yaml}, {name: m, path: "
                  "m.synthetic.yaml}]\n", "twice"),
        ("open to the network", "listen: 0.0.0.0:0\n", "key"),
        ("no port", "listen: 127.0.0.1\n", "host:port"),
        ("port out of range", "listen: 127.0.0.1:70000\n", "70000"),
        ("nothing to serve", "models: []\n", "model"),
    ]

    def test_rows(self):
        with tempfile.TemporaryDirectory() as d:
            d = pathlib.Path(d)
            (d / "x.txt").write_text("")
            (d / "m.synthetic.yaml").write_text("inputs: [{name: x, datatype: FP32, shape: [1]}]\n"
                                                "outputs: [{name: y, datatype: FP32, shape: [1]}]\n"
                                                "service: fixed\nmean: 1ms\nmode: sleep\n")
            good = "models: [{name: m, path: m.synthetic.yaml}]\n"
            for what, text, word in [("good", "", None)] + self.ROWS:
                with self.subTest(what):
                    path = d / "serve.yaml"
                    path.write_text(text if "models: [" in text and "tenants" not in text
                                    else good + text)
                    r = run("serve", "--config", path, "--check-config")
                    if word is None:
                        self.assertEqual((r.returncode, r.stderr), (0, ""))
                        continue
                    self.assertNotEqual(r.returncode, 0)
                    self.assertGreater(r.returncode, 0, "a signal ended it")
                    self.assertIn(word, r.stderr)

    def test_nothing_given(self):
        r = run("serve")
        self.assertEqual(r.returncode, 64)
        self.assertIn("--models", r.stderr)

    def test_empty_folder(self):
        with tempfile.TemporaryDirectory() as d:
            r = run("serve", "--models", d, "--listen", "127.0.0.1:0")
            self.assertEqual(r.returncode, 4)
            self.assertIn(d, r.stderr)

    def test_keys_differ(self):
        (key1, digest1), (key2, _) = new_key(), new_key()
        self.assertNotEqual(key1, key2)
        self.assertEqual(len(key1), 47)
        self.assertEqual(digest1, "sha256:" + hashlib.sha256(key1.encode()).hexdigest())


@needs_onnxruntime
class Onnx(unittest.TestCase):
    """The engine for real models behind the same server."""

    def setUp(self):
        self.tmp = tempfile.TemporaryDirectory()
        self.addCleanup(self.tmp.cleanup)
        self.dir = pathlib.Path(self.tmp.name)
        self.env = {"XDG_CACHE_HOME": str(self.dir / "cache")}

    def test_identity(self):
        identity_onnx(self.dir / "id.onnx")
        for config in ({}, {"width": "wide"}):
            with Server({"id": self.dir / "id.onnx"}, config=config, env=self.env) as s:
                client = triton.InferenceServerClient(s.url)
                x = sample("FP32")
                y = client.infer("id", [triton_input("x", x, "FP32", True)]).as_numpy("y")
                np.testing.assert_array_equal(x, y)
                self.assertEqual(client.get_model_metadata("id")["platform"], "onnx_onnxv1")
                client.close()

    def test_threads_of_runs_are_not_nice(self):
        """The loader steps back; what the engine starts for runs must not, for it is inherited."""
        identity_onnx(self.dir / "id.onnx")
        with Server({"id": self.dir / "id.onnx"}, config={"width": "wide", "io_threads": 2},
                    env=self.env) as s:
            niceness = niceness_of(s.process.pid)
            for (thread, name), nice in niceness.items():
                if thread != s.process.pid and not name.startswith(("ps-loader", "ps-io")):
                    self.assertEqual(nice, os.nice(0), name)
            if os.cpu_count() > 1:
                self.assertTrue(any(n.startswith("ps-wide") for _, n in niceness), niceness)
            self.assert_urgent(s, [n for (t, name), n in niceness.items()
                                   if t == s.process.pid or name == "ps-io-1"])

    def assert_urgent(self, server, niceness):
        """I/O threads go before the lanes where that is permitted; else the log says so."""
        self.assertEqual(len(niceness), 2, niceness)
        may = subprocess.run([sys.executable, "-c", "import os; os.nice(-20)"],
                             capture_output=True).returncode == 0
        usual = os.nice(0)
        self.assertEqual(niceness, [-20 if may and usual == 0 else usual] * 2)
        self.assertEqual("may not become less nice" in server.stderr, not may and usual == 0)

    def test_broken_files(self):
        good = self.dir / "good.onnx"
        identity_onnx(good)
        data = good.read_bytes()
        rows = {"empty": b"", "truncated": data[: len(data) // 2], "text": b"hello\n" * 50,
                "zeros": bytes(4096)}
        for name, content in rows.items():
            with self.subTest(name):
                path = self.dir / f"{name}.onnx"
                path.write_bytes(content)
                with self.assertRaises(StartError) as e:
                    Server({name: path}, env=self.env)
                self.assertGreater(e.exception.code, 0, "a signal ended it")
                self.assertIn(f"{name}.onnx", e.exception.message)

    def test_missing_library(self):
        identity_onnx(self.dir / "id.onnx")
        with self.assertRaises(StartError) as e:
            Server({"id": self.dir / "id.onnx"}, args=["--library", "/nonexistent/lib.so"])
        self.assertIn("/nonexistent/lib.so", e.exception.message)
        self.assertEqual(e.exception.code, 4)


if __name__ == "__main__":
    unittest.main()
