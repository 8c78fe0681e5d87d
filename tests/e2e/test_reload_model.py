# timeout: 120
# threads: yes
"""A model's file and configuration change together while it serves: no request fails, old ones are
answered by the old pair until the new one is ready, and a broken pair leaves the old one serving."""
import json
import pathlib
import tempfile
import threading
import unittest

import yaml

from support.perseus import Server, synthetic, tensor

CONFIG = """name: "m"
max_batch_size: {batch}
input [ {{ name: "x" data_type: TYPE_FP32 dims: [ {dims} ] }} ]
output [ {{ name: "y" data_type: TYPE_FP32 dims: [ {dims} ] }} ]
"""


class Reload(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "m/1").mkdir(parents=True)
        self.write(4, 8, "4")
        self.server = self.enterContext(Server(config={"model_repository": [str(self.folder)]}))

    def write(self, columns, batch, dims, **more):
        shape = (-1, columns)
        (self.folder / "m/1/model.synthetic.yaml").write_text(yaml.safe_dump(synthetic(
            inputs=[tensor("x", shape=shape)], outputs=[tensor("y", shape=shape)], mean="1ms",
            **more)))
        (self.folder / "m/config.pbtxt").write_text(CONFIG.format(batch=batch, dims=dims))

    def ask(self, columns):
        status, _, body = self.server.infer("m", [{"name": "x", "datatype": "FP32", "shape":
                                                   [1, columns], "data": [0.5] * columns}])
        return status, body

    def load(self):
        status, _, body = self.server.get("/v2/repository/models/m/load", "POST", b"{}", timeout=60)
        return status, body

    def test_both_change(self):
        self.assertEqual(self.ask(4)[0], 200)
        self.write(6, 0, "-1, 6", load_time="1500ms")
        answers, done = [], []
        thread = threading.Thread(target=lambda: done.append(self.load()))
        thread.start()
        while thread.is_alive():
            answers.append(self.ask(4))
        thread.join()
        self.assertEqual(done[0][0], 200, done)
        # The old pair answers until the new one does; the load says so a moment later.
        statuses = [status for status, _ in answers]
        swapped = statuses.index(400) if 400 in statuses else len(statuses)
        self.assertGreater(swapped, 0)
        self.assertEqual(statuses, [200] * swapped + [400] * (len(statuses) - swapped))
        self.assertTrue(all("[-1,6]" in str(body) for _, body in answers[swapped:]), answers[-1])
        self.assertEqual(self.ask(6)[0], 200)
        self.assertEqual(self.ask(4)[0], 400)
        status, _, body = self.server.get("/v2/models/m")
        self.assertEqual(json.loads(body)["inputs"][0]["shape"], [-1, 6])

    def test_pair_that_does_not_agree(self):
        self.write(6, 8, "5", load_time="100ms")
        status, body = self.load()
        self.assertEqual(status, 400, body)
        self.assertEqual(self.ask(4)[0], 200)

    def test_broken_file(self):
        (self.folder / "m/1/model.synthetic.yaml").write_text("inputs: [nonsense")
        status, body = self.load()
        self.assertNotEqual(status, 200, body)
        self.assertEqual(self.ask(4)[0], 200)
        status, _, body = self.server.get("/v2/repository/index", "POST", b"{}")
        (row,) = json.loads(body)
        self.assertEqual(row["state"], "READY")
        self.assertTrue(row["reason"], row)


if __name__ == "__main__":
    unittest.main()
