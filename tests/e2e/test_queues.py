# timeout: 120
# threads: yes
"""Queue policies and priority levels of config.pbtxt, through Triton's own clients and raw HTTP."""
import http.client
import json
import pathlib
import tempfile
import threading
import unittest

import numpy as np
import tritonclient.grpc as tgrpc
import tritonclient.http as thttp
import yaml
from tritonclient.utils import InferenceServerException

from support.perseus import Server, run, synthetic, until

X = [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0]}]

POLICY = """
name: "m"
max_batch_size: 1
dynamic_batching {
  priority_levels: 3
  default_priority_level: 2
  default_queue_policy { max_queue_size: 2 }
  priority_queue_policy { key: 3 value { default_timeout_microseconds: 50000 } }
}
"""


class Queues(unittest.TestCase):
    """A lane that a run holds until it is told to end; whatever comes meanwhile waits."""

    def serve(self, policy, config=None):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        version = pathlib.Path(folder.name, "m", "1")
        version.mkdir(parents=True)
        models = [{"name": "long", "path": "long.synthetic.yaml"}]
        (version / "model.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))
        (version.parent / "config.pbtxt").write_text(policy)
        server = Server({"long": synthetic(mean="600s")}, args=["--lanes", "1"],
                        config={"model_repository": folder.name, "access_log": True, "slow_request": "1ns",
                                "warmup": False, **(config or {}),
                                "models": models + (config or {}).get("models", [])})
        self.addCleanup(server.__exit__, None, None, None)
        return server.__enter__()

    def hold(self, server):
        """What it returns lets the lane go: a run whose client leaves is cancelled."""
        c = http.client.HTTPConnection(*server.address, timeout=60)
        self.addCleanup(c.close)
        c.request("POST", "/v2/models/long/infer", json.dumps({"inputs": X}))
        until(lambda: server.metric("perseus_lanes_busy") == 1)
        return c.close

    def begin(self, server, answers, **parameters):
        t = threading.Thread(target=lambda: answers.append(
            (parameters, server.infer("m", X, parameters=parameters)[0])))
        t.start()
        self.addCleanup(t.join)
        return t

    def ask(self, server, answers, **parameters):
        """Waits until it waits: the order of arrival is then that of the calls."""
        before = server.metric("perseus_waiting_requests")
        t = self.begin(server, answers, **parameters)
        until(lambda: server.metric("perseus_waiting_requests") > before)
        return t

    def test_size_order_and_time(self):
        rows = [{"name": "m", "priority_levels": 3, "default_priority": 2,
                 "queues": [{"limit": 2}, {"priority": 3, "timeout": "50ms"}]}]
        for policy, config in ((POLICY, {}), ("", {"models": rows})):
            with self.subTest(config=config):
                self.check_policy(policy, config)

    def check_policy(self, policy, config):
        with self.serve(policy, config) as s:
            answers, threads = [], []
            release = self.hold(s)
            for level in (0, 2, 1):
                threads.append(self.ask(s, answers, priority=level))
            self.begin(s, answers, priority=3, timeout=10_000_000).join()  # until its 50 ms are over
            status, headers, body = s.infer("m", X, parameters={"priority": 2})
            self.assertEqual(status, 503, body)  # two of this level wait
            self.assertIn("Exceeds maximum queue size", body["error"])
            status, _, body = s.infer("m", X, parameters={"priority": 4})
            self.assertEqual((status, body["error"]),
                             (400, "priority level must be in range [1, 3] for 'm', got 4"))
            release()
            for t in threads:
                t.join()
            self.assertEqual(s.stop(), 0)
            self.assertEqual(sorted(a[1] for a in answers), [200, 200, 200, 504])
            self.assertEqual(next(a[1] for a in answers if a[0]["priority"] == 3), 504)
            lines = [json.loads(x) for x in s.stderr.splitlines() if x.startswith("{")]
            lines = [x for x in lines if x["model"] == "m"]
            ran = [x["received_ns"] for x in
                   sorted((x for x in lines if x["started_ns"]), key=lambda x: x["started_ns"])]
            came = sorted(ran)
            self.assertEqual(ran, [came[2], came[0], came[1]])  # level 1, then the default 2
            outcomes = sorted(x["outcome"] for x in lines)
            self.assertEqual(outcomes, ["expired", "invalid", "model_queue", "ok", "ok", "ok"])

    def test_triton_clients(self):
        with self.serve(POLICY) as s:
            data = np.ones((1, 4), np.float32)
            http = thttp.InferenceServerClient(s.http.removeprefix("http://"))
            grpc = tgrpc.InferenceServerClient(s.ready["grpc"])
            for client, lib in ((http, thttp), (grpc, tgrpc)):
                x = lib.InferInput("x", [1, 4], "FP32")
                x.set_data_from_numpy(data)
                client.infer("m", [x], priority=3)
                with self.assertRaisesRegex(InferenceServerException, r"in range \[1, 3\]"):
                    client.infer("m", [x], priority=9)
            shown = http.get_model_config("m")["dynamic_batching"]
            self.assertEqual((shown["priority_levels"], shown["default_priority_level"]), (3, 2))
            self.assertEqual(shown["priority_queue_policy"]["3"]["default_timeout_microseconds"],
                             50000)
            batching = grpc.get_model_config("m").config.dynamic_batching
            self.assertEqual(batching.priority_levels, 3)
            self.assertEqual(batching.default_queue_policy.max_queue_size, 2)
            self.assertEqual(batching.priority_queue_policy[3].default_timeout_microseconds, 50000)
            grpc.load_model("m", config=json.dumps({
                "max_batch_size": 1, "dynamic_batching": {
                    "priority_levels": "1", "default_priority_level": "1",
                    "priority_queue_policy": {"1": {"max_queue_size": 7}}}}))
            batching = grpc.get_model_config("m").config.dynamic_batching
            self.assertEqual(batching.priority_queue_policy[1].max_queue_size, 7)
            http.close()
            grpc.close()

    def test_rows_that_are_refused(self):
        rows = (({"priority_levels": 3}, "default_priority_level 0 is not in 1..3"),
                ({"queues": [{"priority": 2, "limit": 1}]}, "level 2 of a queue policy"),
                ({"queues": [{"limit": -1}]}, "limit"),
                ({"queues": [{"timeout_action": "drop"}]}, "timeout_action"),
                ({"queues": [{"limit": 1}, {"limit": 2}]}, "two queues"))
        with tempfile.TemporaryDirectory() as folder:
            pathlib.Path(folder, "m.synthetic.yaml").write_text(yaml.safe_dump(synthetic()))
            for row, why in rows:
                with self.subTest(row=row):
                    config = {"models": [{"name": "m", "path": "m.synthetic.yaml", **row}]}
                    path = pathlib.Path(folder, "c.yaml")
                    path.write_text(yaml.safe_dump(config))
                    done = run("serve", "--check-config", "--config", path)
                    self.assertNotEqual(done.returncode, 0)
                    self.assertIn(why, done.stderr)

    def test_delay(self):
        """Its time over, the first goes behind the second, and is served all the same."""
        policy = """max_batch_size: 1 dynamic_batching { default_queue_policy {
            timeout_action: DELAY default_timeout_microseconds: 600000000
            allow_timeout_override: true } }"""
        with self.serve(policy) as s:
            answers, threads = [], []
            release = self.hold(s)
            threads.append(self.ask(s, answers, timeout=1))
            threads.append(self.ask(s, answers))
            release()
            for t in threads:
                t.join()
            self.assertEqual([a[1] for a in answers], [200, 200])
            self.assertEqual(s.stop(), 0)
            lines = [json.loads(x) for x in s.stderr.splitlines() if x.startswith("{")]
            runs = sorted((x for x in lines if x["model"] == "m"), key=lambda x: x["started_ns"])
            self.assertGreater(runs[0]["received_ns"], runs[1]["received_ns"])


if __name__ == "__main__":
    unittest.main()
