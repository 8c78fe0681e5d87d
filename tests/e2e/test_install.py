"""Installing into a folder of its own: what is there runs without the source and build folders."""
# timeout: 120
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from support import perseus

PREFIX = "/opt/perseus"


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.dir = pathlib.Path(folder.name)
        cls.root = cls.dir / "stage" / PREFIX.lstrip("/")
        # Nothing may lead the installed program back to where it was built.
        cls.env = {k: v for k, v in os.environ.items()
                   if k not in ("PERSEUS_ORT_LIBRARY", "PERSEUS_CONVERT")}
        done = subprocess.run(["cmake", "--install", os.environ["PS_BUILD_DIR"], "--prefix",
                               PREFIX], capture_output=True, text=True,
                              env={**cls.env, "DESTDIR": str(cls.dir / "stage")})
        if done.returncode != 0:
            raise AssertionError(done.stdout + done.stderr)

    def run_installed(self, *args):
        return subprocess.run([self.root / "bin/perseus", *map(str, args)], cwd=self.dir, text=True,
                              env=self.env, capture_output=True, timeout=60)

    def bench(self, model, cache="cache"):
        return self.run_installed("bench", model, "--duration", "100ms", "--warmup", "0", "--json",
                                  "--cache-dir", self.dir / cache)

    def test_files(self):
        files = {str(p.relative_to(self.root)) for p in self.root.rglob("*") if p.is_file()}
        fetched = pathlib.Path(os.environ["PS_SOURCE_DIR"], ".cache/onnxruntime")
        runtime = {f"lib/perseus/{name}" for name in ("libonnxruntime.so", "LICENSE",
                                                      "ThirdPartyNotices.txt")
                   if (fetched / name).exists()}
        self.assertEqual(files, {"bin/perseus", "libexec/perseus/perseus-convert",
                                 "share/doc/perseus/copyright",
                                 "share/man/man1/perseus.1", "share/perseus/examples/perseus.yaml",
                                 *runtime})

    def test_library_of_recurrent_layers(self):
        """One header and one library, away from the sources, run an LSTM; no ONNX Runtime."""
        root = self.dir / "devel"
        done = subprocess.run(["cmake", "--install", os.environ["PS_BUILD_DIR"], "--component", "devel",
                               "--prefix", root], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        files = {str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()}
        self.assertEqual(files, {"include/perseus_rnn.h", "lib/libperseus_rnn.a"})
        source = self.dir / "one_layer.c"
        source.write_bytes(pathlib.Path(os.environ["PS_SOURCE_DIR"], "examples/rnn/one_layer.c").read_bytes())
        # A sanitizer's library wants a sanitizer's program.
        library = (root / "lib/libperseus_rnn.a").read_bytes()
        flags = [f"-fsanitize={name}" for name, mark in (("address", b"__asan_"), ("thread", b"__tsan_"),
                                                         ("undefined", b"__ubsan_")) if mark in library]
        done = subprocess.run(["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", *flags, "-I", root / "include",
                               source, "-L", root / "lib", "-lperseus_rnn", "-lm", "-lpthread",
                               "-o", self.dir / "one_layer"], cwd=self.dir, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        done = subprocess.run([self.dir / "one_layer"], capture_output=True, text=True, timeout=60,
                              env={**self.env, "PERSEUS_ORT_LIBRARY": "/nowhere/libonnxruntime.so"})
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("off double precision", done.stdout)
        libraries = subprocess.run(["ldd", self.dir / "one_layer"], capture_output=True, text=True).stdout
        self.assertNotIn("onnxruntime", libraries)
        self.assertNotIn("jansson", libraries)

    def test_version(self):
        done = self.run_installed("--version")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertEqual(done.stdout, perseus.run("--version").stdout)

    def test_a_synthetic_model(self):
        path = self.dir / "m.synthetic.yaml"
        path.write_text(json.dumps(perseus.synthetic()))  # JSON is YAML
        done = self.bench(path)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertGreater(json.loads(done.stdout)["runs"], 0)

    @perseus.needs_onnxruntime
    def test_a_network_with_the_installed_library_and_helper(self):
        done = self.run_installed("zoo", "write", "lstm_256", "--dir", self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        model = self.dir / "lstm_256.onnx"
        done = self.bench(model)
        self.assertEqual(done.returncode, 0, done.stderr)
        result = json.loads(done.stdout)
        self.assertEqual(result["engine"], "onnxruntime")
        self.assertGreater(result["runs"], 0)
        self.assertGreater(result["mapped_bytes"], 0, "the helper converted it")
        library = self.root / "lib/perseus/libonnxruntime.so"
        away = library.rename(library.with_name("away"))
        try:
            done = self.bench(model)
        finally:
            away.rename(library)
        self.assertNotEqual(done.returncode, 0, "some other library was found")
        self.assertIn("ONNX Runtime", done.stderr)


if __name__ == "__main__":
    unittest.main()
