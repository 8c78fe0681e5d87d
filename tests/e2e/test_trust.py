# timeout: 240
"""What tenants and operators rely on: instances of one's own, certificates, a full disk, the split of
traffic, drains, reloads in storms, a kill under load, and that others' models cannot be told from
models that are not there."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import resource
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
import time
import unittest

import tritonclient.grpc as tgrpc
import yaml
from tritonclient.utils import InferenceServerException

from support.perseus import PERSEUS, SANITIZED, Server, new_key, run, synthetic
from test_operate import Operated, X, until
from test_request_path import Load, grpc_x

MIB = 1 << 20


def model_files(folder, *names, **spec):
    text = yaml.safe_dump(synthetic(**spec))
    for name in names:
        (pathlib.Path(folder) / f"{name}.synthetic.yaml").write_text(text)


class Temporary(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-trust-"))
        self.addCleanup(shutil.rmtree, self.dir, True)


class Sharing(Temporary):
    """Three tenants use the same 32 MiB under names of their own; one of them shares with nobody."""

    def resident(self, share):
        model_files(self.dir, "ma", "mb", "mc", memory="32MiB")
        tenants = [{"name": n, "models": ["m" + n], "share": n != "c" or share} for n in "abc"]
        keys, digests = zip(*(new_key() for _ in "abc"))
        admin, digest = new_key()
        for t, d in zip(tenants, digests):
            t["keys"] = [d]
        state = self.dir / f"state-{share}"
        config = {"model_repository": str(self.dir), "admin_keys": [digest], "state": str(state)}
        began = time.monotonic()
        with Server(tenants=tenants, config=config) as s:
            for name, key in zip("abc", keys):
                self.assertEqual(s.infer("m" + name, [X], {"Authorization": "Bearer " + key})[0], 200)
            time.sleep(2)  # what is billed is time
            head = {"Authorization": "Bearer " + admin}
            status = json.loads(s.get("/v2/perseus/status", headers=head)[2])
        bill = json.loads(run("serve", "bill", "--state", state, "--json").stdout)
        held = {r["tenant"]: r["resident_byte_s"] for r in bill["rows"]}
        return status["resident_bytes"], held, time.monotonic() - began

    def test_shared_is_one_instance(self):
        resident, held, seconds = self.resident(share=True)
        self.assertLess(resident, 40 * MIB)
        self.assertEqual(set(held), {"a", "b", "c"})
        self.assertLess(max(held.values()), 1.05 * min(held.values()), held)
        self.assertLess(sum(held.values()), 34 * MIB * seconds)

    def test_not_shared_is_its_own(self):
        resident, held, _ = self.resident(share=False)
        self.assertGreater(resident, 63 * MIB)
        self.assertLess(resident, 72 * MIB)
        self.assertEqual(set(held), {"a", "b", "c"})
        # a and b split theirs; c alone pays for its own, and nothing of the others': twice as much,
        # but for the time between the two loads
        self.assertGreater(held["c"], 1.4 * held["a"], held)
        self.assertLess(held["c"], 2.9 * held["a"], held)

    def test_private_bill_has_no_share_of_the_common_one(self):
        """Two see the same name, one of them alone: what is shared is the other's bill."""
        model_files(self.dir, "p", memory="32MiB")
        tenants = [{"name": "a", "models": ["p"]}, {"name": "b", "models": ["p"], "share": False}]
        with Operated(tenants=tenants, config={"model_repository": str(self.dir),
                                               "state": str(self.dir / "state")}) as s:
            s.infer_as("a", "p"), s.infer_as("b", "p")
            self.assertEqual(s.ask("b", "/v2/models/p/stats")[1]["model_stats"][0]["inference_count"],
                             1)
            time.sleep(2)
        bill = json.loads(run("serve", "bill", "--state", self.dir / "state", "--json").stdout)
        held = {r["tenant"]: r["resident_byte_s"] for r in bill["rows"]}
        # with a share of the common one it would be three times as much
        self.assertLess(abs(held["a"] - held["b"]), 0.5 * held["a"], held)

    def test_who_is_gone_pays_no_more(self):
        """The only tenant left pays, whatever its number; the removed one does not."""
        model_files(self.dir, "p", memory="32MiB")
        state = self.dir / "state"
        with Operated(config={"model_repository": str(self.dir), "state": str(state)}) as s:
            s.infer_as("a", "p")
            until(lambda: self.held(state, "a"))
            s.edit(tenants=[s.tenants[1]])
            self.assertEqual(s.ask("admin", "/v2/perseus/reload", "POST")[0], 200)
            until(lambda: self.held(state, "b"))
            before = self.held(state, "a")
            until(lambda: self.held(state, "b") > 6 * 32 * MIB, 30)
            self.assertEqual(self.held(state, "a"), before)

    def held(self, state, tenant):
        done = run("serve", "bill", "--state", state, "--json", "--tenant", tenant)
        return json.loads(done.stdout)["total"]["resident_byte_s"] if done.returncode == 0 else 0


