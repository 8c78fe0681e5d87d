# timeout: 180
"""perseus load by every way there is: protocols, TLS, Unix sockets, replicas, in this process."""
import csv
import os
import subprocess
import tempfile
import unittest

import numpy

from support.loading import ECHO, QUICK, Temporary, load
from support.perseus import Server, needs_onnxruntime, new_key, run, synthetic, tensor
from support.scripted_server import METADATA, ScriptedServer


class Protocols(Temporary):
    def test_every_protocol_against_a_real_server(self):
        with Server({"m": ECHO}) as s:
            http, rpc = s.http, "http://" + s.ready["grpc"]
            for args in (("--url", http), ("--url", http, "--json-tensors"),
                         ("--url", http, "--protocol", "http2"),
                         ("--url", http, "--protocol", "http2", "--json-tensors"),
                         ("--url", rpc, "--protocol", "grpc"),
                         ("--url", http, "--protocol", "grpc"),  # one port for all
                         ("--url", "grpc://" + s.ready["grpc"]),
                         ("--url", rpc, "--protocol", "grpc-stream"),
                         ("--url", rpc, "--protocol", "grpc-stream", "--streams", 1),
                         ("--url", http, "--timestamping"),
                         ("--url", rpc, "--protocol", "grpc", "--threads", 2)):
                with self.subTest(args=args):
                    t = self.all_ok(*args, "--model", "m", *QUICK, "--check-repeats", "--batch", 2)
                    self.assertEqual(t["checks"]["compared"], t["scheduled"] - 8)
                    self.assertEqual(t["inferences_per_request"], 2)
                    self.assertGreater(t["bytes_received"], 0)

    def test_closed_loops_and_instants_in_order(self):
        with Server({"m": ECHO}) as s:
            for args in (("--url", s.http), ("--url", s.http, "--protocol", "http2"),
                         ("--url", "grpc://" + s.ready["grpc"]),
                         ("--url", "grpc://" + s.ready["grpc"], "--protocol", "grpc-stream")):
                with self.subTest(args=args):
                    path = self.dir / "r.csv"
                    t = self.all_ok(*args, "--model", "m", "--concurrency", 6, "--duration",
                                    "0.3s", "--warmup", "0s", "--records", path)
                    rows = list(csv.DictReader(path.read_text().splitlines()))
                    self.assertEqual(len(rows), t["scheduled"])
                    for r in rows:
                        at = [int(r[k + "_ns"]) for k in ("scheduled", "sent", "first_byte", "done")]
                        self.assertEqual(at, sorted(at))

    def test_keys_and_their_refusal(self):
        key, digest = new_key()
        tenants = [{"name": "a", "keys": [digest], "models": ["m"]}]
        with Server({"m": ECHO}, tenants=tenants) as s:
            for url in (s.http, "grpc://" + s.ready["grpc"]):
                args = ("--url", url, "--model", "m", *QUICK)
                self.all_ok(*args, "--api-key", key)
                self.assertIn("key", self.refused(*args))

    def test_unix_sockets(self):
        path = self.dir / "p.sock"
        with Server({"m": ECHO}, listen=f"unix:{path}") as s:
            for more in ((), ("--protocol", "http2"), ("--protocol", "grpc"),
                         ("--protocol", "grpc-stream")):
                with self.subTest(more=more):
                    self.all_ok("--url", f"unix:{path}", "--model", "m", *QUICK, *more)

    def test_a_server_that_allows_few_streams_gets_no_more_connections_than_asked_for(self):
        """A connection carries two requests here, not 32: more connections are opened, but not
        more than --connections, and nothing is sent that the server would refuse."""
        slow = {**ECHO, "mean": "30ms"}
        with Server({"m": slow}, config={"max_streams": 2}) as s:
            for way in ("http2", "grpc", "grpc-stream"):
                for args, connections, most in ((("--rate", 150, "--connections", 2), 2, 4),
                                                (("--concurrency", 7), 4, 7)):
                    with self.subTest(way=way, args=args):
                        t = self.all_ok("--url", s.http, "--protocol", way, "--model", "m", *args,
                                        "--duration", "0.5s", "--warmup", "0s")
                        self.assertEqual(t["connections"], connections)
                        self.assertEqual(t["peak_in_flight"], most)
                        # 2 lanes of 30 ms: 150/s wait
                        self.assertEqual(t["waited_for_connection"] > 0, most == 4)

    def test_large_tensors(self):
        wide = synthetic(inputs=[tensor("x", shape=(-1, 300000))],
                         outputs=[tensor("y", shape=(-1, 300000))], mean="0ms", echo=True)
        with Server({"m": wide}) as s:
            for url in (s.http, "grpc://" + s.ready["grpc"]):
                self.all_ok("--url", url, "--model", "m", "--concurrency", 2, "--duration", "0.3s",
                            "--warmup", "0s", "--check-repeats", "--inputs", 2)

    def test_what_cannot_be(self):
        with Server({"m": ECHO}) as s:
            rpc = "grpc://" + s.ready["grpc"]
            for args, what in ((("--url", rpc, "--json-tensors"), "no JSON tensors"),
                               (("--url", s.http, "--url", rpc), "one protocol"),
                               (("--url", "ftp://x"), "ftp"),
                               (("--url", s.http, "--protocol", "http2", "--model", "other"),
                                "other"),
                               (("--url", rpc, "--model", "other"), "other")):
                with self.subTest(args=args):
                    more = () if "--model" in args else ("--model", "m")
                    self.assertIn(what, self.refused(*args, *more, "--rate", 10))


