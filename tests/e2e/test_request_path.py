# timeout: 240
# threads: yes
"""The path of an inference with real clients: HTTP/2, Unix sockets, gRPC streams, batches of several
tenants, cancellation, deadlines, draining and loading under load, several I/O threads."""
import contextlib
import http.client
import json
import os
import pathlib
import queue
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request

import grpc
import numpy as np
import tritonclient.grpc as tgrpc
import yaml
from tritonclient.utils import InferenceServerException

from support.perseus import Server, StartError, new_key, synthetic, tensor

LOG = {"access_log": True}


def keyed(*names, **more):
    """(keys by name, tenants of a configuration)."""
    keys, tenants = {}, []
    for name in names:
        keys[name], digest = new_key()
        tenants.append({"name": name, "keys": [digest], **more})
    return keys, tenants


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def row(*values):
    values = [float(v) for v in values]
    return [{"name": "x", "shape": [1, len(values)], "datatype": "FP32", "data": values}]


X = row(1, 2, 3, 4)


def grpc_input(array):
    x = tgrpc.InferInput("x", list(array.shape), "FP32")
    x.set_data_from_numpy(array)
    return x


def grpc_x(seed=0):
    return grpc_input(np.random.default_rng(seed).standard_normal((1, 4)).astype(np.float32))


def log_lines(server):
    """What the access log says of infer requests, in the order in which they ended."""
    lines = [json.loads(line) for line in server.stderr.splitlines() if line.startswith("{")]
    return [line for line in lines if line["log"] == "access" and line["model"]]


def thread_names(pid):
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # it may end meanwhile
            yield (task / "comm").read_text().strip()


def together(*calls):
    """Runs the calls in threads of their own; their results in order."""
    results = [None] * len(calls)

    def run(i):
        results[i] = calls[i]()

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


class Wires(unittest.TestCase):
    def test_curl_over_http2(self):
        with Server({"m": synthetic()}) as s:
            out = subprocess.run(
                ["curl", "-sS", "--http2-prior-knowledge", "-w", "\n%{http_version} %{http_code}",
                 "-d", json.dumps({"inputs": X, "id": "z"}), f"{s.http}/v2/models/m/infer"],
                capture_output=True, text=True, timeout=30, check=True).stdout
            body, _, tail = out.rpartition("\n")
            self.assertEqual(tail, "2 200")
            self.assertEqual(json.loads(body)["outputs"], s.infer("m", X)[2]["outputs"])
            self.assertEqual(json.loads(body)["id"], "z")

    def test_unix_socket(self):
        with tempfile.TemporaryDirectory() as d:
            path = f"{d}/s"
            with Server({"m": synthetic()}, listen=f"unix:{path}") as s:
                for flags in ([], ["--http2-prior-knowledge"]):
                    out = subprocess.run(
                        ["curl", "-sS", *flags, "--unix-socket", path, "-d",
                         json.dumps({"inputs": X}), "http://x/v2/models/m/infer"],
                        capture_output=True, text=True, timeout=30, check=True).stdout
                    self.assertEqual(json.loads(out)["model_name"], "m")
                self.assertEqual(s.stop(), 0)
            self.assertFalse(os.path.exists(path))

    def test_several_io_threads(self):
        """Connections on all of them, one tenant's batch from several: everybody gets their own."""
        with Server({"m": synthetic(mean="2ms")}, config={**LOG, "io_threads": 3},
                    model_keys={"max_batch": 8}) as s:
            want = {i: s.infer("m", row(i, 0, 0, 0))[2]["outputs"][0]["data"] for i in range(24)}

            def ask(i):
                got = []
                for _ in range(10):
                    got.append(s.infer("m", row(i, 0, 0, 0))[2]["outputs"][0]["data"])
                return got

            for i, got in enumerate(together(*[lambda i=i: ask(i) for i in range(24)])):
                self.assertTrue(all(g == want[i] for g in got), i)
            threads = set(thread_names(s.process.pid))
            self.assertTrue({"ps-io-1", "ps-io-2"} <= threads, threads)

    def test_operator_runs_no_models(self):
        key, digest = new_key()
        _, tenants = keyed("a")
        with Server({"m": synthetic()}, tenants, config={"admin_keys": [digest]}) as s:
            status, _, body = s.infer("m", X, bearer(key))
            self.assertEqual((status, "operator" in body["error"]), (403, True))
            self.assertEqual(s.get("/v2/models/m", headers=bearer(key))[0], 200)

    def test_body_limit_of_a_tenant(self):
        keys, tenants = keyed("small", "large")
        tenants[0]["max_body"] = "1KiB"
        with Server({"m": synthetic()}, tenants) as s:
            client = tgrpc.InferenceServerClient(s.ready["grpc"])
            self.addCleanup(client.close)
            for n, want in ((8, {"small": 200, "large": 200}), (600, {"small": 413, "large": 200})):
                data = np.zeros((n, 4), np.float32)
                for name, code in want.items():
                    with self.subTest(rows=n, tenant=name):
                        body = data.tobytes()
                        head = {"Inference-Header-Content-Length": "0", **bearer(keys[name])}
                        one = s.get("/v2/models/m/infer", "POST", body, head)
                        # A raw body has one row: only its size is of interest here.
                        self.assertEqual(one[0] == 413, code == 413, one)
                        ask = lambda: client.infer(
                            "m", [grpc_input(data)],
                            headers={"authorization": f"Bearer {keys[name]}"})
                        if code == 200:
                            self.assertEqual(ask().as_numpy("y").shape, (n, 4))
                        else:
                            with self.assertRaises(InferenceServerException) as e:
                                ask()
                            self.assertIn("RESOURCE_EXHAUSTED", e.exception.status())


