# timeout: 120
"""What the configuration says of single models: warm-up before they are ready, sharing."""
import json
import signal
import time
import unittest

import yaml

from support.perseus import Server, new_key, synthetic


class ModelRows(unittest.TestCase):
    def status(self, server, key):
        answer = server.get("/v2/perseus/status", headers={"Authorization": f"Bearer {key}"})
        return {m["name"]: m for m in json.loads(answer[2])["models"]}

    def test_warmup_comes_before_ready(self):
        """Synthetic models do not warm up by themselves; three runs take three times their time."""
        for runs, at_least in ((None, 0), (0, 0), (3, 0.6)):
            with self.subTest(runs=runs):
                rows = {} if runs is None else {"warmup": runs}
                began = time.monotonic()
                with Server({"m": synthetic(mean="200ms")}, model_keys=rows) as s:
                    self.assertGreaterEqual(time.monotonic() - began, at_least)
                    self.assertEqual(s.get("/v2/models/m/ready")[0], 200)

    def test_share(self):
        key, digest = new_key()
        tenant, own = new_key()
        for shares in (True, False):
            with self.subTest(share=shares):
                config = {"admin_keys": [digest],
                          "models": [{"name": "m", "path": "m.synthetic.yaml", "share": shares},
                                     {"name": "n", "path": "n.synthetic.yaml"}]}
                with Server({"m": synthetic(), "n": synthetic()}, config=config,
                            tenants=[{"name": "a", "keys": [own]}]) as s:
                    models = self.status(s, key)
                    self.assertEqual(models["m"]["instance"] == models["n"]["instance"], shares)
                    # and the other way round, while it serves
                    config["models"][0]["share"] = not shares
                    path = s.dir / "serve.yaml"
                    now = yaml.safe_load(path.read_text())
                    path.write_text(yaml.safe_dump({**now, **config}))
                    s.process.send_signal(signal.SIGHUP)
                    end = time.monotonic() + 30
                    while shares == (models["m"]["instance"] == models["n"]["instance"]):
                        self.assertLess(time.monotonic(), end)
                        models = self.status(s, key)


if __name__ == "__main__":
    unittest.main()
