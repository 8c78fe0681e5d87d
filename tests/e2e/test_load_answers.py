# timeout: 180
"""What perseus load sends and what it makes of the answers: files, mixes, references, metadata that
changes, and each way in which gRPC fails."""
import contextlib
import json
import socketserver
import struct
import threading
import time
import unittest
from concurrent import futures

import grpc
import numpy
from tritonclient.grpc import service_pb2

from support.campaigns import Folder
from support.loading import ECHO, QUICK, Temporary, load
from support.perseus import Server, run
from support.scripted_server import METADATA, ScriptedServer, answer, http


class Inputs(Temporary):
    def save(self, name, array):
        numpy.save(self.dir / name, array)
        return self.dir / name

    def test_a_set_of_files_goes_in_turn_with_its_expectations(self):
        xs = [numpy.full((2, 16), k, numpy.float32) for k in range(3)]
        args = []
        for k, x in enumerate(xs):
            args += ["--input-file", f"x={self.save(f'x{k}.npy', x)}", "--expect-file",
                     self.save(f"y{k}.npy", x + 1e-4)]
        with Server({"m": ECHO}) as s:
            for url in (s.http, "grpc://" + s.ready["grpc"]):
                base = ("--url", url, "--model", "m", *QUICK, *args)
                t = self.all_ok(*base, "--tolerance", "1e-3")
                self.assertEqual(t["inferences_per_request"], 2)
                self.assertEqual(t["checks"]["compared"], t["scheduled"])
                _, t, _ = load(*base)
                self.assertEqual(t["outcomes"]["wrong_answer"], t["scheduled"])
                _, t, _ = load(*base, "--check-share", "20%")
                self.assertTrue(0 < t["outcomes"]["wrong_answer"] < t["scheduled"] / 2)
                self.assertEqual(t["outcomes"]["wrong_answer"], t["checks"]["compared"])

    def test_raw_files(self):
        raw = self.dir / "x.raw"
        raw.write_bytes(struct.pack("<16f", *range(16)))
        with ScriptedServer(lambda n, s: 0) as s:
            self.all_ok("--url", s.url, "--model", "m", *QUICK, "--input-file", raw)
            _, headers, body = s.headers[0]
            self.assertEqual(body[int(headers["inference-header-content-length"]):],
                             raw.read_bytes())
            self.assertIn("does not take 64 bytes", self.refused(
                "--url", s.url, "--model", "m", "--rate", 10, "--batch", 2, "--input-file", raw))
            self.assertIn("has shape", self.refused(
                "--url", s.url, "--model", "m", "--rate", 10, "--input-file",
                self.save("bad.npy", numpy.zeros((1, 15), numpy.float32))))

    def test_mixes_of_models_and_batches(self):
        with ScriptedServer(lambda n, s: 0) as s:
            args = ("--url", s.url, "--mix", "big,batch=4,weight=3", "--mix", "small@2,weight=1",
                    "--rate", 300, "--duration", "1s", "--warmup", "0s", "--seed", 5)
            t = self.all_ok(*args)
            lines = [line.split()[1] for line, _, _ in s.headers]
            batches = {line.split()[1]: json.loads(
                body[:int(h["inference-header-content-length"])])["inputs"][0]["shape"][0]
                for line, h, body in s.headers}
            first = sorted(lines)
            s.headers.clear()
            self.all_ok(*args)
            again = sorted(line.split()[1] for line, _, _ in s.headers)
        big, small = "/v2/models/big/infer", "/v2/models/small/versions/2/infer"
        self.assertEqual(batches, {big: 4, small: 1})
        share = lines.count(big) / len(lines)
        self.assertAlmostEqual(share, 0.75, delta=4 * (0.75 * 0.25 / len(lines)) ** 0.5)
        self.assertEqual(first, again)  # same seed, same requests
        self.assertEqual(t["inferences_per_request"], 3.25)