class Batches(unittest.TestCase):
    def test_two_tenants_in_one_batch(self):
        """While the one lane is busy, requests of two tenants come: some run together, and each gets
        the answer that it would have had alone."""
        keys, tenants = keyed("ann", "bob", "carl")
        with Server({"m": synthetic(mean="20ms"), "block": synthetic(mean="200ms")}, tenants,
                    config=LOG, args=["--lanes", "1"], model_keys={"max_batch": 8}) as s:
            def ask(name, i, model="m"):
                status, _, body = s.infer(model, row(i, i, i, i), bearer(keys[name]))
                return status, body["outputs"][0]["data"]

            alone = [ask("ann", i) for i in range(16)]
            for _ in range(3):
                blocker = threading.Thread(target=ask, args=("carl", 0, "block"))
                blocker.start()
                got = together(*[lambda i=i: ask("ann" if i % 2 else "bob", i) for i in range(16)])
                blocker.join()
                self.assertEqual(got, alone)
            self.assertEqual(s.stop(), 0)
            runs = {}
            for line in log_lines(s):
                if line["batch_rows"] > 1:
                    began = round(line["admitted_ns"] / 1e3 + line["queue_us"])
                    runs.setdefault(began, []).append(line)
            for lines in runs.values():
                self.assertEqual({line["batch_rows"] for line in lines}, {len(lines)})
            mixed = [lines for lines in runs.values() if len({x["tenant"] for x in lines}) > 1]
            self.assertTrue(mixed, runs)

    def test_shapes_that_differ_are_not_mixed(self):
        with Server({"m": synthetic([tensor("x", shape=(-1, -1))], [tensor("y", shape=(-1, 2))],
                                    mean="100ms")}, config=LOG, args=["--lanes", "1"],
                    model_keys={"max_batch": 8}) as s:
            bodies = [row(*range(1 + i % 2 * 3)) for i in range(8)]
            alone = [s.infer("m", b)[2]["outputs"] for b in bodies[:2]]
            got = together(*[lambda b=b: s.infer("m", b) for b in bodies])
            for i, g in enumerate(got):
                self.assertEqual((g[0], g[2]["outputs"]), (200, alone[i % 2]))

    def test_batch_size_limit(self):
        with Server({"m": synthetic()}, model_keys={"max_batch": 4}) as s:
            for n, want in ((1, 200), (4, 200), (5, 400), (0, 400)):
                inputs = [{"name": "x", "shape": [n, 4], "datatype": "FP32", "data": [1.0] * (4 * n)}]
                status, _, body = s.infer("m", inputs)
                self.assertEqual(status, want, body)
                if want == 400:
                    self.assertIn("batch-size must be", body["error"])


