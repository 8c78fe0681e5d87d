# timeout: 600
# sanitizers: no (their allocators keep what is freed)
"""A model of 100 MB loaded, run and unloaded 50 times over the API: memory is returned each time.

Resident memory stays within 5 % of what it was in the first cycle, with the model and without it. The
little that it grows is not the model's: ONNX Runtime keeps some kilobytes per session until the
process ends, and the C library's heap has gaps.
"""
import os
import pathlib
import shutil
import statistics
import tempfile
import unittest

from support.perseus import Server, needs_onnxruntime, run

CYCLES = 50
NAME = "resnet50"  # 97.7 MiB


def resident_bytes(pid):
    return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@needs_onnxruntime
class Memory(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-memory-"))
        self.addCleanup(shutil.rmtree, self.dir)
        done = run("zoo", "write", NAME, "--dir", self.dir / "models")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater((self.dir / f"models/{NAME}.onnx").stat().st_size, 100e6)

    def test_load_and_unload(self):
        config = {"model_repository": [str(self.dir / "models")], "load": "none",
                  "cache": str(self.dir / "cache")}
        data = {"name": "input", "datatype": "FP32", "shape": [1, 3, 224, 224],
                "data": [0.5] * (3 * 224 * 224)}
        loaded, unloaded = [], []
        with Server(config=config) as s:
            pid = s.process.pid
            idle = resident_bytes(pid)
            for _ in range(CYCLES):
                self.assertEqual(s.get(f"/v2/repository/models/{NAME}/load", "POST", b"")[0], 200)
                status, _, body = s.infer(NAME, [data])
                self.assertEqual(status, 200, body)
                loaded.append(resident_bytes(pid))
                self.assertEqual(s.get(f"/v2/repository/models/{NAME}/unload", "POST", b"")[0],
                                 200)
                unloaded.append(resident_bytes(pid))
        mib = lambda n: f"{n / 2**20:.1f} MiB"
        print(f"\nresident: idle {mib(idle)}; unloaded {mib(unloaded[0])} after the first cycle, "
              f"{mib(unloaded[-1])} after cycle {CYCLES} ({unloaded[-1] / unloaded[0] - 1:+.1%}, "
              f"median {mib(statistics.median(unloaded))}, most {mib(max(unloaded))}); "
              f"loaded {mib(loaded[0])} and {mib(loaded[-1])}", flush=True)
        self.assertLess(loaded[-1], 1.05 * loaded[0])
        self.assertLess(unloaded[-1], 1.05 * unloaded[0])
        self.assertLess(unloaded[0], loaded[0] - 90e6)  # what the model held is given back


if __name__ == "__main__":
    unittest.main()