class Changes(Temporary):
    def run_with(self, script, metadata=None, *args):
        with ScriptedServer(script, metadata) as s:
            return load("--url", s.url, "--model", "m", "--arrival", "constant", *QUICK, *args)

    def test_metadata_that_changes_makes_the_run_invalid(self):
        def script(n, server):
            if n == 20:
                server.metadata = {**METADATA, "versions": ["2"], "platform": "other"}
            return 0

        code, t, _ = self.run_with(script)
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"])
        self.assertIn("other versions other platform", t["metadata_changed"])
        self.assertFalse(t["valid"])
        self.assertEqual(code, 1)

    def test_metadata_that_is_none_any_more_or_very_long(self):
        long = {**METADATA, "comment": "x" * (3 << 20)}  # more than an answer of the model may have
        small = {**METADATA, "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 4]}]}
        for then, text in ((b"{]", "unreadable"), ({**long, "platform": "p"}, "other platform")):
            def script(n, server):
                if n == 20:
                    server.metadata = then if isinstance(then, bytes) else {
                        **then, "outputs": small["outputs"]}
                return 0

            code, t, _ = self.run_with(script, small)
            self.assertIn(text, t["metadata_changed"] or "")
            self.assertEqual((code, t["valid"]), (1, False))

    def test_servers_that_hang_after_the_run_take_two_seconds_together(self):
        def script(n, server):
            if n == 20:
                server.metadata = "never"
            return 0

        mix = [a for i in range(1, 7) for a in ("--mix", f"m,batch={i}")]
        with ScriptedServer(script) as s:
            begin = time.monotonic()
            done = run("load", "--json", "--url", s.url, *mix, *QUICK)
            took = time.monotonic() - begin
        self.assertLess(took, 11)  # not 6 x 2 s
        self.assertIn("metadata not seen again: 6 models", done.stdout)

    def test_one_server_that_hangs_leaves_the_others_their_time(self):
        """The first of two tenants gives no metadata any more, the second one's has changed."""
        def hangs(n, server):
            server.metadata = "never"
            return 0

        def changes(n, server):
            server.metadata = {**METADATA, "platform": "other"}
            return 0

        with ScriptedServer(hangs) as a, ScriptedServer(changes) as b:
            (self.dir / "load.yaml").write_text(json.dumps({
                "duration": "0.2s", "warmup": "0s",
                "tenants": [{"name": name, "url": s.url, "model": "m", "rate": 50}
                            for name, s in (("a", a), ("b", b))]}))
            done = run("load", "--json", "--file", self.dir / "load.yaml")
        whole = json.loads(done.stdout)
        self.assertEqual([t["metadata_unseen"] for t in whole["tenants"]], [1, 0])
        self.assertIn("other platform", whole["tenants"][1]["metadata_changed"])
        self.assertIn("metadata not seen again: 1 models at their replicas, of a",
                      "".join(whole["notes"]))

    def test_a_server_that_refuses_to_say_was_not_seen(self):
        def script(n, server):
            server.metadata = "401"
            return 0

        _, t, _ = self.run_with(script)
        self.assertEqual((t["metadata_unseen"], t["metadata_changed"]), (1, None))

    def test_the_same_bytes_with_the_json_ending_elsewhere(self):
        good = answer()
        n = int(good.split(b"Content-Length: ")[2].split(b"\r\n")[0])
        name = b"Inference-Header-Content-Length: "
        bad = good.replace(name + b"%d" % n, name + b"%d" % (n - 1))
        self.assertNotEqual(good, bad)
        for args in ((), ("--check-repeats",)):
            _, t, _ = self.run_with(lambda n, s: good if n < 30 else bad, None, "--inputs", 1,
                                    *args)
            self.assertEqual(t["outcomes"]["ok"], 30)
            self.assertEqual(t["outcomes"]["garbage"], t["scheduled"] - 30)

    def test_another_version_answers(self):
        _, t, _ = self.run_with(lambda n, s: answer(version="1" if n < 30 else "2"))
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"])
        self.assertEqual(t["checks"]["version_changes"], t["scheduled"] - 30)

    def test_the_text_says_it_as_well(self):
        replies = (answer(), answer(version="2"), answer(name="z"), http(401, b'{"error":"no"}'),
                   http(302, b"", "Location: /\r\n"))
        with ScriptedServer(lambda n, s: replies[n % 5]) as s:
            done = run("load", "--url", s.url, "--model", "m", "--arrival", "constant", *QUICK)
        for line in ("changed      10 answers of another version of the model",
                     "changed      10 answers with other outputs than declared",
                     "redirects    10 answers that point elsewhere: not followed",
                     "keys         10 requests whose key was refused"):
            self.assertIn(line, done.stdout)

    def test_other_outputs(self):
        _, t, _ = self.run_with(lambda n, s: "good" if n < 30 else "wrong-shape")
        self.assertEqual(t["outcomes"]["wrong_answer"], t["scheduled"] - 30)
        self.assertEqual(t["checks"]["output_changes"], t["scheduled"] - 30)
        self.assertIn("output 'y' has shape", t["first_failure"])  # no input

    def test_an_answer_beyond_all_measure_is_given_up_early(self):
        """What a server may make a connection hold follows from what it declared."""
        meta = {**METADATA, "outputs": [{"name": "y", "datatype": "FP32", "shape": [1, 4]}]}
        much = answer(values=(1.0,) * (1 << 19), shape=(1, 1 << 19))
        _, t, _ = self.run_with(lambda n, s: much if n % 2 else "good", meta)
        self.assertEqual(t["outcomes"]["garbage"], t["scheduled"] // 2)
        self.assertIn("larger than is taken", t["first_failure"])
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"] // 2)

    def test_redirects_and_refused_keys_are_not_followed_and_counted(self):
        elsewhere = http(302, b"", "Location: http://127.0.0.1:1/\r\n")
        _, t, _ = self.run_with(lambda n, s: elsewhere if n % 2 else http(401, b'{"error":"no"}'))
        self.assertEqual(t["outcomes"]["rejected"], t["scheduled"])
        self.assertEqual(t["checks"]["redirects"] + t["checks"]["key_refusals"], t["scheduled"])
        self.assertGreater(t["checks"]["redirects"], 20)

    def test_answers_in_json_of_a_server_without_the_binary_extension(self):
        """As MLServer answers: tensors as nested JSON, whatever was asked for."""
        def script(n, _server):
            y = {"name": "y", "datatype": "FP32", "shape": [1, 4], "data": [[n, 2.5, 3, 4e-3]]}
            return http(200, json.dumps({"model_name": "m", "id": str(n), "parameters": {},
                                         "outputs": [y]}).encode())

        code, t, _ = self.run_with(script)
        self.assertEqual(t["outcomes"]["ok"], t["scheduled"])
        _, t, _ = self.run_with(script, None, "--check-repeats", "--inputs", 1)
        self.assertEqual(t["outcomes"]["wrong_answer"], t["scheduled"] - 1)
        self.assertIn("element 0", t["first_failure"])


class Campaigns(Folder):
    def test_tenants_of_a_campaign_ask_in_their_own_way(self):
        """Two tenants of one server: gRPC with the right expectation, HTTP/2 with a wrong one."""
        for name, value in (("x", 1), ("z", 2)):
            numpy.save(self.dir / f"{name}.npy", numpy.full((1, 4), value, numpy.float32))
        for name in "ab":
            self.model(name, mean="0ms", echo=True)
        path = self.write(
            tenants=[{"name": "ta", "model": "a", "demand": 30, "sla": "p95<=900ms",
                      "protocol": "grpc", "input_file": "x.npy", "expect_file": "y=x.npy"},
                     {"name": "tb", "model": "b", "demand": 30, "sla": "p95<=900ms",
                      "protocol": "http2", "input_file": "x.npy", "expect_file": "z.npy"}],
            search={"sets": "none"}, confirm={"trials": 0},
            grids=[{"name": "g", "trials": 1, "duration": "1s", "warmup": "0s",
                    "axes": [{"tenant": "ta", "rates": [30]}, {"tenant": "tb", "rates": [30]}]}])
        done = self.measure(path, "--json")
        self.assertIn(done.returncode, (0, 1), done.stderr)
        # a cell in which nothing of a tenant was right measured nothing, and says so
        self.assertEqual(self.query("SELECT count(*) FROM result"), [(0,)])
        why = self.query("SELECT state, reason FROM cell")
        self.assertEqual(why[0][0], "failed", why)
        self.assertRegex(why[0][1], r"of tb succeeded \(\d+ wrong_answer\)")


class MovedServer(socketserver.ThreadingTCPServer):
    """HTTP/2 of the smallest kind: the first connection is told the metadata, on all others every
    request is sent elsewhere, as by a proxy before a gRPC server."""
    daemon_threads = True

    def __init__(self, metadata):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.port = self.server_address[1]
        self.metadata, self.connections = metadata, iter(range(10 ** 9))

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()

    class Handler(socketserver.StreamRequestHandler):
        def frame(self, kind, flags, stream, payload=b""):
            self.wfile.write(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) +
                             struct.pack(">I", stream) + payload)

        def answer(self, stream, told):
            def field(name, value):
                return bytes([0, len(name)]) + name + bytes([len(value)]) + value

            if told:
                message = self.server.metadata
                self.frame(1, 4, stream, b"\x88" + field(b"content-type", b"application/grpc"))
                self.frame(0, 0, stream, b"\0" + struct.pack(">I", len(message)) + message)
                self.frame(1, 5, stream, field(b"grpc-status", b"0"))
            else:
                self.frame(1, 5, stream, b"\x08\x03302" + field(b"location", b"https://x/"))

        def handle(self):
            told = next(self.server.connections) == 0
            self.rfile.read(24)
            self.frame(4, 0, 0)
            while len(head := self.rfile.read(9)) == 9:
                self.rfile.read(int.from_bytes(head[:3], "big"))
                kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
                if kind == 4 and not flags & 1:
                    self.frame(4, 1, 0)
                if kind in (0, 1) and flags & 1:  # END_STREAM
                    self.answer(stream, told)


class GrpcFaults(Temporary):
    """A gRPC server made of raw bytes, which answers as it is told."""

    @contextlib.contextmanager
    def server(self, unary=None, stream=None, times=1):
        meta = service_pb2.ModelMetadataResponse(name="m", versions=["1"], platform="scripted")
        for side, name, n in ((meta.inputs, "x", 16), (meta.outputs, "y", 4)):
            side.add(name=name, datatype="FP32", shape=[-1, n])
        count = iter(range(10 ** 9))
        lock = threading.Lock()

        def handle(script):
            def answers(request, context):
                with lock:
                    n = next(count)
                return script(n, request, context)
            return answers

        def streamed(requests, context):
            for request in requests:
                yield from [handle(stream)(request, context)] * times

        service = {"ModelMetadata": grpc.unary_unary_rpc_method_handler(
            lambda r, c: meta.SerializeToString())}
        if unary:
            service["ModelInfer"] = grpc.unary_unary_rpc_method_handler(handle(unary))
        if stream:
            service["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(streamed)
        s = grpc.server(futures.ThreadPoolExecutor(32))
        s.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(
            "inference.GRPCInferenceService", service),))
        port = s.add_insecure_port("127.0.0.1:0")
        s.start()
        try:
            yield f"grpc://127.0.0.1:{port}"
        finally:
            s.stop(0).wait()

    @staticmethod
    def good(n=0, typed=False):
        r = service_pb2.ModelInferResponse(model_name="m", model_version="1")
        y = r.outputs.add(name="y", datatype="FP32", shape=[1, 4])
        if typed:
            y.contents.fp32_contents.extend([n, 1, 2, 3])
        else:
            r.raw_output_contents.append(struct.pack("<4f", n, 1, 2, 3))
        return r.SerializeToString()

    def test_each_kind_is_counted(self):
        def script(n, request, context):
            kind = n % 6
            if kind == 0:
                return self.good(n)
            if kind == 1:
                return self.good(n, typed=True)
            if kind == 2:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "full up")
            if kind == 3:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "50% wrong")
            if kind == 4:
                return b"\xff\xff\xff"
            return service_pb2.ModelInferResponse(model_name="m").SerializeToString()

        with self.server(unary=script) as url:
            _, t, stderr = load("--url", url, "--model", "m", "--arrival", "constant", "--rate",
                                120, "--duration", "0.5s", "--warmup", "0s")
        self.assertEqual({k: v for k, v in t["outcomes"].items() if v},
                         {"ok": 20, "refused": 10, "rejected": 10, "garbage": 10,
                          "wrong_answer": 10})

    def test_streams_that_say_no_end_or_lie(self):
        error = service_pb2.ModelStreamInferResponse(error_message="too busy").SerializeToString()
        inner = service_pb2.ModelInferResponse.FromString(self.good())
        good = service_pb2.ModelStreamInferResponse(infer_response=inner).SerializeToString()

        def script(n, request, context):
            if n % 4 == 3:
                context.abort(grpc.StatusCode.UNAVAILABLE, "going away")
            return (good, error, b"\xff\xff")[n % 4]

        with self.server(stream=script) as url:
            _, t, _ = load("--url", url, "--protocol", "grpc-stream", "--model", "m", "--arrival",
                           "constant", "--rate", 80, "--duration", "0.5s", "--warmup", "0s")
        self.assertEqual({k: v for k, v in t["outcomes"].items() if v},
                         {"ok": 10, "rejected": 10, "garbage": 10, "refused": 10})

    def test_a_stream_that_answers_twice(self):
        inner = service_pb2.ModelInferResponse.FromString(self.good())
        good = service_pb2.ModelStreamInferResponse(infer_response=inner).SerializeToString()
        with self.server(stream=lambda n, request, context: good, times=2) as url:
            # 2 MiB do not leave at once: the second answer comes while the next request leaves.
            _, t, stderr = load("--url", url, "--protocol", "grpc-stream", "--model", "m",
                                "--concurrency", 1, "--batch", 32768, "--duration", "0.5s",
                                "--warmup", "0s")
        self.assertIsNotNone(t, stderr)
        outcomes = {k: v for k, v in t["outcomes"].items() if v}
        self.assertEqual(set(outcomes), {"ok", "garbage"}, t["first_failure"])
        self.assertIn("before its request had left", t["first_failure"])

    def test_keys_that_are_revoked_in_the_run(self):
        def script(n, request, context):
            if n >= 20:
                context.abort(grpc.StatusCode.UNAUTHENTICATED, "no such key")
            return self.good()

        with self.server(unary=script) as url:
            _, t, _ = load("--url", url, "--model", "m", "--arrival", "constant", *QUICK)
        self.assertEqual({k: v for k, v in t["outcomes"].items() if v},
                         {"ok": 20, "rejected": t["scheduled"] - 20})
        self.assertEqual(t["checks"]["key_refusals"], t["scheduled"] - 20)
        self.assertIn("no such key", t["first_failure"])

    def test_redirects_of_a_proxy_are_not_followed_and_counted(self):
        meta = service_pb2.ModelMetadataResponse(name="m", versions=["1"], platform="scripted")
        meta.inputs.add(name="x", datatype="FP32", shape=[-1, 16])
        meta.outputs.add(name="y", datatype="FP32", shape=[-1, 4])
        with MovedServer(meta.SerializeToString()) as s:
            _, t, stderr = load("--url", f"grpc://127.0.0.1:{s.port}", "--model", "m", *QUICK)
        self.assertIsNotNone(t, stderr)
        self.assertEqual(t["outcomes"]["rejected"], t["scheduled"])
        self.assertEqual(t["checks"]["redirects"], t["scheduled"])
        self.assertIn("HTTP 302: sent elsewhere (https://x/); redirects are not followed",
                      t["first_failure"])

    def test_answers_that_never_come(self):
        release = threading.Event()

        def script(n, request, context):
            if n % 2:
                release.wait(10)
            return self.good() if not streams else good

        inner = service_pb2.ModelInferResponse.FromString(self.good())
        good = service_pb2.ModelStreamInferResponse(infer_response=inner).SerializeToString()
        for streams in (False, True):
            with self.subTest(streams=streams):
                release.clear()
                ways = {"stream": script} if streams else {"unary": script}
                with self.server(**ways) as url:
                    _, t, _ = load("--url", url, "--protocol", "grpc-stream" if streams else "grpc",
                                   "--model", "m", "--arrival", "constant", "--rate", 20,
                                   "--duration", "0.5s", "--warmup", "0s", "--timeout", "2s")
                    release.set()
                self.assertEqual({k: v for k, v in t["outcomes"].items() if v},
                                 {"ok": 5, "timeout": 5})


if __name__ == "__main__":
    unittest.main()