class Streams(unittest.TestCase):
    """ModelStreamInfer: several requests under way, errors in the stream, ids echoed."""

    def setUp(self):
        self.server = self.enterContext(Server(
            {"fast": synthetic(mean="1ms"), "slow": synthetic(mean="2s")}, args=["--lanes", "2"]))
        self.client = tgrpc.InferenceServerClient(self.server.ready["grpc"])
        self.addCleanup(self.client.close)

    def stream(self, requests):
        answers = queue.Queue()
        self.client.start_stream(lambda result, error: answers.put((result, error)))
        for model, request_id in requests:
            self.client.async_stream_infer(model, [grpc_x()], request_id=request_id)
        got = [answers.get(timeout=30) for _ in requests]
        self.client.stop_stream()
        return got

    def test_answers_come_as_they_are_done(self):
        got = self.stream([("slow", "1"), ("fast", "2"), ("fast", "3")])
        self.assertEqual([e for _, e in got], [None] * 3)
        ids = [r.get_response().id for r, _ in got]
        self.assertEqual(ids[-1], "1")
        self.assertEqual(set(ids), {"1", "2", "3"})

    def test_an_error_does_not_end_the_stream(self):
        got = self.stream([("nobody", "1"), ("fast", "2")])
        errors = [e for _, e in got if e]
        self.assertEqual(len(errors), 1)
        self.assertIn("nobody", errors[0].message())
        self.assertEqual([r.get_response().id for r, e in got if not e], ["2"])

    def test_many_in_one_stream(self):
        """More than may be under way at once: flow control holds the rest back, all are answered."""
        got = self.stream([("fast", str(i)) for i in range(200)])
        self.assertEqual([e for _, e in got if e], [])
        self.assertEqual({r.get_response().id for r, _ in got}, {str(i) for i in range(200)})


class Deadlines(unittest.TestCase):
    def test_running_past_its_deadline(self):
        with Server({"slow": synthetic(mean="20s")}, args=["--lanes", "1"]) as s:
            client = tgrpc.InferenceServerClient(s.ready["grpc"])
            self.addCleanup(client.close)
            began = time.monotonic()
            with self.assertRaises(InferenceServerException) as e:
                client.infer("slow", [grpc_x()], client_timeout=0.3)
            self.assertIn("DEADLINE", e.exception.status())
            with self.assertRaises(InferenceServerException) as e:
                client.infer("slow", [grpc_x()], timeout=300000)
            self.assertIn("DEADLINE", e.exception.status())
            self.assertLess(time.monotonic() - began, 19)
            # Both runs were stopped: the lane is free for a third one, which is stopped as well.
            self.assertEqual(s.infer("slow", X, parameters={"timeout": 200000})[0], 504)

    def test_what_cannot_be_met_is_refused_at_once(self):
        """Once a run is known to take 300 ms, a request with 50 ms is not even queued."""
        with Server({"slow": synthetic(mean="300ms")}, args=["--lanes", "1"], config=LOG) as s:
            for _ in range(10):
                self.assertEqual(s.infer("slow", X)[0], 200)
            status, _, _ = s.infer("slow", X, parameters={"timeout": 50000})
            self.assertEqual(status, 504)
            self.assertEqual(s.infer("slow", X, parameters={"timeout": 5000000})[0], 200)
            self.assertEqual(s.stop(), 0)
            refused = [line for line in log_lines(s) if line["code"] == 504]
            self.assertEqual(len(refused), 1)
            self.assertEqual(refused[0]["outcome"], "deadline")
            self.assertEqual(refused[0]["compute_us"], 0)


def wait_until_it_runs(server):
    end = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"http://{server.ready['metrics']}/metrics", timeout=30) as page:
            if b"\nperseus_lanes_busy 1\n" in page.read():
                return
        if time.monotonic() > end:
            raise AssertionError("no run began")


