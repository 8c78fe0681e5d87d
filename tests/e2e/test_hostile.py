# timeout: 240
# threads: yes
"""What a hostile client may send: each gets a refusal, and the server goes on as if nothing were."""
import contextlib
import gzip
import http.client
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import unittest
import zlib

from support.perseus import PERSEUS, SANITIZED, Server, new_key, synthetic

LIMIT = 8 << 20


def infer(shape, data=None, datatype="FP32", name="x", **parameters):
    given = {"name": name, "shape": shape, "datatype": datatype}
    if data is not None:
        given["data"] = data
    if parameters:
        given["parameters"] = parameters
    return json.dumps({"inputs": [given]}).encode()


NESTED = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32","data":'
BODIES = {
    "not JSON": (b"\xff\xfe{", 400),
    "empty": (b"", 400),
    "an array": (b"[]", 400),
    "200 levels deep": (NESTED + b"[" * 200 + b"]" * 200 + b"}]}", 413),
    "a million levels deep": (NESTED + b"[" * 1000000, 413),
    "deep objects": (b'{"a":' * 100000, 413),
    "shape overflows 64 bits": (infer([2**62, 2**62], []), 413),
    "shape overflows to 4": (infer([2**32, 2**32 + 1], [1, 2, 3, 4]), 413),
    "shape is negative": (infer([-1, 4], [1, 2, 3, 4]), 400),
    "shape is beyond 64 bits": (infer([10**30, 4], [1]), 400),
    "shape is fractional": (infer([1.5, 4], [1, 2, 3, 4]), 400),
    "zero beside the huge": (infer([0, 2**61], []), 413),
    "too few numbers": (infer([1, 4], [1, 2]), 400),
    "too many numbers": (infer([1, 4], [1] * 100), 400),
    "no data": (infer([1, 4]), 400),
    "number out of range": (infer([1, 4], [1, 2, 3, 10**400]), 400),
    "text for a number": (infer([1, 4], ["a", "b", "c", "d"]), 400),
    "unknown input": (infer([1, 4], [1, 2, 3, 4], name="z"), 400),
    "wrong type": (infer([1, 4], [1, 2, 3, 4], datatype="INT8"), 400),
    "unknown type": (infer([1, 4], [1, 2, 3, 4], datatype="FP4"), 400),
    "input twice": (json.dumps({"inputs": [json.loads(infer([1, 4], [1] * 4))["inputs"][0]] * 2})
                    .encode(), 400),
    "a thousand inputs": (json.dumps({"inputs": [{"name": f"x{i}", "shape": [1], "datatype": "FP32",
                                                  "data": [1]} for i in range(1000)]}).encode(), 413),
    "binary size without binary data": (infer([1, 4], binary_data_size=16), 400),
    "binary size is huge": (infer([1, 4], binary_data_size=2**63 - 1), 400),
    "binary size is negative": (infer([1, 4], binary_data_size=-16), 400),
    "shared memory": (infer([1, 4], shared_memory_region="r", shared_memory_byte_size=16), 501),
    "a sequence": (json.dumps({"parameters": {"sequence_id": 3}, **json.loads(
        infer([1, 4], [1, 2, 3, 4]))}).encode(), 501),
}
PATHS = {
    "/v2/models/..%2f..%2fetc%2fpasswd/infer": (400, 404),
    "/v2/models/%2e%2e/infer": (400, 404),
    "/v2/models/m%00/infer": (400, 404),
    "/v2/models/" + "a" * 5000 + "/infer": (400, 404, 414),
    "/v2/models/m/versions/..%2f1/infer": (400, 404),
    "/v2/models/m/versions/99999999999999999999/infer": (400, 404),
    "/v2/repository/models/..%2f..%2fetc/load": (400, 403, 404),
    "/v2/repository/models/%2fetc%2fpasswd/load": (400, 403, 404),
    "/../../etc/passwd": (400, 404),
}


def rss(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) * 1024


