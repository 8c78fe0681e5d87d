"""The cache of converted models: where it is, and that it stays under its limit."""
import pathlib
import shutil
import tempfile
import unittest

from support.perseus import Server, needs_onnxruntime, run

NAMES = ("lstm_256", "gru_512", "squeezenet1_1")  # 2, 6 and 5 MiB


@needs_onnxruntime
class Cache(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-cache-"))
        self.addCleanup(shutil.rmtree, self.dir)
        done = run("zoo", "write", *NAMES, "--dir", self.dir / "models")
        self.assertEqual(done.returncode, 0, done.stderr)

    def ask(self, s, name, what):
        status, _, body = s.get(f"/v2/repository/models/{name}/{what}", "POST", b"")
        self.assertEqual(status, 200, body)

    def test_the_longest_unused_go(self):
        """Relative to the configuration's folder; what is loaded stays, whatever the limit."""
        config = {"model_repository": [str(self.dir / "models")], "load": "none",
                  "cache": "kept", "cache_max_bytes": "7MiB"}
        with Server(config=config) as s:
            files = lambda: len(list((s.dir / "kept").glob("*.ort")))
            for name, left in zip(NAMES, (1, 2, 3)):
                self.ask(s, name, "load")
                self.assertEqual(files(), left)  # all are loaded: none may go
            for name in NAMES[1:]:
                self.ask(s, name, "unload")
            self.ask(s, NAMES[1], "load")  # from the cache: nothing is converted
            self.assertEqual(files(), 3)
            self.ask(s, NAMES[1], "unload")
            done = run("zoo", "write", "mobilenet_v2", "--dir", self.dir / "models")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.ask(s, "mobilenet_v2", "load")  # 14 MiB: both that are not loaded go
            self.assertEqual(files(), 2)
            self.assertEqual(s.stderr.count("the cache is full: deleted"), 2)

    def test_without_a_limit_none_goes(self):
        config = {"model_repository": [str(self.dir / "models")], "cache": "kept"}
        with Server(config=config) as s:
            self.assertEqual(len(list((s.dir / "kept").glob("*.ort"))), 3)
            self.assertNotIn("the cache is full", s.stderr)


if __name__ == "__main__":
    unittest.main()