class Certificates(Temporary):
    def openssl(self, *args):
        done = subprocess.run(["openssl", *map(str, args)], cwd=self.dir, capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr.decode())

    def authority(self, name):
        self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj",
                     f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")

    def certificate(self, name, ca, san=None):
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
                     f"{name}.key", "-out", f"{name}.csr")
        (self.dir / "ext").write_text(f"subjectAltName={san or 'DNS:x.invalid'}\n")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey",
                     f"{ca}.key", "-CAcreateserial", "-days", 2, "-extfile", "ext", "-out",
                     f"{name}.pem")

    def setUp(self):
        super().setUp()
        self.authority("ca")
        self.authority("stranger")
        self.certificate("server", "ca", "IP:127.0.0.1,DNS:localhost")
        for name in ("tenant-a", "ops", "nobody"):
            self.certificate(name, "ca")
        self.certificate("forged", "stranger")

    def ask(self, s, cert, path, method="GET", body=None, headers=None):
        context = ssl.create_default_context(cafile=str(self.dir / "ca.pem"))
        if cert:
            context.load_cert_chain(self.dir / f"{cert}.pem", self.dir / f"{cert}.key")
        c = http.client.HTTPSConnection(*s.address, context=context, timeout=30)
        try:
            c.request(method, path, body, headers or {})
            answer = c.getresponse()
            data = answer.read()
            return answer.status, json.loads(data) if data[:1] in (b"{", b"[") else data
        finally:
            c.close()

    def infer(self, s, cert, headers=None, model="m"):
        return self.ask(s, cert, f"/v2/models/{model}/infer", "POST",
                        json.dumps({"inputs": [X]}), headers)[0]

    def grpc_infer(self, s, cert):
        pem = lambda name: str(self.dir / name)
        with contextlib.closing(tgrpc.InferenceServerClient(
                s.ready["grpc"], ssl=True, root_certificates=pem("ca.pem"),
                private_key=pem(f"{cert}.key"), certificate_chain=pem(f"{cert}.pem"))) as client:
            return client.infer("m", [grpc_x()]).get_response().model_name

    def config(self, **tls):
        key, digest = new_key()
        self.key_b = {"Authorization": "Bearer " + key}
        return {"tenants": [{"name": "a", "client_certs": ["tenant-a"], "models": ["m"]},
                            {"name": "b", "keys": [digest], "models": ["n"]}],
                "config": {"tls": {"cert": pem(self.dir, "server.pem"),
                                   "key": pem(self.dir, "server.key"),
                                   "client_ca": pem(self.dir, "ca.pem"),
                                   "admin_certs": ["ops"], **tls}}}

    def test_who_is_who(self):
        with Server({"m": synthetic(), "n": synthetic()}, **self.config()) as s:
            self.assertEqual(self.infer(s, "tenant-a"), 200)
            self.assertEqual(self.infer(s, "tenant-a", model="n"), 404)
            self.assertEqual(self.grpc_infer(s, "tenant-a"), "m")
            self.assertEqual(self.infer(s, "nobody"), 401)
            self.assertEqual(self.infer(s, None), 401)
            self.assertEqual(self.infer(s, None, self.key_b, "n"), 200)
            # a key that is shown decides, also over a certificate
            self.assertEqual(self.infer(s, "tenant-a", self.key_b, "n"), 200)
            self.assertEqual(self.infer(s, "tenant-a", {"Authorization": "Bearer psk_none"}), 401)
            status, body = self.ask(s, "ops", "/v2/perseus/tenants")
            self.assertEqual((status, [t["name"] for t in body["tenants"]]), (200, ["a", "b"]))
            self.assertEqual(self.ask(s, "tenant-a", "/v2/perseus/status")[0], 403)
            # a certificate by somebody else is as good as a broken connection
            with self.assertRaises((OSError, http.client.HTTPException)):
                self.infer(s, "forged")
            with self.assertRaises(InferenceServerException) as e:
                self.grpc_infer(s, "nobody")
            self.assertIn("UNAUTHENTICATED", str(e.exception.status()))

    def test_required(self):
        with Server({"m": synthetic(), "n": synthetic()},
                    **self.config(require_client_cert=True)) as s:
            self.assertEqual(self.infer(s, "tenant-a"), 200)
            for cert in (None, "forged"):
                with self.assertRaises((OSError, http.client.HTTPException)):
                    self.infer(s, cert, self.key_b, "n")