class Cancellation(unittest.TestCase):
    def check(self, leave):
        """Somebody asks for a run of ten minutes and leaves: the lane is free for the next one."""
        with Server({"long": synthetic(mean="600s"), "m": synthetic()}, args=["--lanes", "1"],
                    config=LOG) as s:
            leave(s)
            self.assertEqual(s.infer("m", X, timeout=60)[0], 200)
            self.assertEqual(s.stop(), 0)
            lines = [line for line in log_lines(s) if line["model"] == "long"]
            self.assertEqual([line["status"] for line in lines], ["cancelled"])

    def test_http(self):
        def leave(s):
            c = http.client.HTTPConnection(*s.address, timeout=30)
            c.request("POST", "/v2/models/long/infer", json.dumps({"inputs": X}))
            wait_until_it_runs(s)
            c.close()

        self.check(leave)

    def test_grpc(self):
        def leave(s):
            with contextlib.closing(tgrpc.InferenceServerClient(s.ready["grpc"])) as client:
                call = client.async_infer("long", [grpc_x()], callback=lambda result, error: None)
                wait_until_it_runs(s)
                call.cancel()

        self.check(leave)

    def test_grpc_stream(self):
        def leave(s):
            with contextlib.closing(tgrpc.InferenceServerClient(s.ready["grpc"])) as client:
                client.start_stream(lambda result, error: None)
                client.async_stream_infer("long", [grpc_x()])
                wait_until_it_runs(s)
                client.stop_stream(cancel_requests=True)

        self.check(leave)


class Load:
    """Closed loops over HTTP/1.1 (connections stay open) and gRPC, until told to stop."""

    def __init__(self, server, http_clients=4, grpc_clients=2, headers=None):
        self.server, self.headers = server, headers or {}
        self.stopping, self.done, self.wrong = threading.Event(), [0], []
        self.threads = [threading.Thread(target=self.http) for _ in range(http_clients)]
        self.threads += [threading.Thread(target=self.grpc) for _ in range(grpc_clients)]

    def __enter__(self):
        for t in self.threads:
            t.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        for t in self.threads:
            t.join()

    def http(self):
        body = json.dumps({"inputs": X}).encode()
        c = http.client.HTTPConnection(*self.server.address, timeout=60)
        try:
            while not self.stopping.is_set():
                c.request("POST", "/v2/models/m/infer", body, self.headers)
                answer = c.getresponse()
                answer.read()
                if answer.status != 200:
                    self.wrong.append(("http", answer.status, answer.reason))
                self.done[0] += 1
                if answer.will_close:
                    return
        except (OSError, http.client.HTTPException) as e:
            self.wrong.append(("http", repr(e)))
        finally:
            c.close()

    def grpc(self):
        with contextlib.closing(tgrpc.InferenceServerClient(self.server.ready["grpc"])) as client:
            x = [grpc_x()]
            while not self.stopping.is_set():
                try:
                    client.infer("m", x, headers={k.lower(): v for k, v in self.headers.items()})
                    self.done[0] += 1
                except InferenceServerException as e:
                    # A channel that has been told to go away connects anew, and finds nobody: what
                    # it was asked meanwhile never reached the server.
                    if "connect" not in e.message().lower():
                        self.wrong.append(("grpc", e.status(), e.message()))
                    return

    def wait(self, n):
        end, at = time.monotonic() + 60, self.done[0]
        while self.done[0] < at + n and not self.wrong and time.monotonic() < end:
            time.sleep(0.005)
        return self.done[0] >= at + n