class Hostile(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(models={"m": synthetic(mean="0ms")},
                                                  config={"max_body": LIMIT}))

    def tearDown(self):
        status, _, body = self.server.infer("m", [{"name": "x", "shape": [1, 4],
                                                   "datatype": "FP32", "data": [1, 2, 3, 4]}])
        self.assertEqual(status, 200, body)

    def post(self, body, headers=None, path="/v2/models/m/infer"):
        c = http.client.HTTPConnection(*self.server.address, timeout=30)
        try:
            c.request("POST", path, body, headers or {})
            answer = c.getresponse()
            return answer.status, answer.read()
        except (BrokenPipeError, ConnectionResetError):
            return None, b""  # refused before it was read to its end
        finally:
            c.close()

    def test_bodies(self):
        for name, (body, want) in BODIES.items():
            with self.subTest(name):
                status, answer = self.post(body)
                self.assertEqual(status, want, answer[:300])
                self.assertIn("error", json.loads(answer))

    def test_binary_lengths(self):
        head = infer([1, 4], binary_data_size=16)
        for name, header, tail in (("past the end", str(len(head) + 100), b""),
                                   ("negative", "-5", b""), ("no number", "x", b""),
                                   ("overflow", "9" * 30, b""),
                                   ("one byte short", str(len(head)), b"a" * 15),
                                   ("one byte more", str(len(head)), b"a" * 17)):
            with self.subTest(name):
                status, answer = self.post(head + tail,
                                           {"Inference-Header-Content-Length": header})
                self.assertEqual(status, 400, answer[:300])

    def test_paths(self):
        for path, allowed in PATHS.items():
            with self.subTest(path[:60]):
                status, answer = self.post(infer([1, 4], [1] * 4), path=path)
                self.assertIn(status, allowed, answer[:300])

    def test_nan_and_infinity_are_values(self):
        body = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP32",' \
               b'"data":[NaN,Infinity,-Infinity,0]}]}'
        self.assertEqual(self.post(body)[0], 200)

    def test_body_over_the_limit(self):
        self.assertIn(self.post(bytes(LIMIT + 1))[0], (413, None))

    def test_compression_bombs(self):
        raw = zlib.compressobj(9, zlib.DEFLATED, 31)
        bomb = b"".join([raw.compress(bytes(1 << 20)) for _ in range(512)] + [raw.flush()])
        self.assertLess(len(bomb), LIMIT)
        before = rss(self.server.process.pid)
        for coding in ("gzip", "gzip, gzip"):
            status, _ = self.post(bomb, {"Content-Encoding": coding})
            self.assertIn(status, (413, 415, None), coding)
        grown = rss(self.server.process.pid) - before
        self.assertLess(grown, (16 if SANITIZED else 4) * LIMIT)
        self.assertEqual(self.post(bomb[:-9], {"Content-Encoding": "deflate"})[0], 400)
        self.assertEqual(self.post(b"x", {"Content-Encoding": "br"})[0], 415)
        whole = gzip.compress(infer([1, 4], [1] * 4))
        self.assertEqual(self.post(whole[:-8], {"Content-Encoding": "gzip"})[0], 400)
        self.assertEqual(self.post(whole, {"Content-Encoding": "gzip"})[0], 200)

    def test_raw_bytes(self):
        rows = {
            "header of a megabyte": (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"x" * (1 << 20) +
                                     b"\r\n\r\n", (431, None)),
            "a thousand headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
                                   (431, None)),
            "two lengths": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
                            b"Content-Length: 2\r\n\r\nab", (400,)),
            "length and chunks": (b"POST /v2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
                                  b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", (400,)),
            "negative length": (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", (400,)),
            "no host": (b"GET /v2 HTTP/1.1\r\n\r\n", (400,)),
            "TLS hello on a clear port": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400,
                                                                                          None)),
            "HTTP/2 preface and rubbish": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 64,
                                           None),
        }
        for name, (data, allowed) in rows.items():
            with self.subTest(name), socket.create_connection(self.server.address, 30) as s:
                try:
                    s.sendall(data)
                    s.shutdown(socket.SHUT_WR)
                    got = b"".join(iter(lambda: s.recv(65536), b""))
                except (BrokenPipeError, ConnectionResetError):
                    got = b""
                if allowed:
                    status = int(got.split(b" ", 2)[1]) if got.startswith(b"HTTP/1.1 ") else None
                    self.assertIn(status, allowed, got[:200])

    def test_grpc_rubbish(self):
        """Frames that h2load sends well, with bodies that are none: the server answers each."""
        with tempfile.TemporaryDirectory() as d:
            for name, body in (("short prefix", b"\0\0"),
                               ("length past the end", b"\0" + struct.pack(">I", 1 << 31) + b"x"),
                               ("flag 7", b"\7" + struct.pack(">I", 1) + b"x"),
                               ("compressed without coding", b"\1" + struct.pack(">I", 1) + b"x"),
                               ("no protobuf", b"\0" + struct.pack(">I", 4) + b"\xff" * 4)):
                with self.subTest(name):
                    path = pathlib.Path(d, "body")
                    path.write_bytes(body)
                    done = subprocess.run(
                        ["h2load", "-n", "8", "-c", "2", "-m", "4", "-d", path, "-H",
                         "content-type: application/grpc", "-H", "te: trailers",
                         f"http://{self.server.ready['grpc']}"
                         "/inference.GRPCInferenceService/ModelInfer"],
                        capture_output=True, text=True, timeout=60)
                    # gRPC's own status is in the trailers; HTTP's is 200, or the stream is reset.
                    self.assertIn("8 done", done.stdout, done.stdout + done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "changing the user needs root; make check runs as such")
    def test_unprivileged(self):
        """As a user who may write nowhere but in cache and state."""
        with tempfile.TemporaryDirectory() as d:
            for name in ("cache", "state"):
                os.mkdir(f"{d}/{name}")
                os.chown(f"{d}/{name}", 65534, 65534)
            os.chmod(d, 0o755)
            with Server(models={"m": synthetic(mean="0ms")},
                        config={"cache": f"{d}/cache", "state": f"{d}/state"},
                        program=PERSEUS, user=65534) as server:
                self.assertEqual(server.infer("m", [{"name": "x", "shape": [1, 4], "datatype":
                                                     "FP32", "data": [1, 2, 3, 4]}])[0], 200)
                with open(f"/proc/{server.process.pid}/status") as f:
                    self.assertRegex(f.read(), r"Uid:\s+65534\s+65534")

    def test_slow_large_bodies_of_one_tenant(self):
        """One tenant promises bodies and does not send them: it gets its share of the room, then is
        refused; the other one is served all the same."""
        keys = {name: new_key() for name in "ab"}
        tenants = [{"name": name, "keys": [digest]} for name, (_, digest) in keys.items()]
        with Server(models={"m": synthetic(mean="0ms")}, tenants=tenants,
                    config={"max_body": "1MiB", "max_buffered": "8MiB"}) as server, \
                contextlib.ExitStack() as ends:
            def begin(name, n=1000000):
                s = ends.enter_context(socket.create_connection(server.address, 30))
                s.sendall(f"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                          f"Authorization: Bearer {keys[name][0]}\r\nContent-Length: {n}\r\n\r\n"
                          .encode())
                return s.recv(65536)

            said = [begin("a").split(b" ")[1] for _ in range(10)]
            self.assertEqual(said, [b"100"] * 2 + [b"429"] * 8)
            self.assertIn(b"Retry-After: 1\r\n", begin("a"))
            self.assertIn(b"100 Continue", begin("b"))
            body = infer([1, 4], [1, 2, 3, 4])
            for name, want in (("a", 200), ("b", 200)):  # what is small has room beside the large
                status, _, _ = server.get("/v2/models/m/infer", "POST", body,
                                          {"Authorization": f"Bearer {keys[name][0]}"})
                self.assertEqual(status, want, name)


if __name__ == "__main__":
    unittest.main()
