# threads: yes
"""perseus serve and clients that break the rules: each gets its answer, nobody else notices."""
import json
import socket
import struct
import unittest

from support.perseus import Server, synthetic, tensor

X = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1, 2, 3, 4]}]
GOOD = json.dumps({"inputs": X}).encode()


def post(body=GOOD, path="/v2/models/m/infer", extra="", length=None):
    n = len(body) if length is None else length
    return (f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {n}\r\n{extra}\r\n").encode() + body


def read_answer(f):
    """(status, headers, body) of the next answer on a buffered socket file; None at its end."""
    line = f.readline()
    if not line:
        return None
    status, headers = int(line.split()[1]), {}
    while (line := f.readline().strip()):
        name, value = line.decode().split(":", 1)
        headers[name.strip().lower()] = value.strip()
    return status, headers, f.read(int(headers.get("content-length", 0)))


class Wire(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server({"m": synthetic(mean="200us"),
                             "slow": synthetic(mean="600s"),
                             "big": synthetic(outputs=[tensor("y", "FP32", [8 << 20])],
                                              mean="1ms")},
                            config={"max_body": "1MiB"}, args=["--lanes", "1"]).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__(None, None, None)

    def tearDown(self):
        self.assertEqual(self.server.infer("m", X)[0], 200, "the server survived")

    def connect(self):
        c = socket.create_connection(self.server.address, timeout=30)
        self.addCleanup(c.close)
        return c

    def ask(self, data):
        c = self.connect()
        c.sendall(data)
        with c.makefile("rb") as f:
            return read_answer(f)

    # --- malformed ---

    def test_malformed_http(self):
        infer = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n"
        rows = [
            ("no HTTP at all", b"hello\r\n\r\n", 400),
            ("binary", bytes(range(256)), 400),
            ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64), 400),
            ("no host", b"GET /v2 HTTP/1.1\r\n\r\n", 400),
            ("bad version", b"GET /v2 HTTP/9.9\r\n\r\n", 505),
            ("bad header", b"GET /v2 HTTP/1.1\r\nHost: x\r\nA x\r\n\r\n", 400),
            ("bad length", infer + b"Content-Length: x\r\n\r\n", 400),
            ("negative length", infer + b"Content-Length: -5\r\n\r\n", 400),
            ("two lengths", infer + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
            ("length and chunked", infer + b"Content-Length: 5\r\n"
             b"Transfer-Encoding: chunked\r\n\r\n", 400),
            ("bad chunk", infer + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
            ("huge length", post(b"", length=10 ** 18), 413),
            ("body over the limit", post(b"", length=(1 << 20) + 1), 413),
            ("long line", b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
            ("long header", b"GET /v2 HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 70000 + b"\r\n\r\n",
             431),
            ("many headers", b"GET /v2 HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200 + b"\r\n",
             431),
            ("wrong method", b"PUT /v2 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            ("GET infer", b"GET /v2/models/m/infer HTTP/1.1\r\nHost: x\r\n\r\n", 405),
            ("unknown path", b"GET /v3 HTTP/1.1\r\nHost: x\r\n\r\n", 404),
            ("bad escape", b"GET /v2/models/%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        ]
        for what, data, want in rows:
            with self.subTest(what):
                status, headers, body = self.ask(data)
                self.assertEqual(status, want)
                self.assertEqual(headers["content-type"], "application/json")
                self.assertTrue(json.loads(body)["error"])
                if want == 405:
                    self.assertIn(headers["allow"], ("GET, HEAD", "POST"))

    def test_malformed_inference(self):
        def j(**more):
            return json.dumps(more).encode()

        def one(**more):
            return j(inputs=[{**X[0], **more}])

        head = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32",
                                       "parameters": {"binary_data_size": 16}}]}).encode()
        bin_len = f"Inference-Header-Content-Length: {len(head)}\r\n"
        rows = [
            ("empty", b"", ""), ("no JSON", b"hello", ""), ("cut", GOOD[:-5], ""),
            ("behind the end", GOOD + b"x", ""), ("an array", b"[]", ""), ("a null", b"null", ""),
            ("no inputs", b"{}", ""), ("deep", b"[" * 5000, ""),
            ("not UTF-8", GOOD.replace(b'"x"', b'"\xff"'), ""),
            ("NUL in the name", GOOD.replace(b'"x"', b'"x\\u0000"'), ""),
            ("wrong name", one(name="z"), ""), ("wrong type", one(datatype="INT64"), ""),
            ("unknown type", one(datatype="FP99"), ""), ("no data", j(inputs=[{
                "name": "x", "shape": [1, 4], "datatype": "FP32"}]), ""),
            ("too few", one(data=[1, 2, 3]), ""), ("too many", one(data=[1] * 5), ""),
            ("wrong shape", one(shape=[4]), ""), ("negative", one(shape=[-1, 4]), ""),
            ("a text", one(data=["a"] * 4), ""),
            ("twice", j(inputs=X + X), ""), ("unknown output", j(inputs=X, outputs=[
                {"name": "z"}]), ""),
            ("binary too short", head + bytes(15), bin_len),
            ("binary too long", head + bytes(17), bin_len),
            ("header longer than the body", head,
             f"Inference-Header-Content-Length: {len(head) + 1}\r\n"),
            ("bad header length", head + bytes(16), "Inference-Header-Content-Length: x\r\n"),
        ]
        for what, body, extra in rows:
            with self.subTest(what):
                answer = self.ask(post(body, extra=extra))
                self.assertEqual(answer[0], 400, answer)
                self.assertTrue(json.loads(answer[2])["error"])
        self.assertEqual(self.ask(post(one(shape=[1 << 40, 1 << 40])))[0], 413)
        self.assertEqual(self.ask(post(head + bytes(16), extra=bin_len))[0], 200)

    # --- the connection ---

    def test_large_bodies_are_refused_at_the_head(self):
        """Half a megabyte is announced and never sent: the answer does not wait for it."""
        status, headers, body = self.ask(post(b"", "/v2/models/none/infer", length=500_000))
        self.assertEqual(status, 404)
        self.assertEqual(headers["connection"], "close")
        self.assertIn("none", json.loads(body)["error"])

    def test_keep_alive_survives_a_refusal(self):
        c = self.connect()
        with c.makefile("rb") as f:
            for path, want in (("/v2/models/m/infer", 200), ("/v2/models/none/infer", 404),
                               ("/v2/models/m/infer", 200)):
                c.sendall(post(path=path))
                self.assertEqual(read_answer(f)[0], want)
            c.sendall(post(b"{"))
            self.assertEqual(read_answer(f)[0], 400)
            c.sendall(post())
            self.assertEqual(read_answer(f)[0], 200)

    def test_pipelining_keeps_the_order(self):
        c = self.connect()
        n = 50
        c.sendall(b"".join(post(json.dumps({"id": str(i), "inputs": X}).encode())
                           for i in range(n)))
        with c.makefile("rb") as f:
            ids = [json.loads(read_answer(f)[2])["id"] for _ in range(n)]
        self.assertEqual(ids, [str(i) for i in range(n)])

    def test_byte_by_byte(self):
        c = self.connect()
        c.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i, byte in enumerate(post()):
            c.sendall(bytes([byte]))
            if i % 40 == 0:
                self.assertEqual(self.server.get("/v2/health/live")[0], 200)
        with c.makefile("rb") as f:
            self.assertEqual(read_answer(f)[0], 200)

    def test_chunked(self):
        data = (b"POST /v2/models/m/infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                + b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (GOOD[:7], GOOD[7:])) +
                b"0\r\n\r\n")
        self.assertEqual(self.ask(data)[0], 200)

    def test_connection_close_and_http_1_0(self):
        for data in (post(extra="Connection: close\r\n"),
                     post().replace(b"HTTP/1.1", b"HTTP/1.0")):
            c = self.connect()
            c.sendall(data)
            with c.makefile("rb") as f:
                self.assertEqual(read_answer(f)[0], 200)
                self.assertIsNone(read_answer(f))

    def half_closed(self, data):
        """What comes until the server closes its side, too: answers, in order."""
        c = self.connect()
        c.sendall(data)
        c.shutdown(socket.SHUT_WR)
        answers = []
        with c.makefile("rb") as f:
            while (answer := read_answer(f)):
                answers.append(answer)
        return answers

    def test_half_closed_before_the_whole_request(self):
        for data in (b"GET /v2", post()[:-3]):
            (status, headers, body), = self.half_closed(data)
            self.assertEqual((status, headers["connection"]), (400, "close"))
            self.assertIn("before the whole request", json.loads(body)["error"])
        self.assertEqual(self.half_closed(b""), [])

    def test_half_closed_after_the_request(self):
        """Whether a client that sends no more has left, nobody can tell: a run that has not ended
        by then may be cancelled, 499, and one that has gives its answer. Nothing else, and whole."""
        for _ in range(20):
            (status, headers, body), = self.half_closed(post())
            self.assertIn(status, (200, 499))
            answer = json.loads(body)
            if status == 200:  # said before the end was seen: keep-alive, and closed all the same
                self.assertEqual(answer["outputs"], self.server.infer("m", X)[2]["outputs"])
            else:
                self.assertEqual(headers["connection"], "close")
                self.assertTrue(answer["error"])

    def test_half_closed_cancels_a_long_run(self):
        (status, _, body), = self.half_closed(post(path="/v2/models/slow/infer"))
        self.assertEqual(status, 499)
        self.assertTrue(json.loads(body)["error"])

    def test_half_closed_behind_pipelined_requests(self):
        """A request that waits behind another proves that the client stays: both are answered."""
        first, last = self.half_closed(post() + post())
        self.assertEqual(first[0], 200)
        self.assertIn(last[0], (200, 499))

    def test_reset(self):
        for data in (b"", post()[:40], post()):
            c = self.connect()
            c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            c.sendall(data)
            c.close()

    def test_vanished_clients_free_the_lane(self):
        """One runs for ten minutes, two wait behind it on the only lane; all three leave. A run
        that was not cancelled, or a waiting one that was not dropped, would block the last
        request for good."""
        clients = [self.connect() for _ in range(3)]
        for c in clients:
            c.sendall(post(path="/v2/models/slow/infer"))
        # Behind them in the same loop: when this is answered, they have been read.
        self.assertEqual(self.server.get("/v2/health/live")[0], 200)
        for c in clients:
            c.close()
        self.assertEqual(self.server.infer("m", X, timeout=20)[0], 200)

    def test_a_reader_that_does_not_read(self):
        """32 MiB of an answer stay unread; others are served meanwhile."""
        c = self.connect()
        c.sendall(post(json.dumps({"inputs": X, "parameters": {"binary_data_output": True}})
                       .encode(), "/v2/models/big/infer"))
        for _ in range(20):
            self.assertEqual(self.server.infer("m", X)[0], 200)
        with c.makefile("rb") as f:
            status, headers, body = read_answer(f)
        self.assertEqual((status, len(body) - int(headers["inference-header-content-length"])),
                         (200, 4 * 8 << 20))


if __name__ == "__main__":
    unittest.main()
