# timeout: 120
# threads: yes
"""What the server and its keys' commands say to the operator is so."""
import os
import pathlib
import re
import shutil
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, os.path.join(os.environ["PS_SOURCE_DIR"], "tests/e2e"))
from test_operate import Operated, Server, X, run, synthetic, until, yaml  # noqa: E402

KEYS = ["sha256:" + 63 * "0" + str(i) for i in range(3)]


class Said(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-said-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def test_ready_counts_models_and_instances(self):
        m = synthetic()
        rows = (({"m": m, "n": m}, None, "models 2, instances 1"),  # the same file: one instance
                ({"m": m, "n": synthetic(seed=2)}, None, "models 2, instances 2"),
                ({"m": m}, [{"name": n, "keys": [KEYS[i]], "share": False}
                            for i, n in enumerate("ab")], "models 1, instances 2"))
        for models, tenants, words in rows:
            with Server(models=models, tenants=tenants) as s:
                self.assertIn(words, s.stderr)

    def test_drain_says_what_became_of_requests(self):
        for timeout, answered, dropped in (("20s", 3, 0), ("50ms", 0, 3)):
            s = Operated(models={"m": synthetic(mean="3s")},  # long enough to be seen running
                         config={"drain_timeout": timeout, "lanes": 3})
            with s:
                def ask():
                    try:
                        s.infer_as("a")
                    except OSError:
                        pass  # cut off
                threads = [threading.Thread(target=ask) for _ in range(3)]
                for t in threads:
                    t.start()
                until(lambda: s.ask("admin", "/v2/perseus/status")[1]["running"] == 3)
                s.stop()
                for t in threads:
                    t.join()
                said = re.search(r"drained in [\d.]+ s: (\d+) requests answered since, (\d+) dropped",
                                 s.stderr)
                self.assertIsNotNone(said, s.stderr)
                self.assertEqual((int(said[1]), int(said[2])), (answered, dropped), timeout)

    def test_states_have_one_name(self):
        """Index, status and metric agree; what was unloaded is so after a restart, too."""
        models = {"m": synthetic(), "n": synthetic(broken="worn out"), "o": synthetic(seed=2)}
        seen = []
        for again in (False, True):
            with Operated(models=models, config={"state": str(self.dir), "exit_on_error": False}) as s:
                if not again:
                    self.assertEqual(
                        s.ask("admin", "/v2/repository/models/m/unload", "POST")[0], 200)
                index = s.ask("admin", "/v2/repository/index", "POST")[1]
                seen.append(index)
                self.assertEqual([(r["state"], r.get("reason", "")) for r in index],
                                 [("UNAVAILABLE", "unloaded"), ("UNAVAILABLE", "worn out"),
                                  ("READY", "")])
                status = s.ask("admin", "/v2/perseus/status")[1]["models"]
                self.assertEqual([r["state"] for r in status], [r["state"] for r in index])
                metrics = s.metrics("admin")
                count = lambda *of: metrics['perseus_models{state="%s",reason="%s"}' % of]
                self.assertEqual([count("READY", ""), count("UNAVAILABLE", "failed"),
                                  count("UNAVAILABLE", "unloaded"), count("LOADING", "")],
                                 [1, 1, 1, 0])
        self.assertEqual(seen[0], seen[1])

    def write(self, **config):
        path = self.dir / "serve.yaml"
        (self.dir / "m.synthetic.yaml").write_text("{}\n")
        path.write_text(yaml.safe_dump({"models": [{"name": "m", "path": "m.synthetic.yaml"}],
                                        "tenants": [{"name": "a"}, {"name": "b"}], **config}))
        return path

    def test_when_a_key_holds(self):
        other = ("--keys-file", self.dir / "other.yaml")
        rows = (({"keys_file": "keys.yaml"}, (), "once the server starts, or reloads"),
                ({"keys_file": "keys.yaml"}, other, "names another file of keys"),
                ({}, other, "names no file of keys"),
                ({}, (), "Add to the tenant's section"))
        for config, args, words in rows:
            path = self.write(**config)
            done = run("serve", "keys", "create", "--config", path, "--tenant", "a", *args)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(words, done.stderr)

    def test_why_no_tenant_has_a_key(self):
        rows = (({}, "has no keys_file"), ({"keys_file": "keys.yaml"}, "is not there yet"),
                ({"keys_file": "empty.yaml"}, "has no key of theirs"))
        (self.dir / "empty.yaml").write_text("keys: []\n")
        for config, words in rows:
            done = run("serve", "--config", self.write(**config), "--check-config")
            self.assertEqual(done.returncode, 2)
            self.assertIn("tenants a and b both have no key", done.stderr)
            self.assertIn("hint: ", done.stderr)
            self.assertIn(words, done.stderr)


if __name__ == "__main__":
    unittest.main()
