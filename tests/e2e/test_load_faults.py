# timeout: 180
"""perseus load while the network and the server fail under it, over every protocol alike: each
request is counted once and by its kind, and what comes after the fault is answered again."""
import csv
import json
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest

from support.faulty_proxy import FaultyProxy
from support.perseus import PERSEUS, SANITIZED, Server, synthetic, tensor, until

WAYS = ("http", "http2", "grpc", "grpc-stream")
ECHO = synthetic(inputs=[tensor("x", shape=(-1, 16))], outputs=[tensor("y", shape=(-1, 16))],
                 mean="0ms", echo=True)


class Faults(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.server = self.enterContext(Server({"m": ECHO}))

    def start(self, way, address, *args):
        args = ["--url", "http://" + address, "--protocol", way, "--model", "m", "--warmup", "0s",
                "--json", "--records", self.dir / "r.csv", *args]
        process = subprocess.Popen([PERSEUS, "load", *map(str, args)], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.kill)
        self.peak = 0
        self.watcher = threading.Thread(target=self.watch, args=(process.pid,))
        self.watcher.start()
        return process

    def watch(self, pid):
        """ru_maxrss would count what this process took when it started the other one."""
        while found := re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text()):
            self.peak = int(found[1]) / 1024
            time.sleep(0.02)  # one that has ended has no such line

    def result(self, process):
        """(tenant, records, MiB it took at most)"""
        out = process.stdout.read()
        self.assertTrue(out, process.stderr.read())
        process.stdout.close()
        process.stderr.close()
        self.watcher.join()
        process.wait()
        with open(self.dir / "r.csv", newline="") as f:
            return json.loads(out)["tenants"][0], list(csv.DictReader(f)), self.peak

    def test_each_fault_by_its_kind_and_then_all_is_well(self):
        want = {"reset": {"reset"}, "garbage": {"garbage"}, "half": {"reset"},
                "dead": {"connect", "reset"}, "stall": {"timeout"}}
        for way in WAYS:
            with self.subTest(way=way), FaultyProxy(self.server.address) as proxy:
                process = self.start(way, proxy.address, "--arrival", "constant", "--rate", 100,
                                     "--duration", "3.2s", "--timeout", "300ms")
                until(lambda: proxy.carried >= 10 or process.poll() is not None)
                for fault in want:
                    proxy.set(fault)
                    # real time: how long a fault lasts is part of the scenario
                    time.sleep(0.45 if fault == "stall" else 0.15)
                    proxy.set(None)
                    time.sleep(0.1)
                t, records, _ = self.result(process)
                self.assertEqual(t["scheduled"], 320)
                self.assertEqual(sum(t["outcomes"].values()), 320)
                self.assertEqual(len(records), 320)
                seen = {k for k, n in t["outcomes"].items() if n}
                self.assertLessEqual(seen, {"ok"}.union(*want.values()), t["outcomes"])
                self.assertLessEqual({"ok", "reset", "garbage", "connect", "timeout"}, seen,
                                     t["outcomes"])
                records.sort(key=lambda r: int(r["scheduled_ns"]))
                self.assertEqual({r["outcome"] for r in records[-20:]}, {"ok"}, way)

    def test_a_connection_that_is_gone_without_a_word_is_left(self):
        """As behind a firewall that forgot it: nothing comes, no reset either. The other end serves
        again on connections that are new."""
        for way in WAYS:
            with self.subTest(way=way), FaultyProxy(self.server.address) as proxy:
                process = self.start(way, proxy.address, "--arrival", "constant", "--rate", 100,
                                     "--duration", "2s", "--timeout", "200ms")
                until(lambda: proxy.carried >= 10 or process.poll() is not None)
                proxy.set("forgotten")
                t, records, _ = self.result(process)
                self.assertGreater(t["outcomes"]["timeout"], 5)
                records.sort(key=lambda r: int(r["scheduled_ns"]))
                self.assertEqual({r["outcome"] for r in records[-50:]}, {"ok"}, t["outcomes"])

    def test_a_stall_at_a_high_rate_ends_in_time_and_takes_little_memory(self):
        rate = 2000 if SANITIZED else 30000
        for way in WAYS:
            with self.subTest(way=way), FaultyProxy(self.server.address) as proxy:
                proxy.stall_at = 10  # by itself: this process may be away for the whole run
                process = self.start(way, proxy.address, "--rate", rate, "--duration", "1s",
                                     "--timeout", "500ms", "--connections", 64)
                begin = time.monotonic()
                t, _, mib = self.result(process)
                self.assertLess(time.monotonic() - begin, 60 if SANITIZED else 15)
                self.assertEqual(sum(t["outcomes"].values()), t["scheduled"])
                self.assertGreater(t["outcomes"]["timeout"], 0)
                self.assertFalse(t["valid"])
                if not SANITIZED:
                    self.assertTrue(10 < mib < 100, (way, mib))


if __name__ == "__main__":
    unittest.main()
