# timeout: 180
# threads: yes
"""Operating a server: metrics, statistics, logs, reloads, keys, models over the API, the ledger."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.environ["PS_SOURCE_DIR"], "tests/support"))
import perseus  # noqa: E402
from perseus import Server, new_key, run, synthetic, until  # noqa: E402

import http.client  # noqa: E402
import urllib.error  # noqa: E402
import urllib.request  # noqa: E402

import grpc  # noqa: E402
import yaml  # noqa: E402
from tritonclient.grpc import service_pb2, service_pb2_grpc  # noqa: E402

X = {"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Operated(Server):
    """A server with tenants a and b (with keys), an operator's key, and helpers to ask as them."""

    def __init__(self, models=None, tenants=None, config=None, **more):
        self.keys, digests = {}, {}
        for name in ("a", "b", "admin"):
            self.keys[name], digests[name] = new_key()
        self.tenants = tenants or [{"name": "a", "sla": "p99<=10s"}, {"name": "b"}]
        for t in [t for t in self.tenants if t["name"] in digests]:
            t["keys"] = [digests[t["name"]]]
        config = {"admin_keys": [digests["admin"]], **(config or {})}
        super().__init__(models=models or {"m": synthetic(), "n": synthetic()},
                         tenants=self.tenants, config=config, **more)

    def ask(self, who, path, method="GET", body=None, metrics=False, headers=None):
        """(status, JSON or text) as a tenant, the operator ("admin") or nobody (None)."""
        base = "http://" + self.ready["metrics"] if metrics else self.http
        head = {"Authorization": "Bearer " + self.keys[who]} if who else {}
        request = urllib.request.Request(base + path, data=body, method=method,
                                         headers={**head, **(headers or {})})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                status, data = answer.status, answer.read()
        except urllib.error.HTTPError as e:
            with e:
                status, data = e.code, e.read()
        text = data.decode()
        return status, json.loads(text) if text[:1] in ("{", "[") else text

    def infer_as(self, who, model="m", headers=None, inputs=None):
        return self.infer(model, inputs or [X], {"Authorization": "Bearer " + self.keys[who],
                                                  **(headers or {})})

    def metrics(self, who):
        """Sample -> value, the sample written as in the text."""
        status, text = self.ask(who, "/metrics", metrics=True)
        if status != 200:
            raise AssertionError(f"{status}: {text}")
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
                for line in text.splitlines() if line and not line.startswith("#")}

    def config_path(self):
        return self.dir / "serve.yaml"

    def edit(self, **changes):
        whole = yaml.safe_load(self.config_path().read_text())
        whole.update(changes)
        self.config_path().write_text(yaml.safe_dump(whole, sort_keys=False))

    def log(self):
        return [json.loads(x) for x in self.stderr.split("\n")[:-1] if x.startswith("{")]


