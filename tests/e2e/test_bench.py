"""perseus bench: what it prints, what it refuses, and that its figures hang together."""
# timeout: 300
import json
import pathlib
import subprocess
import tempfile
import unittest

import yaml

from support import perseus

LIBRARY = perseus.ORT_LIBRARY


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def synthetic(self, **keys):
        path = self.dir / "m.synthetic.yaml"
        path.write_text(yaml.safe_dump(perseus.synthetic(**keys)))
        return path

    def bench(self, *args):
        done = perseus.run("bench", *args, "--duration", "200ms", "--warmup", "20ms", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(done.stdout)


class Bench(Folder):
    def test_figures_hang_together(self):
        path = self.synthetic(mean="5ms", mode="spin", inputs=[perseus.tensor("x", "FP32", [-1, 3])])
        r = self.bench(path, "--batch", 4)
        self.assertEqual(r["inputs"], [{"name": "x", "datatype": "FP32", "shape": [4, 3]}])
        self.assertEqual((r["engine"], r["threads"], r["batch"]), ("synthetic", 1, 4))
        self.assertGreaterEqual(r["latency"]["min_ns"], 5e6)
        self.assertLessEqual(r["latency"]["p50"]["value_ns"], r["latency"]["p95"]["value_ns"])
        self.assertAlmostEqual(r["throughput_inferences_per_s"],
                               r["runs"] * 4 / (r["duration_ns"] / 1e9), places=3)
        self.assertGreater(r["cpu_ns_per_inference"], 0.5 * 5e6 / 4)  # spinning costs CPU
        self.assertIn("needs_more", r["latency"]["p99"])  # too few runs for an interval

    def test_text(self):
        done = perseus.run("bench", self.synthetic(mean="1ms"), "--duration", "100ms",
                           "--warmup", "0")
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("p50", "p99", "inferences/s", "per inference", "private", "x FP32 [1,4]"):
            self.assertIn(word, done.stdout)

    def test_refusals(self):
        fixed = self.synthetic(inputs=[perseus.tensor("x", "FP32", [2, 4])],
                               outputs=[perseus.tensor("y", "FP32", [1])])
        other = self.dir / "model.txt"
        other.write_text("nothing")
        cases = [
            ([], "FILE"),
            ([other], ".onnx"),
            ([self.dir / "none.synthetic.yaml"], "none.synthetic.yaml"),
            ([fixed, "--batch", "3"], "x"),
            ([fixed, "--threads", "1000"], "threads"),
            ([fixed, "--shape", "x"], "INPUT:"),
            ([fixed, "--shape", "x:2xfour"], "INPUT:"),
            ([fixed, "--shape", "z:2x4"], "no input 'z'"),
            ([fixed, "--duration", "3"], "duration"),
            ([fixed, "--cpus", "1000"], "1000"),
        ]
        for args, complaint in cases:
            done = perseus.run("bench", *args)
            self.assertNotIn(done.returncode, (0, 1), (args, done.stderr))
            self.assertIn(complaint, done.stderr, args)
            self.assertEqual(done.stdout, "")

    def test_missing_library_says_how_to_get_it(self):
        path = self.dir / "m.onnx"
        path.write_bytes(b"x")
        done = perseus.run("bench", path, "--library", "/nowhere/lib.so")
        self.assertEqual(done.stderr.count("\n") <= 4, True, done.stderr)
        for word in ("/nowhere/lib.so", "make setup", "PERSEUS_ORT_LIBRARY"):
            self.assertIn(word, done.stderr)


@perseus.needs_onnxruntime
class OnnxBench(Folder):
    def onnx(self):
        done = perseus.run("zoo", "write", "lstm_256", "--dir", self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.dir / "lstm_256.onnx"

    def onnx_bench(self, *args):
        return self.bench(self.onnx(), "--library", LIBRARY, "--cache-dir", self.dir / "cache",
                          *args)

    def test_first_run_prepares_and_later_ones_do_not(self):
        r = self.onnx_bench()
        self.assertGreater(r["mapped_bytes"], 0)
        (made,) = (self.dir / "cache").glob("*.ort")
        stamp = made.stat().st_mtime_ns
        again = self.onnx_bench()
        self.assertEqual(made.stat().st_mtime_ns, stamp)
        self.assertEqual(again["mapped_bytes"], r["mapped_bytes"])

    def test_two_at_once_convert_once(self):
        path, cache = self.onnx(), self.dir / "cache"
        both = [subprocess.Popen([perseus.PERSEUS, "bench", str(path), "--library", LIBRARY,
                                  "--cache-dir", str(cache), "--duration", "50ms", "--warmup", "0"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                for _ in range(2)]
        said = [p.communicate(timeout=120) for p in both]
        self.assertEqual([p.returncode for p in both], [0, 0], said)
        self.assertEqual(sum("preparing" in err for _, err in said), 1, said)
        self.assertEqual(len(list(cache.glob("*.ort"))), 1)

    def test_without_cache_memory_is_private(self):
        r = self.onnx_bench("--no-cache")
        self.assertEqual(r["mapped_bytes"], 0)
        self.assertFalse((self.dir / "cache").exists())

    def test_malformed_model(self):
        path = self.dir / "bad.onnx"
        path.write_bytes(b"\x08\x08\x3a\x7fgarbage")
        done = perseus.run("bench", path, "--library", LIBRARY, "--cache-dir", self.dir / "cache")
        self.assertNotIn(done.returncode, (0, 1))
        self.assertIn("bad.onnx", done.stderr)
        self.assertEqual([p.name for p in (self.dir / "cache").iterdir()], ["lock"])


if __name__ == "__main__":
    unittest.main()