class Tls(Temporary):
    def openssl(self, *args):
        subprocess.run(["openssl", *map(str, args)], cwd=self.dir, capture_output=True, check=True)

    def certificate(self, name, ca, san):
        self.openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}", "-keyout",
                     f"{name}.key", "-out", f"{name}.csr")
        (self.dir / "ext").write_text(f"subjectAltName={san}\n")
        self.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey",
                     f"{ca}.key", "-CAcreateserial", "-days", 2, "-extfile", "ext", "-out",
                     f"{name}.pem")

    def test_certificates_of_both_sides(self):
        for ca in ("ca", "stranger"):
            self.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", 2, "-subj",
                         f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.pem")
        self.certificate("server", "ca", "DNS:models.example")
        self.certificate("client", "ca", "DNS:x.invalid")
        d = self.dir
        tls = {"cert": str(d / "server.pem"), "key": str(d / "server.key"),
               "client_ca": str(d / "ca.pem"), "require_client_cert": True}
        own = ("--tls-cert", d / "client.pem", "--tls-key", d / "client.key")
        good = ("--tls-ca", d / "ca.pem", "--tls-name", "models.example", *own)
        with Server({"m": ECHO}, config={"tls": tls}) as s:
            secure = "https://" + s.url
            rpc = "grpcs://" + s.ready["grpc"]
            for args in (("--url", secure), ("--url", secure, "--protocol", "http2"),
                         ("--url", rpc), ("--url", rpc, "--protocol", "grpc-stream")):
                with self.subTest(args=args):
                    self.all_ok(*args, "--model", "m", *QUICK, *good)
                    self.all_ok(*args, "--model", "m", *QUICK, "--insecure", *own)
            for args in (own,  # the system trusts nobody like this
                         ("--tls-ca", d / "stranger.pem", "--tls-name", "models.example", *own),
                         ("--tls-ca", d / "ca.pem", *own),  # its name is not 127.0.0.1
                         ("--tls-ca", d / "ca.pem", "--tls-name", "models.example")):
                with self.subTest(args=args):
                    said = self.refused("--url", secure, "--model", "m", "--rate", 10, *args)
                    self.assertIn("--tls-ca FILE", said)  # somebody is listening