class Metrics(unittest.TestCase):
    def test_each_sees_its_own(self):
        with Operated() as s:
            for _ in range(3):
                self.assertEqual(s.infer_as("a")[0], 200)
            self.assertEqual(s.infer_as("b", "n")[0], 200)
            bad = s.infer_as("a", inputs=[{**X, "shape": [1, 5], "data": [1, 2, 3, 4, 5]}])
            self.assertEqual(bad[0], 400)
            a, b, all_ = (s.metrics(x) for x in ("a", "b", "admin"))
            ok = 'perseus_requests_total{tenant="%s",model="%s",version="1",outcome="ok"}'
            self.assertEqual(a[ok % ("a", "m")], 3)
            self.assertEqual(all_[ok % ("a", "m")], 3)
            self.assertEqual(all_[ok % ("b", "n")], 1)
            self.assertFalse([k for k in a if '"b"' in k or '"n"' in k])
            self.assertFalse([k for k in b if '"a"' in k or '"m"' in k])
            self.assertFalse([k for k in a if k.startswith(("process_", "perseus_lanes"))])
            self.assertGreater(all_["process_resident_memory_bytes"], 1e6)
            self.assertEqual(a['nv_inference_request_success{model="m",version="1"}'], 3)
            self.assertEqual(a['perseus_requests_total{tenant="a",model="m",version="1",'
                               'outcome="invalid"}'], 1)
            self.assertEqual(a['perseus_sla_requests_total{tenant="a",model="m",version="1"}'], 3)
            self.assertEqual(a['perseus_sla_good_total{tenant="a",model="m",version="1"}'], 3)
            self.assertEqual(a['perseus_request_duration_seconds_bucket{tenant="a",model="m",'
                               'version="1",le="+Inf"}'], 3)
            self.assertEqual(s.ask(None, "/metrics", metrics=True)[0], 401)
            after = s.metrics("admin")
            self.assertEqual(after['perseus_key_failures_total{reason="missing"}'], 1)
            self.assertGreaterEqual(after['perseus_model_loads_total{model="m",version="1",'
                                          'result="ok"}'], 1)

    def test_page_is_well_formed(self):
        """One HELP and TYPE per name, before its samples; its samples together; none twice."""
        with Operated() as s:
            s.infer_as("a")
            text = s.ask("admin", "/metrics", metrics=True)[1]
            self.assertTrue(text.endswith("\n"))
            done, seen, current = set(), set(), None
            for line in text.splitlines():
                kind, name = (line.split(" ")[1:3] if line.startswith("#") else
                              ("", line.split("{")[0].split(" ")[0]))
                if kind == "HELP":
                    self.assertNotIn(name, done)
                    done.add(name)
                    current = name
                    continue
                if not kind:
                    self.assertNotIn(line.rsplit(" ", 1)[0], seen)
                    seen.add(line.rsplit(" ", 1)[0])
                    for suffix in ("_bucket", "_sum", "_count"):
                        if name != current and name.endswith(suffix):
                            name = name[:-len(suffix)]
                self.assertEqual(name, current)

    def test_bound_on_series(self):
        with Operated(config={"metrics_series": 1}) as s:
            s.infer_as("a")
            for _ in range(2):
                s.infer_as("b")
                s.infer_as("b", "n")
            all_, b = s.metrics("admin"), s.metrics("b")
            ok = 'perseus_requests_total{tenant="%s",model="%s",version="%s",outcome="ok"}'
            self.assertEqual(all_[ok % ("a", "m", "1")], 1)
            self.assertEqual(all_[ok % ("other", "other", "")], 4)
            self.assertEqual(b[ok % ("b", "n", "1")], 2)  # its own page has all of its own

    def test_without_keys_everybody_is_local(self):
        with Server(models={"m": synthetic()}) as s:
            s.infer("m", [X])
            with urllib.request.urlopen("http://" + s.ready["metrics"] + "/metrics") as answer:
                self.assertIn("version=0.0.4", answer.headers["Content-Type"])
                self.assertIn("process_cpu_seconds_total", answer.read().decode())


