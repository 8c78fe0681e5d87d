# timeout: 300
"""Triton's own Python clients, unchanged: HTTP and gRPC, synchronous, asynchronous and streaming;
every datatype, shapes and batches as numpy arrays there and back through ONNX Runtime."""
import asyncio
import pathlib
import queue
import tempfile
import unittest

import ml_dtypes
import numpy as np
import onnx
import tritonclient.grpc as tgrpc
import tritonclient.grpc.aio as tgrpc_aio
import tritonclient.http as thttp
import tritonclient.http.aio as thttp_aio
from onnx import TensorProto, helper
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from support.perseus import Server, needs_onnxruntime

TYPES = {
    "BOOL": (TensorProto.BOOL, np.bool_), "UINT8": (TensorProto.UINT8, np.uint8),
    "UINT16": (TensorProto.UINT16, np.uint16), "UINT32": (TensorProto.UINT32, np.uint32),
    "UINT64": (TensorProto.UINT64, np.uint64), "INT8": (TensorProto.INT8, np.int8),
    "INT16": (TensorProto.INT16, np.int16), "INT32": (TensorProto.INT32, np.int32),
    "INT64": (TensorProto.INT64, np.int64), "FP16": (TensorProto.FLOAT16, np.float16),
    "BF16": (TensorProto.BFLOAT16, ml_dtypes.bfloat16), "FP32": (TensorProto.FLOAT, np.float32),
    "FP64": (TensorProto.DOUBLE, np.float64), "BYTES": (TensorProto.STRING, np.object_),
}
RAW_ONLY = ("FP16", "BF16")
SHAPES = ((1, 1), (1, 7), (3, 5), (8, 64), (1, 0))


def identity(datatype):
    """output = input, both [batch, columns], of any size."""
    x = helper.make_tensor_value_info("x", TYPES[datatype][0], ["batch", "columns"])
    y = helper.make_tensor_value_info("y", TYPES[datatype][0], ["batch", "columns"])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], datatype, [x], [y])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def values(datatype, shape, seed=0):
    rng = np.random.default_rng(seed)
    n = int(np.prod(shape))
    kind = TYPES[datatype][1]
    if datatype == "BYTES":
        words = [("\u00e4\u4e2d" + "x" * (i % 5)).encode() if i % 3 else b"" for i in range(n)]
        return np.array(words, dtype=np.object_).reshape(shape)
    if datatype == "BOOL":
        return rng.integers(0, 2, shape).astype(np.bool_)
    if datatype != "BF16" and np.issubdtype(kind, np.integer):
        info = np.iinfo(kind)
        out = rng.integers(info.min, info.max, shape, dtype=kind, endpoint=True)
        if n > 1:
            out.flat[0], out.flat[1] = info.min, info.max
        return out
    return rng.normal(size=shape).astype(kind)


def same(a, b):
    return a is not None and a.shape == b.shape and (a == b).all()


def make_input(lib, datatype, data, **more):
    given = lib.InferInput("x", list(data.shape), datatype)
    given.set_data_from_numpy(data, **more)
    return given