def pem(folder, name):
    return str(folder / name)


class FullDisk(Temporary):
    """The disk under the ledger is full: requests go on, it is said, and nothing is lost once there
    is room again."""

    def small_disk(self, folder):
        """A tmpfs of 512 KiB; False where this is not allowed."""
        folder.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder],
                          capture_output=True).returncode != 0:
            return False
        self.addCleanup(subprocess.run, ["umount", "-l", folder])
        return True

    def fill(self, folder):
        with open(folder / "junk", "wb", buffering=0) as f:
            for size in (4096, 512, 1):
                with contextlib.suppress(OSError):
                    while True:
                        f.write(b"x" * size)

    def limit(self, s, state):
        """No file of the server grows beyond what the log of the ledger has now."""
        size = max(p.stat().st_size for p in state.iterdir())
        resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def test_it_fills_up(self):
        state = self.dir / "state"
        mounted = self.small_disk(state)
        with Operated(config={"state": str(state)}) as s:
            failures = lambda: s.metrics("admin")["perseus_ledger_write_failures_total"]
            billed = lambda: s.ask("admin", "/v2/perseus/bill")[1]["total"]["requests"]
            s.infer_as("a")
            until(lambda: billed() == 1)
            self.fill(state) if mounted else self.limit(s, state)
            for _ in range(20):
                self.assertEqual(s.infer_as("a")[0], 200)
            until(failures, 30)
            self.assertRegex(s.stderr, "error ledger: .*cannot .*full|cannot write usage")
            self.assertEqual(s.infer_as("a")[0], 200)
            self.assertEqual(s.ask("a", "/v2/models/m/stats")[0], 200)
            if mounted:
                (state / "junk").unlink()
            else:
                resource.prlimit(s.process.pid, resource.RLIMIT_FSIZE,
                                 (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            until(lambda: billed() == 22, 30)
            self.assertIn("written again", s.stderr)
        done = run("serve", "bill", "--state", state, "--json")
        bill = json.loads(done.stdout)
        self.assertEqual((bill["total"]["requests"], bill["runs_without_end"]), (22, 0))

    def test_a_run_that_lost_its_end_says_so(self):
        state = self.dir / "state"
        if not self.small_disk(state):
            self.skipTest("no right to mount a small disk")
        with Operated(config={"state": str(state)}) as s:
            self.fill(state)
            s.infer_as("a")
        self.assertIn("it is lost", s.stderr_at_end)
        (state / "junk").unlink()
        bill = json.loads(run("serve", "bill", "--state", state, "--json").stdout)
        self.assertEqual(bill["runs_without_end"], 1)


class AccessLog(Temporary):
    def test_rotated_away_and_unwritable(self):
        """A reload that cannot open the access log is refused whole; nothing of it is in force."""
        log = self.dir / "logs" / "access.json"
        log.parent.mkdir()
        config = {"access_log": True, "access_log_file": str(log)}
        with Operated(config=config) as s:
            s.infer_as("a")
            until(lambda: log.exists() and log.read_text())
            log.parent.rename(self.dir / "old")
            whole = yaml.safe_load(s.config_path().read_text())
            s.edit(models=[m for m in whole["models"] if m["name"] != "n"])
            status, body = s.ask("admin", "/v2/perseus/reload", "POST")
            self.assertGreaterEqual(status, 400)
            self.assertIn("access log", body["error"])
            self.assertEqual(s.infer_as("a", "n")[0], 200)
            old = self.dir / "old" / "access.json"
            until(lambda: len(old.read_text().splitlines()) == 2)  # still written
            log.parent.mkdir()
            self.assertEqual(s.ask("admin", "/v2/perseus/reload", "POST")[0], 200)
            self.assertEqual(s.infer_as("a", "n")[0], 404)

    def test_a_pipe_that_nobody_reads(self):
        """It loses lines, and holds up nothing: requests, metrics, the drain."""
        fifo = self.dir / "fifo"
        os.mkfifo(fifo)
        reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        with Operated(config={"access_log": True, "access_log_file": str(fifo)}) as s:
            for _ in range(300):
                self.assertEqual(s.infer_as("a")[0], 200)
            self.assertGreaterEqual(s.metrics("admin")["perseus_ready"], 1)


class Split(Temporary):
    def test_near_its_weights(self):
        model_files(self.dir, "one", mean="100us", seed=1)
        model_files(self.dir, "two", mean="100us", seed=2)
        rows = [{"name": "m", "version": v, "path": str(self.dir / f"{n}.synthetic.yaml"),
                 "split": [{"version": 1, "weight": 3}, {"version": 2, "weight": 1}]}
                for v, n in ((1, "one"), (2, "two"))]
        with Server(config={"models": rows}) as s:
            c = http.client.HTTPConnection(*s.address, timeout=60)
            body, seen = json.dumps({"inputs": [X]}), {"1": 0, "2": 0}
            for _ in range(1200):
                c.request("POST", "/v2/models/m/infer", body)
                seen[json.loads(c.getresponse().read())["model_version"]] += 1
            c.close()
            # 300 of 1200 expected; five standard deviations are 75
            self.assertLess(abs(seen["2"] - 300), 75, seen)
            self.assertEqual(s.infer("m/versions/1", [X])[2]["model_version"], "1")


class Foreign(Temporary):
    """Tenant b owns `other`; `absent` is nobody's. Whatever a asks, both are the same to it."""

    ROUTES = [(m, p) for p in ("", "/config", "/stats", "/ready", "/versions/1", "/versions/1/stats",
                               "/versions/1/ready", "/versions/1/config", "/versions/9/ready")
              for m in ("GET",)] + [("POST", "/infer"), ("POST", "/versions/1/infer")]

    def setUp(self):
        super().setUp()
        tenants = [{"name": "a", "models": ["m", "other-not-mine"], "may_load": True},
                   {"name": "b", "models": ["other"]}]
        model_files(self.dir, "m", "other")
        self.s = self.enterContext(Operated(tenants=tenants,
                                            config={"model_repository": str(self.dir)}))
        self.assertEqual(self.s.infer_as("b", "other")[0], 200)

    def both(self, ask):
        one, two = (json.loads(json.dumps(ask(name))) for name in ("other", "absent"))
        self.assertEqual(json.loads(json.dumps(one).replace("other", "absent")), two)
        return one

    def test_http(self):
        body = json.dumps({"inputs": [X]}).encode()
        for method, path in self.ROUTES:
            status, _ = self.both(lambda name: self.s.ask(
                "a", f"/v2/models/{name}{path}", method, body if method == "POST" else None))
            self.assertIn(status, (400, 404), path)
        for verb in ("load", "unload"):
            self.both(lambda name: self.s.ask("a", f"/v2/repository/models/{name}/{verb}", "POST",
                                              b"{}"))
        self.both(lambda name: self.s.ask("a", f"/v2/perseus/bill?model={name}"))
        self.assertEqual(self.s.ask("a", "/v2/perseus/tenants/b")[1],
                         json.loads(json.dumps(self.s.ask("a", "/v2/perseus/tenants/z")[1])
                                    .replace("'z'", "'b'")))
        shown = json.dumps([self.s.ask("a", p, m)[1] for m, p in
                            (("POST", "/v2/repository/index"), ("GET", "/v2/models/stats"),
                             ("GET", "/v2/perseus/tenants"))]) + json.dumps(self.s.metrics("a"))
        self.assertNotIn('"other"', shown.replace("\\", ""))

    def test_grpc(self):
        head = {"authorization": "Bearer " + self.s.keys["a"]}
        with contextlib.closing(tgrpc.InferenceServerClient(self.s.ready["grpc"])) as c:
            calls = [lambda n: c.infer(n, [grpc_x()], headers=head),
                     lambda n: c.infer(n, [grpc_x()], model_version="1", headers=head),
                     lambda n: c.get_model_metadata(n, headers=head),
                     lambda n: c.get_model_config(n, headers=head),
                     lambda n: c.get_inference_statistics(n, headers=head),
                     lambda n: c.get_inference_statistics(n, "1", headers=head),
                     lambda n: c.load_model(n, headers=head),
                     lambda n: c.unload_model(n, headers=head)]

            def error_of(call, name):
                with self.assertRaises(InferenceServerException) as e:
                    call(name)
                return [e.exception.status(), e.exception.message()]
            for call in calls:
                self.both(lambda name: error_of(call, name))
            self.both(lambda name: c.is_model_ready(name, headers=head))


class Broken(Temporary):
    def test_a_broken_version_over_a_reload(self):
        """A new version that cannot be opened comes with SIGHUP: the old one serves on, every
        request is answered, and the index says why."""
        def put(version, **more):
            folder = self.dir / "m" / str(version)
            folder.mkdir(parents=True)
            (folder / "model.synthetic.yaml").write_text(yaml.safe_dump(synthetic(**more)))
        put(1)
        with Server(config={"model_repository": str(self.dir)}) as s:
            with Load(s) as load:
                put(2, broken="it fell from the table")
                s.process.send_signal(signal.SIGHUP)
                index = lambda: {x.get("version"): x for x in json.loads(
                    s.get("/v2/repository/index", "POST", b"{}")[2])}
                until(lambda: "table" in index().get("2", {}).get("reason", ""))
                self.assertEqual(index()["1"]["state"], "READY")
                self.assertEqual(s.infer("m", [X])[2]["model_version"], "1")
                self.assertTrue(load.wait(50), load.wrong)
            self.assertEqual(load.wrong, [])


class Storms(Temporary):
    def test_reloads_while_requests_run(self):
        """SIGHUP as fast as they can be sent, with tenants and models that come and go."""
        rounds = 40 if SANITIZED else 150
        with Operated(models={n: synthetic(mean="200us") for n in "mno"},
                      config={"access_log": True, "access_log_file": "access.json"}) as s:
            whole = yaml.safe_load(s.config_path().read_text())
            key, digest = new_key()
            with Load(s, headers={"Authorization": "Bearer " + s.keys["a"]}) as load:
                for i in range(rounds):
                    tenants = whole["tenants"] + [{"name": f"t{i % 7}", "keys": [digest],
                                                   "share": i % 3 != 0}] * (i % 2)
                    new = s.dir / "new"
                    new.write_text(yaml.safe_dump({
                        **whole, "tenants": tenants if i % 5 else "nonsense",
                        "models": whole["models"][:2 + i % 2]}))
                    new.rename(s.config_path())
                    s.process.send_signal(signal.SIGHUP)
                    if i % 10 == 0:
                        s.metrics("admin")
                        s.ask("admin", "/v2/perseus/reload", "POST")
                self.assertTrue(load.wait(50), load.wrong)
            self.assertEqual(load.wrong, [])
            s.config_path().write_text(yaml.safe_dump(whole))
            until(lambda: s.ask("admin", "/v2/perseus/reload", "POST")[0] == 200)
            status = s.ask("admin", "/v2/perseus/status")[1]
            self.assertEqual(status["tenants"], 2)

    def test_a_tenant_begins_to_share(self):
        """Its own instance stays until its requests go to the common one."""
        tenants = [{"name": "a", "share": False}, {"name": "b"}]
        with Operated(tenants=tenants) as s:
            with Load(s, headers={"Authorization": "Bearer " + s.keys["a"]}) as load:
                self.assertTrue(load.wait(20), load.wrong)
                s.edit(tenants=[{**tenants[0], "share": True}, tenants[1]])
                self.assertEqual(s.ask("admin", "/v2/perseus/reload", "POST")[0], 200)
                self.assertTrue(load.wait(50), load.wrong)
            self.assertEqual(load.wrong, [])

    @unittest.skipUnless(shutil.which("nghttp"), "there is no nghttp (package nghttp2-client)")
    def test_drain_over_http2(self):
        """Four clients with 50 streams each: whatever was asked before the goodbye is answered."""
        with Server({"m": synthetic(mean="10ms")}, args=["--lanes", "2"],
                    tenants=[{"name": "all", "queue_limit": 1000}]) as s:
            body = self.dir / "body"
            body.write_text(json.dumps({"inputs": [X]}))
            clients = [subprocess.Popen(
                ["nghttp", "-n", "-s", "-m", "50", "-d", body, f"http://{s.url}/v2/models/m/infer"],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(4)]
            asked = lambda: json.loads(s.get("/v2/models/m/stats")[2])["model_stats"]
            until(lambda: asked() and asked()[0]["inference_count"] > 20, 60)
            s.process.send_signal(signal.SIGTERM)
            self.assertEqual(s.process.wait(timeout=60), 0)
            said = [c.communicate(timeout=30)[0] for c in clients]
            for text in said:
                self.assertEqual(len(re.findall(r"\s200\s+\d+ +/v2/models/m/infer", text)), 50, text)

    def test_killed_under_load(self):
        """kill -9 in the middle of everything: the same tenants, models and ledger come back, and
        nothing is billed that did not happen."""
        repo, state = self.dir / "repo", self.dir / "state"
        repo.mkdir()
        model_files(repo, "p", mean="200us")
        s = Operated(config={"state": str(state), "model_repository": str(repo), "load": "none"})
        again = None
        try:
            for name in ("m", "p"):
                self.assertEqual(
                    s.ask("admin", f"/v2/repository/models/{name}/load", "POST")[0], 200)
            with Load(s, headers={"Authorization": "Bearer " + s.keys["a"]}) as load:
                until(lambda: s.ask("admin", "/v2/perseus/bill")[1]["total"]["requests"] > 0)
                s.process.kill()
                s.process.wait()
                load.stopping.set()
            asked = load.done[0] + len(load.threads)
            again = subprocess.Popen([PERSEUS, "serve", "--config", str(s.config_path()),
                                      "--listen", s.url], stderr=subprocess.DEVNULL)
            until(lambda: self.answers(s), 60)
            self.assertEqual(s.infer_as("b", "p")[0], 200)
            rows = s.ask("admin", "/v2/perseus/bill")[1]["rows"]
            billed = sum(r["requests"] for r in rows if (r["tenant"], r["model"]) == ("a", "m"))
            self.assertGreater(billed, 0)
            self.assertLessEqual(billed, asked)
        finally:
            if again:
                again.terminate()
                self.assertEqual(again.wait(timeout=60), 0)
            s._clean()

    def answers(self, s):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return s.infer_as("a", "m")[0] == 200 and s.infer_as("a", "p")[0] == 200
        return False

    @unittest.skipIf(SANITIZED, "sanitizers keep freed memory")
    def test_cycles_leave_no_memory(self):
        model_files(self.dir, "p", memory="10MiB")
        with Operated(config={"model_repository": str(self.dir)}) as s:
            def cycle():
                for verb in ("unload", "load"):
                    self.assertEqual(
                        s.ask("admin", f"/v2/repository/models/p/{verb}", "POST")[0], 200)
                self.assertEqual(s.infer_as("a", "p")[0], 200)
                return s.metrics("admin")["process_resident_memory_bytes"]
            first = cycle()
            for _ in range(50):
                last = cycle()
            self.assertLess(abs(last - first), 0.05 * first)


if __name__ == "__main__":
    unittest.main()