class UnderLoad(unittest.TestCase):
    def test_drain_loses_nothing(self):
        for round_number in range(3):
            with Server({"m": synthetic(mean="3ms")}, args=["--lanes", "2"]) as s:
                with Load(s) as load:
                    self.assertTrue(load.wait(100), load.wrong)
                    s.process.send_signal(signal.SIGTERM)
                    self.assertEqual(s.process.wait(timeout=60), 0)
                    load.stopping.set()
                self.assertEqual(load.wrong, [], round_number)

    def test_other_models_come_and_go(self):
        keys, tenants = keyed("a")
        admin, digest = new_key()
        models = {"m": synthetic(mean="2ms"), "n": synthetic(load_time="30ms", memory="8MiB")}
        with Server(models, tenants, config={"admin_keys": [digest]}) as s:
            with Load(s, headers=bearer(keys["a"])) as load:
                for _ in range(10):
                    for verb in ("unload", "load"):
                        status, _, body = s.get(f"/v2/repository/models/n/{verb}", "POST", b"{}",
                                                bearer(admin))
                        self.assertEqual(status, 200, body)
                        want = 200 if verb == "load" else 404
                        self.assertEqual(s.infer("n", X, bearer(keys["a"]))[0], want)
                self.assertTrue(load.wait(50), load.wrong)
            self.assertEqual(load.wrong, [])

    def test_the_model_itself_is_replaced(self):
        """Its file changes ten times and is loaded again: every request is answered, by the old one
        or the new one; then a broken file leaves the last good one serving and says why."""
        admin, digest = new_key()
        keys, tenants = keyed("a")
        with tempfile.TemporaryDirectory() as d:
            path = pathlib.Path(d, "m.synthetic.yaml")

            def write(**more):
                new = pathlib.Path(d, "new")
                new.write_text(yaml.safe_dump(synthetic(mean="2ms", load_time="20ms", **more)))
                new.rename(path)

            def load_again():
                return s.get("/v2/repository/models/m/load", "POST", b"{}", bearer(admin))

            write(seed=0)
            with Server(config={"admin_keys": [digest], "model_repository": [d]},
                        tenants=tenants) as s:
                def answer():
                    return s.infer("m", X, bearer(keys["a"]))[2]["outputs"][0]["data"]

                with Load(s, headers=bearer(keys["a"])) as load:
                    seen = [answer()]
                    for seed in range(1, 11):
                        write(seed=seed)
                        self.assertEqual(load_again()[0], 200)
                        seen.append(answer())
                    self.assertEqual(len({tuple(x) for x in seen}), 11)
                    write(seed=11, broken="it fell from the table")
                    status, _, body = load_again()
                    self.assertNotEqual(status, 200)
                    self.assertIn("fell from the table", json.loads(body)["error"])
                    self.assertEqual(answer(), seen[-1])
                    self.assertTrue(load.wait(50), load.wrong)
                self.assertEqual(load.wrong, [])


class Start(unittest.TestCase):
    def test_a_model_that_fails(self):
        models = {"good": synthetic(), "bad": synthetic(broken="no such luck")}
        with self.assertRaises(StartError) as e:
            Server(models)
        self.assertIn("no such luck", e.exception.message)
        with Server(models, config={"exit_on_error": False}) as s:
            self.assertEqual(s.infer("good", X)[0], 200)
            status, _, body = s.infer("bad", X)
            self.assertEqual(status, 404)
            self.assertIn("has no available versions", body["error"])
            self.assertIn("no such luck", body["error"])
            self.assertEqual(s.get("/v2/models/bad/ready")[0], 400)
            self.assertEqual(s.get("/v2/health/ready")[0], 200)

    def test_stop_while_loading(self):
        """A model takes ten minutes to load; SIGTERM ends the server all the same."""
        with tempfile.TemporaryDirectory() as d:
            pathlib.Path(d, "m.synthetic.yaml").write_text(yaml.safe_dump(
                synthetic(load_time="600s")))
            process = subprocess.Popen(
                [os.environ["PERSEUS"], "serve", "--models", d, "--listen", "127.0.0.1:0",
                 "--grpc", "off", "--metrics", "127.0.0.1:0"], stderr=subprocess.PIPE)
            self.addCleanup(process.stderr.close)
            self.addCleanup(process.kill)
            end = time.monotonic() + 30
            while not any("ps-loader" in name for name in thread_names(process.pid)):
                self.assertLess(time.monotonic(), end)
                self.assertIsNone(process.poll())
            process.terminate()
            self.assertIn(process.wait(timeout=30), (0, -signal.SIGTERM))


if __name__ == "__main__":
    unittest.main()