@needs_onnxruntime
class TritonClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        models = {}
        for datatype in TYPES:
            path = pathlib.Path(folder.name, f"{datatype.lower()}.onnx")
            onnx.save(identity(datatype), path)
            models[f"id_{datatype.lower()}"] = path
        cls.server = cls.enterClassContext(Server(models=models))
        cls.http = thttp.InferenceServerClient(cls.server.url)
        cls.addClassCleanup(cls.http.close)
        cls.grpc = tgrpc.InferenceServerClient(cls.server.ready["grpc"])
        cls.addClassCleanup(cls.grpc.close)

    def each(self, raw=True):
        for datatype in TYPES:
            if raw or datatype not in RAW_ONLY:
                for i, shape in enumerate(SHAPES):
                    yield datatype, f"id_{datatype.lower()}", values(datatype, shape, i)

    def test_http_binary(self):
        for datatype, model, data in self.each():
            answer = self.http.infer(model, [make_input(thttp, datatype, data)], request_id="7")
            self.assertTrue(same(answer.as_numpy("y"), data), (datatype, data.shape))
            head = answer.get_response()
            self.assertEqual((head["model_name"], head["model_version"], head["id"]),
                             (model, "1", "7"))

    def test_http_json_in_and_out(self):
        for datatype, model, data in self.each(raw=False):
            answer = self.http.infer(model, [make_input(thttp, datatype, data, binary_data=False)],
                                     outputs=[thttp.InferRequestedOutput("y", binary_data=False)])
            found = answer.as_numpy("y")
            if datatype == "BYTES":
                found = np.array([x.encode() if isinstance(x, str) else x for x in found.flat],
                                 dtype=np.object_).reshape(found.shape)
            self.assertTrue(same(found, data), (datatype, data.shape))

    def test_http_mixed(self):
        for datatype, model, data in self.each(raw=False):
            for way in (True, False):
                answer = self.http.infer(
                    model, [make_input(thttp, datatype, data, binary_data=way)],
                    outputs=[thttp.InferRequestedOutput("y", binary_data=not way)])
                self.assertEqual(list(answer.as_numpy("y").shape), list(data.shape))

    def test_http_compressed(self):
        data = values("FP32", (8, 64))
        for request in (None, "gzip", "deflate"):
            for answer in (None, "gzip", "deflate"):
                with self.subTest(request=request, answer=answer):
                    got = self.http.infer("id_fp32", [make_input(thttp, "FP32", data)],
                                          request_compression_algorithm=request,
                                          response_compression_algorithm=answer)
                    self.assertTrue(same(got.as_numpy("y"), data))

    def test_http_raw_only_types_refuse_json(self):
        with self.assertRaises(InferenceServerException):
            self.http.infer("id_fp16", [make_input(thttp, "FP16", values("FP16", (1, 2)))],
                            outputs=[thttp.InferRequestedOutput("y", binary_data=False)])

    def test_http_async(self):
        client = thttp.InferenceServerClient(self.server.url, concurrency=4)
        try:
            waiting = []
            for i in range(32):
                data = values("INT64", (1, 5), i)
                waiting.append((client.async_infer(
                    "id_int64", [make_input(thttp, "INT64", data)]), data))
            for answer, data in waiting:
                self.assertTrue(same(answer.get_result().as_numpy("y"), data))
        finally:
            client.close()

    def test_http_asyncio(self):
        async def go():
            async with thttp_aio.InferenceServerClient(self.server.url) as client:
                data = [values("FP64", (2, 3), i) for i in range(16)]
                answers = await asyncio.gather(*(
                    client.infer("id_fp64", [make_input(thttp, "FP64", d)]) for d in data))
                for answer, d in zip(answers, data):
                    self.assertTrue(same(answer.as_numpy("y"), d))
        asyncio.run(go())

    def test_grpc(self):
        for datatype, model, data in self.each():
            answer = self.grpc.infer(model, [make_input(tgrpc, datatype, data)], request_id="8")
            self.assertTrue(same(answer.as_numpy("y"), data), (datatype, data.shape))
            self.assertEqual(answer.get_response().id, "8")
            self.assertEqual(answer.get_response().outputs[0].datatype, datatype)

    def test_grpc_compressed(self):
        data = values("FP32", (8, 64))
        for algorithm in ("gzip", "deflate"):
            answer = self.grpc.infer("id_fp32", [make_input(tgrpc, "FP32", data)],
                                     compression_algorithm=algorithm)
            self.assertTrue(same(answer.as_numpy("y"), data))

    def test_grpc_async(self):
        done = queue.Queue()
        data = {str(i): values("UINT8", (1, 9), i) for i in range(32)}
        for i, d in data.items():
            self.grpc.async_infer("id_uint8", [make_input(tgrpc, "UINT8", d)], request_id=i,
                                  callback=lambda result, error: done.put((result, error)))
        for _ in data:
            result, error = done.get(timeout=30)
            self.assertIsNone(error)
            self.assertTrue(same(result.as_numpy("y"), data[result.get_response().id]))

    def test_grpc_asyncio(self):
        async def go():
            client = tgrpc_aio.InferenceServerClient(self.server.ready["grpc"])
            data = [values("FP16", (2, 3), i) for i in range(16)]
            answers = await asyncio.gather(*(
                client.infer("id_fp16", [make_input(tgrpc, "FP16", d)]) for d in data))
            for answer, d in zip(answers, data):
                self.assertTrue(same(answer.as_numpy("y"), d))
            await client.close()
        asyncio.run(go())

    def test_grpc_stream(self):
        client = tgrpc.InferenceServerClient(self.server.ready["grpc"])
        done = queue.Queue()
        client.start_stream(callback=lambda result, error: done.put((result, error)))
        try:
            data = {str(i): values("INT32", (1, i + 1), i) for i in range(20)}
            for i, d in data.items():
                client.async_stream_infer("id_int32", [make_input(tgrpc, "INT32", d)], request_id=i)
            for _ in range(len(data)):
                result, error = done.get(timeout=30)
                self.assertIsNone(error)
                self.assertTrue(same(result.as_numpy("y"), data.pop(result.get_response().id)))
            self.assertEqual(data, {})
            # An error is an answer of the stream, which goes on.
            client.async_stream_infer("nobody", [make_input(tgrpc, "INT32",
                                                            values("INT32", (1, 1)))])
            result, error = done.get(timeout=30)
            self.assertIsNone(result)
            self.assertIn("nobody", str(error))
            client.async_stream_infer("id_int32", [make_input(tgrpc, "INT32",
                                                              values("INT32", (1, 1)))])
            result, error = done.get(timeout=30)
            self.assertIsNone(error)
        finally:
            client.stop_stream()
            client.close()

    def test_metadata_agrees(self):
        http = self.http.get_model_metadata("id_fp32")
        grpc = self.grpc.get_model_metadata("id_fp32", as_json=True)
        self.assertEqual(http["name"], grpc["name"])
        self.assertEqual(http["versions"], grpc["versions"])
        self.assertEqual(http["inputs"][0]["datatype"], grpc["inputs"][0]["datatype"])
        self.assertEqual([str(d) for d in http["inputs"][0]["shape"]], grpc["inputs"][0]["shape"])

    def test_health_and_server(self):
        for client in (self.http, self.grpc):
            self.assertTrue(client.is_server_live())
            self.assertTrue(client.is_server_ready())
            self.assertTrue(client.is_model_ready("id_fp32"))
            self.assertTrue(client.is_model_ready("id_fp32", "1"))
            self.assertFalse(client.is_model_ready("nobody"))
        self.assertEqual(self.http.get_server_metadata()["name"],
                         self.grpc.get_server_metadata().name)
        self.assertEqual(self.http.get_server_metadata()["extensions"],
                         list(self.grpc.get_server_metadata().extensions))

    def test_config_and_statistics(self):
        self.http.infer("id_bool", [make_input(thttp, "BOOL", values("BOOL", (1, 1)))])
        config = self.http.get_model_config("id_bool")
        self.assertEqual(config["name"], "id_bool")
        self.assertEqual(self.grpc.get_model_config("id_bool").config.name, "id_bool")
        stats = self.http.get_inference_statistics("id_bool")["model_stats"][0]
        for key in ("success", "fail", "queue", "compute_input", "compute_infer", "compute_output",
                    "cache_hit", "cache_miss"):
            self.assertEqual(set(stats["inference_stats"][key]) >= {"count", "ns"}, True, key)
        self.assertGreaterEqual(stats["inference_stats"]["success"]["count"], 1)
        grpc = self.grpc.get_inference_statistics("id_bool").model_stats[0]
        self.assertGreaterEqual(grpc.inference_stats.success.count, 1)
        self.assertEqual({m["name"] for m in self.http.get_model_repository_index()},
                         {m.name for m in self.grpc.get_model_repository_index().models})

    def test_errors(self):
        data = values("FP32", (1, 2))
        for client, lib in ((self.http, thttp), (self.grpc, tgrpc)):
            with self.subTest(client=lib.__name__):
                with self.assertRaisesRegex(InferenceServerException, "nobody"):
                    client.infer("nobody", [make_input(lib, "FP32", data)])
                with self.assertRaises(InferenceServerException):
                    client.infer("id_fp32", [make_input(lib, "FP64", values("FP64", (1, 2)))])
                wrong = lib.InferInput("z", [1, 2], "FP32")
                wrong.set_data_from_numpy(data)
                with self.assertRaises(InferenceServerException):
                    client.infer("id_fp32", [wrong])
                with self.assertRaises(InferenceServerException):
                    client.infer("id_fp32", [make_input(lib, "FP32", data)], model_version="9")

    def test_shared_headers(self):
        """The client leaves the length of one request's JSON in the caller's dictionary, and so
        sends it with all that follow."""
        headers = {}
        self.http.infer("id_fp32", [make_input(thttp, "FP32", values("FP32", (8, 64)))],
                        headers=headers)
        self.assertTrue(headers, "the client has changed: this test shows nothing any more")
        self.assertTrue(self.http.is_server_ready(headers=headers))
        self.assertTrue(self.http.is_model_ready("id_fp32", headers=headers))
        self.http.get_model_repository_index(headers=headers)

    def test_numpy_types(self):
        """The table above names numpy types as the client does."""
        for datatype, (_, kind) in TYPES.items():
            if datatype not in ("BF16", "BYTES"):
                self.assertEqual(np_to_triton_dtype(np.dtype(kind)), datatype)


if __name__ == "__main__":
    unittest.main()