class Statistics(unittest.TestCase):
    def test_each_sees_its_own(self):
        with Operated() as s:
            for _ in range(2):
                s.infer_as("a")
            s.infer_as("b")
            for who, count in (("a", 2), ("b", 1), ("admin", 3)):
                status, body = s.ask(who, "/v2/models/m/stats")
                self.assertEqual(status, 200)
                row = body["model_stats"][0]
                self.assertEqual(row["inference_count"], count, who)
                self.assertEqual(row["inference_stats"]["success"]["count"], count)
                self.assertEqual(sum(x["compute_infer"]["count"] for x in row["batch_stats"]),
                                 row["execution_count"])
                for key in ("success", "fail", "queue", "compute_input", "compute_infer",
                            "compute_output", "cache_hit", "cache_miss"):
                    self.assertIn("ns", row["inference_stats"][key])
            self.assertEqual(len(s.ask("a", "/v2/models/stats")[1]["model_stats"]), 2)
            self.assertEqual(s.ask("a", "/v2/models/x/stats")[0], 404)

    def test_models_of_others_are_not_there(self):
        tenants = [{"name": "a", "models": ["m"]}, {"name": "b", "models": ["n"]}]
        with Operated(tenants=tenants) as s:
            s.infer_as("b", "n")
            self.assertEqual(s.ask("a", "/v2/models/n/stats")[0], 404)
            self.assertEqual(s.ask("a", "/v2/models/n/config")[0], 404)
            names = lambda who: [x["name"] for x in s.ask(who, "/v2/repository/index", "POST")[1]]
            self.assertEqual(names("a"), ["m"])
            self.assertEqual(names("admin"), ["m", "n"])
            self.assertEqual([x["name"] for x in s.ask("a", "/v2/perseus/tenants")[1]["tenants"]],
                             ["a"])
            self.assertEqual(s.ask("a", "/v2/perseus/tenants/b")[0], 404)
            self.assertEqual(s.ask("a", "/v2/perseus/status")[0], 403)
            self.assertEqual(s.ask("admin", "/v2/perseus/status")[1]["tenants"], 2)


