"""Load generators of others, and clients over TLS: wrk, h2load, curl, tritonclient.

They see HTTP statuses only, so the server's statistics decide: each request that they count is a
success of the model, gRPC's own status 0 included."""
# timeout: 120
# threads: yes
import json
import os
import pathlib
import re
import struct
import subprocess
import tempfile
import unittest

import numpy as np
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from tritonclient.grpc import service_pb2

from support.perseus import Server, synthetic, tensor

MODEL = synthetic([tensor("x", "FP32", [-1, 4])], [tensor("y", "FP32", [-1, 4])], mean="0ms",
                  echo=True)
BODY = json.dumps({"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32",
                               "data": [1, 2.5, -3, 4]}]})
SCRIPT = """wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = io.open("%s", "rb"):read("*a")
"""
CERT = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
        "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"{args[0]} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def grpc_message():
    request = service_pb2.ModelInferRequest(model_name="m")
    request.inputs.add(name="x", datatype="FP32", shape=[1, 4])
    request.raw_input_contents.append(struct.pack("<4f", 1, 2.5, -3, 4))
    data = request.SerializeToString()
    return b"\0" + struct.pack(">I", len(data)) + data


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        tmp = tempfile.TemporaryDirectory(prefix="perseus-test-")
        cls.addClassCleanup(tmp.cleanup)
        cls.dir = pathlib.Path(tmp.name)
        (cls.dir / "body.json").write_text(BODY)
        (cls.dir / "body.grpc").write_bytes(grpc_message())
        (cls.dir / "post.lua").write_text(SCRIPT % (cls.dir / "body.json"))
        run(*CERT, "-keyout", cls.dir / "server.key", "-out", cls.dir / "server.pem")
        cls.plain = cls.enterClassContext(Server({"m": MODEL}))
        tls = {"tls": {"cert": str(cls.dir / "server.pem"), "key": str(cls.dir / "server.key")}}
        cls.tls = cls.enterClassContext(Server({"m": MODEL}, config=tls))

    def curl(self, server, path):
        scheme = "http" if server is self.plain else "https"
        return run("curl", "-sS", "--cacert", self.dir / "server.pem",
                   f"{scheme}://{server.url}{path}")

    def succeeded(self, server):
        page = json.loads(self.curl(server, "/v2/models/m/stats"))
        stats = page["model_stats"][0]["inference_stats"]
        self.assertEqual(stats["fail"]["count"], 0)
        return stats["success"]["count"]

    def h2load(self, server, url, *args, n=400):
        before = self.succeeded(server)
        out = run("h2load", "-n", n, "-c", 4, "-m", 8, *args, url)
        self.assertIn(f"{n} done, {n} succeeded, 0 failed, 0 errored", out)
        self.assertIn(f"{n} 2xx", out)
        self.assertEqual(self.succeeded(server) - before, n)
        return out

    def test_wrk(self):
        before = self.succeeded(self.plain)
        out = run("wrk", "-t1", "-c8", "-d1s", "-s", self.dir / "post.lua",
                  f"{self.plain.http}/v2/models/m/infer")
        self.assertNotIn("Non-2xx", out)
        self.assertNotIn("Socket errors", out)
        answered = int(re.search(r"(\d+) requests in", out)[1])
        self.assertGreater(answered, 0)
        found = self.succeeded(self.plain) - before
        self.assertTrue(answered <= found <= answered + 8, (answered, found))

    def test_h2load(self):
        url = f"{self.plain.http}/v2/models/m/infer"
        grpc = f"http://{self.plain.ready['grpc']}/inference.GRPCInferenceService/ModelInfer"
        for args, target in (
                (["-d", self.dir / "body.json"], url),
                (["--h1", "-d", self.dir / "body.json"], url),
                (["-d", self.dir / "body.grpc", "-H", "content-type: application/grpc", "-H",
                  "te: trailers"], grpc)):
            with self.subTest(target, args=args):
                self.h2load(self.plain, target, *args)

    def test_h2load_over_tls(self):
        url = f"https://{self.tls.url}/v2/models/m/infer"
        out = self.h2load(self.tls, url, "-d", self.dir / "body.json")
        self.assertIn("Application protocol: h2", out)
        grpc = f"https://{self.tls.ready['grpc']}/inference.GRPCInferenceService/ModelInfer"
        self.h2load(self.tls, grpc, "-d", self.dir / "body.grpc", "-H",
                    "content-type: application/grpc", "-H", "te: trailers")

    def test_curl_versions(self):
        ask = ["curl", "-sS", "-o", os.devnull, "-w", "%{http_version} %{http_code}", "-d",
               f"@{self.dir}/body.json"]
        plain, tls = f"{self.plain.http}/v2/models/m/infer", f"https://{self.tls.url}/v2/models/m/infer"
        ca = ["--cacert", self.dir / "server.pem"]
        for args, expected in ((["--http1.1", plain], "1.1 200"),
                               (["--http2-prior-knowledge", plain], "2 200"),
                               (["--http2", plain], "1.1 200"),  # h2c by upgrade is not followed
                               ([*ca, "--http1.1", tls], "1.1 200"),
                               ([*ca, "--http2", tls], "2 200"),
                               ([*ca, "--tls-max", "1.2", tls], "2 200"),
                               ([*ca, "--tlsv1.3", tls], "2 200")):
            with self.subTest(args):
                self.assertEqual(run(*ask, *args), expected)
        old = subprocess.run([*map(str, ask), *map(str, ca), "--tls-max", "1.1", tls],
                             capture_output=True, text=True, timeout=60)
        self.assertEqual(old.returncode, 35, old.stderr)  # no handshake

    def test_tritonclient_over_tls(self):
        x = np.array([[1, 2.5, -3, 4]], np.float32)
        ca = str(self.dir / "server.pem")
        http = triton_http.InferenceServerClient(
            self.tls.url, ssl=True, ssl_options={"ca_certs": ca})
        self.addCleanup(http.close)
        grpc = triton_grpc.InferenceServerClient(
            self.tls.ready["grpc"], ssl=True, root_certificates=ca)
        self.addCleanup(grpc.close)
        for module, client in ((triton_http, http), (triton_grpc, grpc)):
            with self.subTest(module.__name__):
                given = module.InferInput("x", [1, 4], "FP32")
                given.set_data_from_numpy(x)
                np.testing.assert_array_equal(client.infer("m", [given]).as_numpy("y"), x)
        other = triton_grpc.InferenceServerClient(self.tls.ready["grpc"], ssl=True)
        self.addCleanup(other.close)
        with self.assertRaises(triton_grpc.InferenceServerException):
            other.is_server_live()  # who trusts other authorities does not trust this one


if __name__ == "__main__":
    unittest.main()