class InProcess(Temporary):
    def synthetic(self, text="mean: 1ms\nmode: sleep"):
        path = self.dir / "m.synthetic.yaml"
        path.write_text("inputs: [{name: x, datatype: FP32, shape: [-1, 16]}]\n"
                        "outputs: [{name: y, datatype: FP32, shape: [-1, 16]}]\n"
                        f"service: fixed\n{text}\n")
        return path

    def test_open_and_closed_loops(self):
        m = self.synthetic()
        for args in (QUICK, (*QUICK, "--streams", 2), ("--concurrency", 3, "--duration", "0.3s",
                                                                 "--warmup", "0s"),
                     (*QUICK, "--check-repeats"), (*QUICK, "--threads", 2, "--streams", 2)):
            t = self.all_ok("--in-process", m, *args)
            self.assertEqual(t["replicas"], [])
            self.assertGreaterEqual(t["server_compute"]["p50_ms"], 1)
            self.assertGreaterEqual(t["service_latency"]["p50_ms"], 1)

    def test_what_waits_for_the_model_is_not_late(self):
        """Thirty in half a second for a worker that does twelve: they wait for the model; the
        generator was in time (5 % of the limit, 0.5 s)."""
        m = self.synthetic("mean: 40ms\nmode: sleep")
        _, t, _ = load("--in-process", m, "--streams", 1, "--arrival", "constant", "--rate", 60,
                       "--duration", "0.5s", "--warmup", "0s", "--sla", "p90<=10s")
        self.assertGreater(t["latency"]["p99_ms"], 500)
        self.assertFalse([r for r in t["reasons"] if r.startswith("send-lag")], t["reasons"])

    def test_users_share_the_workers_that_were_asked_for(self):
        """Four users and one worker: each run waits for the three before it."""
        m = self.synthetic("mean: 40ms\nmode: sleep")
        _, t, _ = load("--in-process", m, "--streams", 1, "--concurrency", 4, "--duration", "1s",
                       "--warmup", "400ms")
        self.assertGreater(t["latency"]["p50_ms"], 120)
        self.assertLessEqual(t["throughput_rps"], 25.5)

    def test_pinned_threads_share_the_workers_of_all_cpus(self):
        if len(os.sched_getaffinity(0)) < 2:
            self.skipTest("one CPU")
        cpus = ",".join(map(str, sorted(os.sched_getaffinity(0))[:2]))
        m = self.synthetic("mean: 150ms\nmode: sleep")
        t = self.all_ok("--in-process", m, "--cpus", cpus, "--threads", 2, "--rate", 20,
                        "--duration", "0.4s", "--warmup", "0s")
        self.assertGreaterEqual(t["connections"], 2)
        # Two at once on one pinned thread: the workers are not where the sender is.
        t = self.all_ok("--in-process", m, "--cpus", cpus.split(",")[0], "--rate", 20,
                        "--duration", "0.4s", "--warmup", "0s")
        self.assertGreaterEqual(t["connections"], 2)

    def test_time_outs_and_expectations(self):
        m = self.synthetic("mean: 300ms\nmode: sleep\necho: true")
        _, t, _ = load("--in-process", m, "--concurrency", 1, "--duration", "0.5s", "--warmup",
                       "0s", "--timeout", "50ms")
        self.assertEqual(t["outcomes"]["timeout"], t["scheduled"])
        m = self.synthetic("mean: 0ms\necho: true")
        x = numpy.arange(16, dtype=numpy.float32).reshape(1, 16)
        numpy.save(self.dir / "x.npy", x)
        numpy.save(self.dir / "z.npy", x + 1)
        args = ("--in-process", m, "--input-file", self.dir / "x.npy", *QUICK)
        self.all_ok(*args, "--expect-file", self.dir / "x.npy")
        _, t, _ = load(*args, "--expect-file", f"y={self.dir / 'z.npy'}")
        self.assertEqual(t["outcomes"]["wrong_answer"], t["scheduled"])
        self.assertIn("element 0 is 0, expected 1", t["first_failure"])

    def test_a_load_file_names_a_model_beside_it(self):
        self.synthetic()
        (self.dir / "load.yaml").write_text(
            "duration: 0.3s\nwarmup: 0s\ntenants:\n"
            "  - {name: a, in_process: m.synthetic.yaml, rate: 50}\n")
        self.all_ok("--file", self.dir / "load.yaml")

    def test_what_is_no_model(self):
        (self.dir / "m.txt").write_text("x")
        for name, what in ((self.dir / "m.txt", "no engine runs"), ("resnet5000", "no engine"),
                           (self.dir / "none.synthetic.yaml", "none.synthetic.yaml")):
            self.assertIn(what, self.refused("--in-process", name, "--rate", 10))
        m = self.synthetic()
        for more in (("--model", "m"), ("--url", "http://127.0.0.1:1"), ("--protocol", "grpc")):
            self.assertIn("in-process", self.refused("--in-process", m, "--rate", 10, *more))

    @needs_onnxruntime
    def test_a_network_of_the_zoo(self):
        with tempfile.TemporaryDirectory() as tmp:
            t = self.all_ok("--in-process", "lstm_512", "--concurrency", 1, "--duration", "0.5s",
                            "--warmup", "0s", "--shape", "input:2x1x512", "--check-repeats",
                            env={"TMPDIR": tmp})
            self.assertEqual([f for f in os.listdir(tmp) if f.startswith("perseus-")], [])
        self.assertGreater(t["checks"]["compared"], 0)

    @needs_onnxruntime
    def test_the_same_answers_as_through_a_server(self):
        done = run("zoo", "write", "lstm_512", "--dir", self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        model = self.dir / "lstm_512.onnx"
        import onnxruntime
        x = numpy.random.default_rng(1).standard_normal((2, 1, 512), dtype=numpy.float32)
        y = onnxruntime.InferenceSession(model).run(None, {"input": x})[0]
        numpy.save(self.dir / "x.npy", x)
        numpy.save(self.dir / "y.npy", y)
        args = ("--input-file", self.dir / "x.npy", "--expect-file", self.dir / "y.npy",
                "--tolerance", "1e-4", "--concurrency", 1, "--duration", "0.3s", "--warmup", "0s")
        self.all_ok("--in-process", model, *args)
        with Server({"m": model}) as s:
            for more in (("--url", s.http), ("--url", s.http, "--json-tensors"),
                         ("--url", "grpc://" + s.ready["grpc"])):
                self.all_ok(*more, "--model", "m", *args)


class Replicas(Temporary):
    def test_round_robin_is_even_and_least_outstanding_avoids_the_slow_one(self):
        with ScriptedServer(lambda n, s: 0) as fast, ScriptedServer(lambda n, s: 0.3) as slow:
            args = ("--url", fast.url, "--url", slow.url, "--model", "m", "--arrival", "constant",
                    "--rate", 60, "--duration", "1s", "--warmup", "0s")
            t = self.all_ok(*args)
            self.assertEqual([r["sent"] for r in t["replicas"]], [30, 30])
            self.assertEqual([r["url"] for r in t["replicas"]], [fast.url, slow.url])
            # Of a closed loop: what a machine that stalls holds back is four requests, not a crowd.
            t = self.all_ok(*args[:6], "--concurrency", 4, "--duration", "1s", "--warmup", "0s",
                            "--balance", "least-outstanding")
            sent = [r["sent"] for r in t["replicas"]]
            self.assertEqual(sum(sent), t["scheduled"])
            self.assertGreater(sent[0], 2 * sent[1])

    def test_one_user_asks_all_of_them(self):
        with ScriptedServer(lambda n, s: 0) as a, ScriptedServer(lambda n, s: 0) as b:
            t = self.all_ok("--url", a.url, "--url", b.url, "--model", "m", "--concurrency", 1,
                            "--duration", "0.2s", "--warmup", "0s")
            self.assertLessEqual(abs(t["replicas"][0]["sent"] - t["replicas"][1]["sent"]), 1)

    def test_failures_are_counted_where_they_happen(self):
        with ScriptedServer(lambda n, s: 0) as good, ScriptedServer(lambda n, s: "503") as bad:
            _, t, _ = load("--url", good.url, "--url", bad.url, "--model", "m", *QUICK)
            self.assertEqual([r["failed"] for r in t["replicas"]], [0, t["outcomes"]["refused"]])
            self.assertGreater(t["outcomes"]["refused"], 0)

    def test_replicas_must_be_alike(self):
        other = {**METADATA, "outputs": [{"name": "z", "datatype": "FP32", "shape": [-1]}]}
        with ScriptedServer(lambda n, s: 0) as a, ScriptedServer(lambda n, s: 0, other) as b:
            self.assertIn("other inputs or outputs", self.refused(
                "--url", a.url, "--url", b.url, "--model", "m", "--rate", 10))


if __name__ == "__main__":
    unittest.main()