class Logs(unittest.TestCase):
    def test_access_log(self):
        with Operated(config={"access_log": True}) as s:
            status, head, _ = s.infer_as("a", headers={"traceparent": TRACE})
            self.assertEqual(status, 200)
            self.assertEqual(head["traceparent"].split("-")[1], TRACE.split("-")[1])
            self.assertNotEqual(head["traceparent"].split("-")[2], TRACE.split("-")[2])
            s.infer_as("b", inputs=[{**X, "datatype": "INT8"}])
            rows = until(lambda: len(s.log()) >= 2 and s.log())
            first, second = rows
            self.assertEqual((first["tenant"], first["model"], first["version"], first["status"],
                              first["code"], first["rows"]), ("a", "m", "1", "ok", 200, 1))
            self.assertEqual(first["trace_id"], TRACE.split("-")[1])
            self.assertEqual(first["parent_id"], TRACE.split("-")[2])
            self.assertEqual(first["span_id"], head["traceparent"].split("-")[2])
            self.assertLessEqual(first["received_ns"], first["admitted_ns"])
            self.assertLess(first["admitted_ns"], first["sent_ns"])
            self.assertGreater(first["compute_us"], 900)
            self.assertEqual((second["tenant"], second["outcome"], second["code"]),
                             ("b", "invalid", 400))
            self.assertIn("error", second)

    def test_lines_are_written_whole(self):
        """Two threads write to stderr: no write of one ends within a line."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        body = json.dumps({"inputs": [{**X, "datatype": "INT8"}]}).encode()
        n, seen = 200, []
        with ours, Server({"m": synthetic()}, config={"access_log": True},
                          stderr_fd=theirs.fileno()) as s:
            theirs.close()
            ours.settimeout(30)
            with socket.create_connection(s.address) as c:
                c.sendall((b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n"
                           b"Content-Length: %d\r\n\r\n" % len(body) + body) * n)
                while b"".join(seen).count(b'"log":"access"') < n:
                    seen.append(ours.recv(1 << 20))
        self.assertGreater(max(map(len, seen)), 2048)  # several lines at once, or nothing is shown
        self.assertEqual([x for x in seen if not x.endswith(b"\n")], [])

    def test_sample_and_slow(self):
        config = {"access_log": True, "access_log_sample": "25%", "slow_request": "50ms",
                  "access_log_file": "access.json"}
        models = {"m": synthetic(), "slow": synthetic(mean="80ms")}
        with Operated(models=models, config=config) as s:
            for _ in range(40):
                s.infer_as("a")
            s.infer_as("a", "slow")
            path = s.dir / "access.json"
            rows = lambda: [json.loads(x) for x in path.read_text().split("\n")[:-1]]
            slow = until(lambda: [x for x in rows() if x["log"] == "slow"])[0]
            self.assertEqual(len([x for x in rows() if x["log"] == "access"]), 10)
            instants = [slow[k] for k in ("received_ns", "admitted_ns", "started_ns", "input_ns",
                                          "computed_ns", "finished_ns", "sent_ns")]
            self.assertEqual(instants, sorted(instants))
            self.assertGreater(instants[0], 0)
            # rotated: a reload opens a new file
            path.rename(s.dir / "old.json")
            s.process.send_signal(signal.SIGHUP)
            until(path.exists)


class Reload(unittest.TestCase):
    def test_tenants_come_and_go(self):
        with Operated() as s:
            key, digest = new_key()
            s.keys["c"] = key
            self.assertEqual(s.infer_as("c")[0], 401)
            s.edit(tenants=[s.tenants[0], {"name": "c", "keys": [digest], "models": ["m"]}])
            s.process.send_signal(signal.SIGHUP)
            until(lambda: s.infer_as("c")[0] == 200)
            self.assertEqual(s.infer_as("b")[0], 401)
            self.assertEqual(s.infer_as("c", "n")[0], 404)
            self.assertEqual(s.infer_as("a")[0], 200)

    def test_refused_whole(self):
        with Operated() as s:
            good = s.config_path().read_text()
            for change, line in (({"tenants": [{"name": "a b"}]}, True), ({"lanes": "many"}, True),
                                 ({"models": [{"name": "m", "path": "none.onnx"}]}, True)):
                s.edit(**change)
                status, body = s.ask("admin", "/v2/perseus/reload", "POST")
                self.assertGreaterEqual(status, 400)
                self.assertIn("serve.yaml:", body["error"])
                self.assertEqual((s.infer_as("a")[0], s.infer_as("b", "n")[0]), (200, 200))
                s.config_path().write_text(good)
            self.assertIn("reload", s.stderr)
            self.assertIn("serve.yaml:", s.stderr)
            status, body = s.ask("admin", "/v2/perseus/reload", "POST")
            self.assertEqual((status, body["generation"], body["needs_restart"]), (200, 2, ""))
            s.edit(lanes=7, max_streams=9)
            body = s.ask("admin", "/v2/perseus/reload", "POST")[1]
            self.assertEqual(body["needs_restart"], "lanes, max_streams")
            s.edit(max_streams=128)  # as at the start; the lanes are still another number
            body = s.ask("admin", "/v2/perseus/reload", "POST")[1]
            self.assertEqual(body["needs_restart"], "lanes")
            self.assertEqual(s.ask("a", "/v2/perseus/reload", "POST")[0], 403)

    def test_larger_bodies(self):
        """max_body holds for what comes after the reload, on connections that are open already."""
        large = [{**X, "shape": [1000, 4], "data": [1] * 4000}]
        body = json.dumps({"inputs": large}).encode()
        with Operated(config={"max_body": "4KiB"}) as s:
            plain = http.client.HTTPConnection(*s.address, timeout=30)
            channel = grpc.insecure_channel(s.ready["grpc"])
            self.addCleanup(channel.close)
            message = service_pb2.ModelInferRequest(model_name="m", inputs=[
                {"name": "x", "datatype": "FP32", "shape": [1000, 4]}],
                raw_input_contents=[bytes(16000)])
            as_a = "Bearer " + s.keys["a"]

            def over_http1():
                plain.request("POST", "/v2/models/m/infer", body, {"Authorization": as_a})
                answer = plain.getresponse()
                answer.read()
                return answer.status

            def over_http2():
                done = subprocess.run(
                    ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}",
                     "--http2-prior-knowledge", "-H", "Authorization: " + as_a,
                     "--data-binary", "@-", s.http + "/v2/models/m/infer"],
                    input=body, capture_output=True, timeout=30, check=False)
                # 92: the stream was closed while curl still sent, and it lost the answer
                return 413 if done.returncode == 92 else int(done.stdout)

            def over_grpc():
                stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
                try:
                    stub.ModelInfer(message, metadata=[("authorization", as_a)], timeout=30)
                except grpc.RpcError as e:
                    return e.code()
                return grpc.StatusCode.OK

            ask = lambda: (over_http1(), over_http2(), over_grpc())
            self.assertEqual(ask(), (413, 413, grpc.StatusCode.RESOURCE_EXHAUSTED))
            s.edit(max_body="1MiB")
            reloaded = s.ask("admin", "/v2/perseus/reload", "POST")
            self.assertEqual((reloaded[0], reloaded[1]["needs_restart"]), (200, ""))
            until(lambda: ask() == (200, 200, grpc.StatusCode.OK))
            plain.close()

    def test_models_come_and_go(self):
        with Operated() as s:
            (s.dir / "o.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))
            whole = yaml.safe_load(s.config_path().read_text())
            s.edit(models=[m for m in whole["models"] if m["name"] != "n"] +
                   [{"name": "o", "path": "o.synthetic.yaml"}])
            body = s.ask("admin", "/v2/perseus/reload", "POST")[1]
            self.assertEqual((body["models_added"], body["models_removed"]), (1, 1))
            until(lambda: s.infer_as("a", "o")[0] == 200)
            self.assertEqual(s.infer_as("a", "n")[0], 404)
            self.assertEqual(s.infer_as("a", "m")[0], 200)


class Keys(unittest.TestCase):
    def test_create_list_revoke(self):
        with Operated(config={"keys_file": "keys.yaml"}) as s:
            path = str(s.config_path())
            made = run("serve", "keys", "create", "--config", path, "--tenant", "a", "--json")
            self.assertEqual(made.returncode, 0, made.stderr)
            row = json.loads(made.stdout)
            s.keys["new"] = row["key"]
            self.assertEqual(s.infer_as("new")[0], 401)  # not before a reload
            self.assertEqual(s.ask("admin", "/v2/perseus/reload", "POST")[0], 200)
            self.assertEqual(s.infer_as("new")[0], 200)
            listed = run("serve", "keys", "list", "--config", path, "--json").stdout
            self.assertEqual(len(json.loads(listed)), 4)
            self.assertNotIn(row["key"], listed)
            self.assertNotIn(row["key"], (s.dir / "keys.yaml").read_text())
            gone = run("serve", "keys", "revoke", row["digest"][7:17], "--config", path)
            self.assertEqual(gone.returncode, 0, gone.stderr)
            self.assertEqual(s.ask("admin", "/v2/perseus/reload", "POST")[0], 200)
            self.assertEqual(s.infer_as("new")[0], 401)
            for args in (("--tenant", "z"), (), ("--tenant", "a", "--admin")):
                self.assertNotEqual(
                    run("serve", "keys", "create", "--config", path, *args).returncode, 0)


    def test_revoking_the_last_key_opens_nothing(self):
        with Operated(config={"keys_file": "keys.yaml"}, tenants=[{"name": "a"}, {"name": "z"}]) as s:
            path = str(s.config_path())
            made = json.loads(run("serve", "keys", "create", "--config", path, "--tenant", "z",
                                  "--json").stdout)
            s.keys["z"] = made["key"]
            self.assertEqual(s.ask("admin", "/v2/perseus/reload", "POST")[0], 200)
            self.assertEqual(s.infer_as("z")[0], 200)
            run("serve", "keys", "revoke", made["digest"], "--config", path)
            self.assertEqual(s.ask("admin", "/v2/perseus/reload", "POST")[0], 200)
            self.assertEqual(s.infer_as("z")[0], 401)
            self.assertEqual(s.infer("m", [X])[0], 401)


class Models(unittest.TestCase):
    def setUp(self):
        self.repo = pathlib.Path(tempfile.mkdtemp(prefix="perseus-repo-"))
        self.addCleanup(shutil.rmtree, self.repo)

    def put(self, name, version=1, config=None, **more):
        folder = self.repo / name / str(version)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "model.synthetic.yaml").write_text(yaml.safe_dump(synthetic(**more)))
        if config:
            (self.repo / name / "config.pbtxt").write_text(config)

    def load(self, s, who, name, what="load", **parameters):
        body = json.dumps({"parameters": parameters} if parameters else {}).encode()
        return s.ask(who, f"/v2/repository/models/{name}/{what}", "POST", body)

    def test_load_and_unload(self):
        self.put("p")
        tenants = [{"name": "a", "may_load": True, "models": ["p"]}, {"name": "b"}]
        with Operated(tenants=tenants, config={"model_repository": str(self.repo)}) as s:
            state = lambda who, name: [
                (x.get("version"), x.get("state")) for x in
                s.ask(who, "/v2/repository/index", "POST")[1] if x["name"] == name]
            self.assertEqual(state("a", "p"), [("1", "READY")])
            self.assertEqual(self.load(s, "b", "p", "unload")[0], 403)
            self.assertEqual(self.load(s, "a", "p", "unload")[0], 403)  # b sees it as well
            self.assertEqual(self.load(s, "a", "m", "load")[0], 404)    # a does not see it
            self.assertEqual(self.load(s, "admin", "p", "unload")[0], 200)
            self.assertEqual(s.infer_as("a", "p")[0], 404)
            self.assertEqual(state("a", "p"), [("1", "UNAVAILABLE")])
            self.assertEqual(self.load(s, "a", "p")[0], 200)
            self.assertEqual(s.infer_as("a", "p")[0], 200)
            # a model that was not there at start, and a version more of one that was
            self.put("q")
            self.put("p", 2)
            self.assertEqual(self.load(s, "admin", "q")[0], 200)
            self.assertEqual(s.infer_as("b", "q")[0], 200)
            self.assertEqual(self.load(s, "admin", "p")[0], 200)
            self.assertEqual(s.infer_as("a", "p")[2]["model_version"], "2")
            self.assertEqual(self.load(s, "admin", "none")[0], 404)

    def test_load_with_a_configuration(self):
        self.put("p", config="max_batch_size: 2\n")
        with Operated(config={"model_repository": str(self.repo)}) as s:
            shown = lambda: s.ask("a", "/v2/models/p/config")[1]["max_batch_size"]
            self.assertEqual(shown(), 2)
            config = {"maxBatchSize": "4", "dynamicBatching": {"preferredBatchSize": [4],
                                                               "maxQueueDelayMicroseconds": "100"},
                      "parameters": {"k": {"stringValue": "v \"quoted\""}},
                      "input": [{"name": "x", "dataType": "TYPE_FP32", "dims": ["4"]}]}
            self.assertEqual(self.load(s, "admin", "p", config=json.dumps(config))[0], 200)
            self.assertEqual(shown(), 4)
            body = s.ask("a", "/v2/models/p/config")[1]
            self.assertEqual(body["parameters"]["k"]["string_value"], "v \"quoted\"")
            self.assertEqual(body["dynamic_batching"]["preferred_batch_size"], [4])
            for bad in ("{", "[]", '{"max_batch_size": "1 }"}', '{"no_such_field": 1}',
                        '{"platform": "ensemble"}'):
                status, answer = self.load(s, "admin", "p", config=bad)
                self.assertGreaterEqual(status, 400, bad)
                self.assertIn("error", answer)
            self.assertEqual(shown(), 4)
            self.assertEqual(s.infer_as("a", "p")[0], 200)

    def test_a_broken_version_leaves_the_old_one(self):
        self.put("p")
        with Operated(config={"model_repository": str(self.repo)}) as s:
            folder = self.repo / "p" / "2"
            folder.mkdir()
            (folder / "model.synthetic.yaml").write_text("inputs: nonsense\n")
            status, body = self.load(s, "admin", "p")
            self.assertGreaterEqual(status, 400)
            self.assertIn("p", body["error"])
            self.assertEqual(s.infer_as("a", "p")[0], 200)
            self.assertEqual(s.infer_as("a", "p")[2]["model_version"], "1")
            rows = [x for x in s.ask("a", "/v2/repository/index", "POST")[1] if x["name"] == "p"]
            self.assertTrue(any(x.get("reason") for x in rows), rows)


class State(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-state-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def bill(self, *args):
        done = run("serve", "bill", "--state", self.dir, "--json", *args)
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)

    def test_drain_loses_nothing(self):
        with Operated(config={"state": str(self.dir)}) as s:
            for _ in range(5):
                s.infer_as("a", inputs=[{**X, "shape": [2, 4], "data": [1] * 8}])
            s.infer_as("b", "n")
        bill = self.bill()
        rows = {(r["tenant"], r["model"]): r for r in bill["rows"]}
        self.assertEqual((rows["a", "m"]["requests"], rows["a", "m"]["inferences"]), (5, 10))
        self.assertGreaterEqual(rows["a", "m"]["compute_ns"], 5_000_000)
        self.assertEqual(rows["b", "n"]["requests"], 1)
        self.assertEqual(bill["possible_loss_ns"], 0)
        self.assertEqual(bill["total"]["requests"], 6)
        self.assertEqual(self.bill("--tenant", "b")["total"]["requests"], 1)
        csv = run("serve", "bill", "--state", self.dir, "--csv", "--by-minute").stdout
        self.assertTrue(csv.startswith("tenant,model,version,minute,requests"))

    def test_killed_and_started_again(self):
        # timeout: the ledger is written every few seconds
        folder = self.dir / "repo"
        folder.mkdir()
        (folder / "p.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))
        config = {"state": str(self.dir / "state"), "model_repository": str(folder),
                  "load": "none"}
        s = Operated(config=config)
        try:
            self.assertEqual(s.ask("admin", "/v2/repository/models/m/load", "POST")[0], 200)
            self.assertEqual(s.ask("admin", "/v2/repository/models/p/load", "POST")[0], 200)
            self.assertEqual(s.ask("admin", "/v2/repository/models/m/unload", "POST")[0], 200)
            for _ in range(3):
                self.assertEqual(s.infer_as("a", "p")[0], 200)
            read = lambda: s.ask("admin", "/v2/perseus/bill")[1]["total"]["requests"]
            until(lambda: read() == 3, 15)
            s.process.kill()
            s.process.wait()
            again = subprocess.Popen(
                [perseus.PERSEUS, "serve", "--config", str(s.config_path()), "--listen", s.url],
                stderr=subprocess.DEVNULL)
            try:
                until(lambda: self.answers(s, "p"))
                self.assertEqual(s.infer_as("b", "p")[0], 200)
                self.assertEqual(s.infer_as("a", "m")[0], 404)  # unloaded stays unloaded
                self.assertGreaterEqual(read(), 3)
                bill = s.ask("admin", "/v2/perseus/bill")[1]
                self.assertEqual(bill["runs_without_end"], 2)
                self.assertEqual(bill["possible_loss_ns"], 20 * 10**9)
                a = s.ask("a", "/v2/perseus/bill?tenant=b")[1]
                self.assertEqual({r["tenant"] for r in a["rows"]}, {"a"})
            finally:
                again.terminate()
                self.assertEqual(again.wait(timeout=30), 0)
            self.dir = self.dir / "state"
            self.assertEqual(self.bill()["runs_without_end"], 1)
            self.assertGreaterEqual(self.bill("--tenant", "a")["total"]["requests"], 4)
            self.dir = self.dir.parent
        finally:
            s._clean()

    def answers(self, s, model):
        try:
            return s.infer_as("a", model)[0] == 200
        except OSError:
            return False

    def test_one_server_per_state(self):
        with Operated(config={"state": str(self.dir)}):
            with self.assertRaises(perseus.StartError) as e:
                Operated(config={"state": str(self.dir)})
            self.assertIn("another server", str(e.exception))


if __name__ == "__main__":
    unittest.main()
