# timeout: 120
# threads: yes
"""`serve --check-config` finds what a start refuses, with the same words and the same exit code,
warns of what a start warns of, and leaves nothing behind."""
import json
import os
import pathlib
import shutil
import sqlite3
import subprocess
import tempfile
import unittest

import yaml

from support.perseus import PERSEUS, Server, needs_onnxruntime, run, synthetic

M = {"name": "m", "path": "m.synthetic.yaml"}
FOLDER = {"model_repository": ["repo"]}
KEY = "sha256:" + "0" * 63 + "1"
OK, WRONG, NOT_FOUND, UNSUPPORTED = 0, 2, 4, 7

# (configuration, exit code, a part of what is said; "" for nothing at all)
ROWS = (
    ({"models": [M]}, OK, ""),
    (FOLDER, OK, ""),
    ({}, 64, "there is no model to serve"),
    ({"models": [M], "lanes": "many"}, WRONG, ":7:lanes"),
    ({"models": [{"name": "m"}]}, WRONG, "no path"),
    ({**FOLDER, "models": [{"name": "typo", "max_batch": 2}]}, NOT_FOUND,
     "models: model typo has no path and is in no folder of model_repository"),
    ({**FOLDER, "models": [{"name": "p", "split": [{"version": 9, "weight": 1}]}]}, OK, ""),
    ({**FOLDER, "models": [{"name": "p", "device": "cuda:x"}]}, WRONG, "cuda:x"),
    ({"models": [{**M, "version": v} for v in (1, 2)]}, OK, ""),
    ({"models": [{**M, "path": "none.onnx"}]}, NOT_FOUND, "there is no file"),
    ({"model_repository": ["nowhere"]}, NOT_FOUND, "nowhere"),
    ({"model_repository": ["repo", "bad"]}, UNSUPPORTED, "ensembles are not served"),
    ({"model_repository": ["bad"], "exit_on_error": False}, OK, "ensembles are not served"),
    ({"model_repository": ["warned"]}, OK, "response_cache has no effect here"),
    ({**FOLDER, "tenants": [{"name": "a", "models": ["p", "typo"]}]}, OK,
     "tenant a names the model 'typo', which is in no folder"),
    ({**FOLDER, "tenants": [{"name": "a", "slas": [{"model": "q", "sla": "p99<=1s"}]}]}, OK,
     "tenant a names the model 'q'"),
    ({"models": [M], "tenants": [{"name": "a", "models": ["typo"]}]}, WRONG, "'typo'"),
    ({"models": [M], "tenants": [{"name": "a"}, {"name": "b"}]}, WRONG, "both have no key"),
    ({"models": [M], "tls": {"cert": "none.pem", "key": "none.pem"}}, NOT_FOUND, "none.pem"),
    ({"models": [M], "lanes": 0, "cpus": "0", "reserve_lanes": 1}, WRONG, "reserved lanes"),
    ({"models": [M], "cpus": "4000"}, WRONG, "4000"),
    ({"models": [M], "access_log_file": "none/log"}, NOT_FOUND, "none"),
    ({"models": [M], "state": "m.synthetic.yaml/state"}, NOT_FOUND, "m.synthetic.yaml"),
    ({"models": [M], "state": "foreign"}, WRONG, "not a state file"),
    ({"models": [M], "state": "a/new/one"}, OK, ""),
    ({"models": [M], "listen": ["unix:none/socket"]}, NOT_FOUND, "none"),
    ({"models": [M], "listen": ["no.such.host.invalid:80"], "tenants": [
        {"name": "a", "keys": [KEY]}]}, None, "no.such.host.invalid"),
    ({"models": [M], "keys_file": "none.yaml"}, OK, ""),
)


class CheckConfig(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-check-"))
        self.addCleanup(shutil.rmtree, self.dir)
        (self.dir / "m.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))
        for name, config in (("repo/p", ""), ("bad/ens", "platform: \"ensemble\"\n"),
                             ("warned/w", "response_cache { enable: true }\n")):
            (self.dir / name / "1").mkdir(parents=True)
            (self.dir / name / "config.pbtxt").write_text(config)
            (self.dir / name / "1/model.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))
        (self.dir / "foreign").mkdir()
        made = sqlite3.connect(self.dir / "foreign/perseus-state.db")
        made.execute("PRAGMA user_version = 7")
        made.close()

    def write(self, config):
        path = self.dir / "serve.yaml"
        path.write_text(yaml.safe_dump({"grpc": "127.0.0.1:0", "metrics": "127.0.0.1:0",
                                        "listen": "127.0.0.1:0", **config}, sort_keys=False))
        return path

    def files(self):
        return sorted(str(p) for p in self.dir.rglob("*"))

    def start(self, config):
        """(exit code, what was said) of a start; 0 when it got ready."""
        read_fd, write_fd = os.pipe()
        process = subprocess.Popen([PERSEUS, "serve", "--config", str(self.write(config)),
                                    "--ready-fd", str(write_fd)], pass_fds=[write_fd],
                                   cwd=self.dir, stderr=subprocess.PIPE, text=True)
        os.close(write_fd)
        with os.fdopen(read_fd) as ready:
            if "error" not in json.loads(ready.read()):
                process.terminate()
        said = process.communicate(timeout=60)[1]
        return process.returncode, said

    def test_says_what_a_start_says(self):
        for config, code, said in ROWS:
            with self.subTest(config=config):
                path = self.write(config)
                before = self.files()
                checked = run("serve", "--config", path, "--check-config", cwd=self.dir)
                self.assertEqual(self.files(), before)
                if said:
                    self.assertIn(said, checked.stderr)
                else:
                    self.assertEqual(checked.stderr, "")
                started, words = self.start(config)
                self.assertEqual(checked.returncode, started, words)
                if code is not None:
                    self.assertEqual(checked.returncode, code, checked.stderr)
                self.assertIn(said, words)

    def test_an_empty_folder(self):
        (self.dir / "empty").mkdir()
        done = run("serve", "--models", self.dir / "empty", "--check-config")
        self.assertEqual(done.returncode, NOT_FOUND)
        self.assertIn("there is no model in", done.stderr)

    def test_onnxruntime_is_not_there(self):
        (self.dir / "n.onnx").write_bytes(b"")
        for library, code in (("none.so", NOT_FOUND), ("serve.yaml", None)):
            path = self.write({"models": [{"name": "n", "path": "n.onnx"}],
                               "library": str(self.dir / library)})
            checked = run("serve", "--config", path, "--check-config")
            self.assertNotEqual(checked.returncode, 0)
            self.assertIn(library, checked.stderr)

    @needs_onnxruntime
    def test_no_model_is_opened(self):
        (self.dir / "n.onnx").write_bytes(b"no model at all")
        path = self.write({"models": [{"name": "n", "path": "n.onnx"}]})
        self.assertEqual(run("serve", "--config", path, "--check-config").returncode, 0)

    def test_beside_a_server(self):
        """Of the same configuration, as before each reload."""
        with Server(models={"m": synthetic()}, config={"state": "state"}) as s:
            path = s.dir / "serve.yaml"
            whole = yaml.safe_load(path.read_text())
            path.write_text(yaml.safe_dump({**whole, "listen": s.url, "grpc": s.ready["grpc"]}))
            done = run("serve", "--config", path, "--check-config")
            self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
