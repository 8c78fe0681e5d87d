"""perseus zoo: the command, and the smaller networks in the official tools."""
# timeout: 300
import filecmp
import json
import os
import tempfile
import unittest

from support import perseus
from support import zoo_check


class Command(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.dir = self.folder.name

    def test_list_shows_every_network_with_its_figures(self):
        models = {m["name"]: m for m in json.loads(perseus.run("zoo", "list", "--json").stdout)["models"]}
        self.assertEqual(set(models), {*zoo_check.PUBLISHED, *zoo_check.CELLS})
        for name, (parameters, gmacs) in zoo_check.PUBLISHED.items():
            self.assertEqual(models[name]["parameters"], parameters)
            self.assertAlmostEqual(models[name]["macs"] / 1e9 / gmacs, 1, delta=0.02)
        self.assertEqual(models["gru_512"]["macs_per"], "step")
        text = perseus.run("zoo", "list").stdout
        for name in models:
            self.assertIn(name, text)

    def test_same_seed_same_bytes(self):
        for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
            done = perseus.run("zoo", "write", "squeezenet1_1", "gru_512", "--dir",
                               os.path.join(self.dir, folder), "--seed", seed)
            self.assertEqual(done.returncode, 0, done.stderr)
        for name in ("squeezenet1_1.onnx", "gru_512.onnx"):
            a, b, c = (os.path.join(self.dir, x, name) for x in "abc")
            self.assertTrue(filecmp.cmp(a, b, shallow=False))
            self.assertFalse(filecmp.cmp(a, c, shallow=False))

    def test_json_names_the_files(self):
        done = perseus.run("zoo", "write", "lstm_256", "--dir", self.dir, "--json")
        (entry,) = json.loads(done.stdout)["files"]
        self.assertEqual(os.path.getsize(entry["path"]), entry["bytes"])
        self.assertEqual(os.listdir(self.dir), ["lstm_256.onnx"])

    def test_refusals(self):
        taken = os.path.join(self.dir, "taken")
        open(taken, "w").close()
        cases = [
            (["zoo", "write", "resnet5", "--dir", self.dir], "did you mean 'resnet50'?"),
            (["zoo", "write", "lstm_256", "nosuch", "--dir", self.dir], "no network called 'nosuch'"),
            (["zoo", "write", "lstm_256", "--dir", taken], "taken"),
            (["zoo", "write", "lstm_256"], "dir"),
            (["zoo", "write", "--dir", self.dir], "name"),
            (["zoo", "write", "lstm_256", "--dir", self.dir, "--seed", "-1"], "seed"),
            (["zoo", "paint"], "paint"),
        ]
        for args, complaint in cases:
            done = perseus.run(*args)
            self.assertNotEqual(done.returncode, 0, args)
            self.assertIn(complaint, done.stderr.lower(), args)
            self.assertEqual(done.stdout, "", args)
        self.assertEqual(os.listdir(self.dir), ["taken"])

    @unittest.skipIf(perseus.SANITIZED, "a sanitizer's allocator takes the memory")
    def test_a_full_disk_leaves_nothing_behind(self):
        # A limit on the size of files stands for the disk; the signal is ignored, as by a shell's
        # trap, so that the write fails with an error.
        done = perseus.run("zoo", "write", "lstm_512", "--dir", self.dir, preexec_fn=limit_files)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("lstm_512.onnx", done.stderr)
        self.assertEqual(os.listdir(self.dir), [])


def limit_files():
    import resource
    import signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


@unittest.skipIf(perseus.SANITIZED, "checks the files, which the other build writes alike")
class Networks(unittest.TestCase):
    def test_smaller_networks(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("squeezenet1_1", "mobilenet_v1", "mobilenet_v2", "efficientnet_b0",
                         "googlenet", "resnet18", "resnet50", "inception_v3", "lstm_256",
                         "gru_512"):
                with self.subTest(name):
                    zoo_check.check(self, name, folder)


if __name__ == "__main__":
    unittest.main()
