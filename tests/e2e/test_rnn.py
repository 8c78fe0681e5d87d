# timeout: 120
# threads: yes
"""Recurrent layers by our own kernels: a file of nothing else without ONNX Runtime, others inside
it; what stays with the library is named, and what loses too much is refused."""
import json
import pathlib
import tempfile
import unittest

import numpy
import onnx
import onnx.helper
import onnx.numpy_helper

from support.perseus import Server, StartError, needs_onnxruntime, new_key, run

FLOAT = onnx.TensorProto.FLOAT
RNG = numpy.random.default_rng(20261123)


def info(name, shape, kind=FLOAT):
    return onnx.helper.make_tensor_value_info(name, kind, shape)


def save(path, nodes, inputs, outputs, stored):
    graph = onnx.helper.make_graph(nodes, "g", inputs, outputs,
                                   [onnx.numpy_helper.from_array(v, k) for k, v in stored.items()])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)],
                                     ir_version=8), path)
    return path


def drawn(*shape, scale=0.3):
    return RNG.uniform(-scale, scale, shape).astype(numpy.float32)


def weights(gates, inputs, hidden, name):
    return {f"{name}.W": drawn(1, gates * hidden, inputs), f"{name}.R": drawn(1, gates * hidden, hidden),
            f"{name}.B": drawn(1, 2 * gates * hidden)}


def layer(op, name, x, y, hidden):
    return onnx.helper.make_node(op, [x, f"{name}.W", f"{name}.R", f"{name}.B"], [y], name=name,
                                 hidden_size=hidden)


def stack(path):
    """Two layers and a Squeeze between them: nothing that needs the library."""
    return save(path,
                [layer("LSTM", "first", "x", "y1", 24),
                 onnx.helper.make_node("Squeeze", ["y1", "one"], ["x2"]),
                 layer("GRU", "second", "x2", "y", 12)],
                [info("x", ["steps", "batch", 8])], [info("y", ["steps", 1, "batch", 12])],
                {**weights(4, 8, 24, "first"), **weights(3, 24, 12, "second"),
                 "one": numpy.array([1], numpy.int64)})


def words(path):
    """Words to classes: an embedding, a layer that is ours, one whose W is no constant, a head."""
    return save(path,
                [onnx.helper.make_node("Gather", ["table", "word"], ["x"]),
                 layer("LSTM", "ours", "x", "y1", 24),
                 onnx.helper.make_node("Squeeze", ["y1", "one"], ["x2"]),
                 onnx.helper.make_node("Mul", ["theirs.V", "factor"], ["theirs.W"]),
                 layer("GRU", "theirs", "x2", "y2", 12),
                 onnx.helper.make_node("MatMul", ["y2", "head"], ["y"])],
                [info("word", ["steps", "batch"], onnx.TensorProto.INT64), info("factor", [1])],
                [info("y", ["steps", 1, "batch", 5])],
                {**weights(4, 8, 24, "ours"), "theirs.V": drawn(1, 36, 24),
                 "theirs.R": drawn(1, 36, 12), "theirs.B": drawn(1, 72), "table": drawn(1000, 8),
                 "head": drawn(12, 5), "one": numpy.array([1], numpy.int64)})


class Rnn(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.stack, cls.words = stack(cls.folder / "stack.onnx"), words(cls.folder / "words.onnx")

    def bench(self, model, *args, library=None):
        env = {"PATH": "/usr/bin:/bin", **({"PERSEUS_ORT_LIBRARY": library} if library else {})}
        return run("bench", model, "--duration", "20ms", "--warmup", "1ms", "--no-cache", "--json",
                   *args, **({"env": env} if library else {}))

    def test_without_library(self):
        for threads, precision in (("1", "float32"), ("1", "bf16"), ("2", "int8")):
            done = self.bench(self.stack, "--rnn", precision, "--shape", "x:5x2x8", "--threads",
                              threads, library="/nowhere/libonnxruntime.so")
            self.assertEqual(done.returncode, 0, done.stderr)
            result = json.loads(done.stdout)
            self.assertEqual(result["engine"], "rnn")
            self.assertEqual(result["outputs"][0]["shape"], [5, 1, 2, 12])
            self.assertIn("recurrent layers of our own without ONNX Runtime: 2, in " + precision,
                          done.stderr)

    def test_off(self):
        done = self.bench(self.stack, library="/nowhere/libonnxruntime.so")
        self.assertEqual(done.returncode, 4, done.stderr)

    @needs_onnxruntime
    def test_what_stays_is_named(self):
        done = self.bench(self.words, "--rnn", "bf16", "--shape", "word:5x2")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["engine"], "onnxruntime")
        lines = [line for line in done.stderr.splitlines() if "stays with" in line]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn("node 'theirs' (GRU) stays with ONNX Runtime: W is no constant of the model",
                      lines[0])
        self.assertIn("recurrent layers of our own inside ONNX Runtime: 1, in bf16", done.stderr)

    @needs_onnxruntime
    def test_rest_is_shared(self):
        """What is left of a model is converted once, whatever the precision of its layers."""
        cache = self.folder / "cache"
        for precision, seen in (("bf16", True), ("int8", False)):
            done = run("bench", self.words, "--duration", "20ms", "--warmup", "1ms", "--cache-dir", cache,
                       "--rnn", precision, "--shape", "word:5x2", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(json.loads(done.stdout)["mapped_bytes"], 32000)
            self.assertEqual("preparing" in done.stderr, seen, done.stderr)
            self.assertNotIn("without a shared converted copy", done.stderr)
            self.assertEqual(sorted(p.suffix for p in cache.iterdir()), ["", ".ort"])

    def test_limit(self):
        done = self.bench(self.stack, "--rnn", "int8", "--rnn-max-error", "1e-9")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("node 'first' (LSTM)", done.stderr)
        self.assertIn("off float32 on calibration input, and 1e-09 is allowed", done.stderr)

    def test_malformed(self):
        model = onnx.load(self.stack)
        (w,) = [t for t in model.graph.initializer if t.name == "first.W"]
        w.dims[1] -= 1
        w.raw_data = w.raw_data[:len(w.raw_data) - 8 * 4]
        path = self.folder / "malformed.onnx"
        onnx.save(model, path)
        done = self.bench(path, "--rnn", "float32")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("node 'first' (LSTM)", done.stderr)
        self.assertIn("W is [1,95,8], but [1,96,8] is due", done.stderr)

    @needs_onnxruntime
    def test_served(self):
        """One file under four names: four instances where they differ, answers that agree."""
        import onnxruntime
        word = RNG.integers(0, 1000, (6, 3))
        (want,) = onnxruntime.InferenceSession(self.words).run(
            None, {"word": word, "factor": numpy.array([0.7], numpy.float32)})
        limits = {"off": 1e-6, "float32": 1e-5, "bf16": 0.02, "int8": 0.05}
        models = [{"name": name, "path": str(self.words), "rnn": name} for name in limits]
        models.append({"name": "again", "path": str(self.words), "rnn": "int8"})
        key, digest = new_key()
        with Server(config={"models": models, "width": "wide", "cache": str(self.folder / "served"),
                            "admin_keys": [digest]}) as s:
            for name, limit in {**limits, "again": 0.05}.items():
                status, _, body = s.infer(name, [
                    {"name": "word", "datatype": "INT64", "shape": [6, 3], "data": word.tolist()},
                    {"name": "factor", "datatype": "FP32", "shape": [1], "data": [0.7]}])
                self.assertEqual(status, 200, body)
                y = numpy.array(body["outputs"][0]["data"]).reshape(want.shape)
                self.assertLess(abs(y - want).max(), limit, name)
            _, _, body = s.get("/v2/perseus/status", headers={"Authorization": f"Bearer {key}"})
            instances = {row["name"]: row["instance"] for row in json.loads(body)["models"]}
            self.assertEqual(len(set(instances.values())), 4, instances)
            self.assertEqual(instances["again"], instances["int8"])

    def test_served_without_library(self):
        models = [{"name": "stack", "path": str(self.stack), "rnn": "int8"}]
        with Server(config={"models": models},
                    env={"PERSEUS_ORT_LIBRARY": "/nowhere/libonnxruntime.so"}) as s:
            status, _, body = s.infer("stack", [{"name": "x", "datatype": "FP32",
                                                 "shape": [2, 1, 8], "data": [0.1] * 16}])
            self.assertEqual(status, 200, body)
            self.assertEqual(body["outputs"][0]["shape"], [2, 1, 1, 12])

    def test_calibration(self):
        """Measured on what the user names, and the log says on what."""
        inputs = self.folder / "inputs"
        inputs.mkdir()
        for k in range(2):
            numpy.save(inputs / f"{k}.npy", numpy.zeros((7, 2, 8), numpy.float32))
        for args, code in (((), 2), (("--rnn-calibration", inputs), 2)):
            done = self.bench(self.stack, "--rnn", "int8", "--rnn-max-error", "1e-9", *args)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn("off float32 on calibration input, and 1e-09 is allowed", done.stderr)
        done = self.bench(self.stack, "--rnn", "int8", "--rnn-calibration", inputs)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("where 0.05 is allowed, on 2 of your inputs", done.stderr)
        done = self.bench(self.stack, "--rnn", "int8")
        self.assertIn("on drawn input (2 rows of 32 steps, seed 1)", done.stderr)

    def test_calibration_served(self):
        """The configuration's path is relative to its folder, the model's to its config.pbtxt."""
        repository = self.folder / "repository"
        (repository / "stack" / "1").mkdir(parents=True)
        (repository / "stack" / "1" / "model.onnx").write_bytes(self.stack.read_bytes())
        (repository / "stack" / "config.pbtxt").write_text(
            'parameters { key: "rnn" value { string_value: "bf16" } }\n'
            'parameters { key: "rnn_calibration" value { string_value: "one.npy" } }\n')
        numpy.save(repository / "stack" / "one.npy", drawn(5, 1, 8))
        with Server(config={"model_repository": [str(repository)]}) as s:
            status, _, body = s.infer("stack", [{"name": "x", "datatype": "FP32",
                                                 "shape": [2, 1, 8], "data": [0.1] * 16}])
            self.assertEqual(status, 200, body)
        (repository / "stack" / "one.npy").unlink()
        with self.assertRaises(StartError) as caught:
            with Server(config={"model_repository": [str(repository)], "exit_on_error": True}):
                pass
        self.assertIn("one.npy", str(caught.exception))

    def test_refused_by_a_server(self):
        models = [{"name": "stack", "path": str(self.stack), "rnn": "int8", "rnn_max_error": 1e-9}]
        with self.assertRaises(StartError) as caught:
            with Server(config={"models": models}):
                pass
        self.assertIn("off float32", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
