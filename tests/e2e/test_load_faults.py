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
from support.perseus import PERSEUS, SANITIZED, Server, awake, synthetic, tensor, until

WAYS = ("http", "http2", "grpc", "grpc-stream")
ECHO = synthetic(inputs=[tensor("x", shape=(-1, 16))], outputs=[tensor("y", shape=(-1, 16))],
                 mean="0ms", echo=True)


class Run:
    """perseus load over one protocol, through a proxy of its own."""

    def __init__(self, test, way, address, *args):
        self.records = test.dir / f"{way}.csv"
        args = ["--url", "http://" + address, "--protocol", way, "--model", "m", "--warmup", "0s",
                "--json", "--records", self.records, *args]
        self.process = subprocess.Popen([PERSEUS, "load", *map(str, args)], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        test.addCleanup(self.process.kill)
        self.peak = 0
        self.watcher = threading.Thread(target=self.watch, args=(self.process.pid,))
        self.watcher.start()

    def watch(self, pid):
        """ru_maxrss would count what this process took when it started the other one."""
        while found := re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text()):
            self.peak = int(found[1]) / 1024
            time.sleep(0.02)  # one that has ended has no such line

    def wait_carried(self, proxy):
        until(lambda: proxy.carried >= 10 or self.process.poll() is not None)

    def result(self):
        """(tenant, records by instant, MiB it took at most)"""
        out = self.process.stdout.read()
        if not out:
            raise AssertionError(self.process.stderr.read())
        self.process.stdout.close()
        self.process.stderr.close()
        self.watcher.join()
        self.process.wait()
        with open(self.records, newline="") as f:
            records = sorted(csv.DictReader(f), key=lambda r: int(r["scheduled_ns"]))
        return json.loads(out)["tenants"][0], records, self.peak


class Faults(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.server = self.enterContext(Server({"m": ECHO}))

    def each_way(self, rate, scenario, *args):
        """The results by protocol; all at once, because it is waiting that takes the time."""
        found = {}

        def go(way):
            with FaultyProxy(self.server.address) as proxy:
                run = Run(self, way, proxy.address, "--arrival", "constant", "--rate", rate, *args)
                run.wait_carried(proxy)
                scenario(proxy)
                found[way] = run.result()

        threads = [threading.Thread(target=go, args=(way,)) for way in WAYS]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        self.assertEqual(set(found), set(WAYS))
        return found

    # Time-outs are longer than a machine stalls, and faults last while it does not (`awake`): how
    # long each lasts is part of the scenario.

    def test_each_fault_by_its_kind_and_then_all_is_well(self):
        want = {"reset": {"reset"}, "garbage": {"garbage"}, "half": {"reset"},
                "dead": {"connect", "reset"}, "stall": {"timeout"}}

        def scenario(proxy):
            for fault in want:
                proxy.set(fault)
                awake(1.4 if fault == "stall" else 0.15)
                proxy.set(None)
                awake(0.1)

        found = self.each_way(100, scenario, "--duration", "6s", "--timeout", "1.2s")
        for way, (t, records, _) in found.items():
            with self.subTest(way=way):
                self.assertEqual(t["scheduled"], 600)
                self.assertEqual(sum(t["outcomes"].values()), 600)
                self.assertEqual(len(records), 600)
                seen = {k for k, n in t["outcomes"].items() if n}
                self.assertLessEqual(seen, {"ok"}.union(*want.values()), t["outcomes"])
                self.assertLessEqual({"ok", "reset", "garbage", "connect", "timeout"}, seen,
                                     t["outcomes"])
                self.assertEqual({r["outcome"] for r in records[-20:]}, {"ok"}, way)

    def test_a_connection_that_is_gone_without_a_word_is_left(self):
        """As behind a firewall that forgot it: nothing comes, no reset either. The other end serves
        again on connections that are new."""
        # 24 until the first times out: one connection has room for them all, and would go on
        found = self.each_way(20, lambda proxy: proxy.set("forgotten"), "--duration", "5s",
                              "--timeout", "1.2s")
        for way, (t, records, _) in found.items():
            with self.subTest(way=way):
                # over HTTP/1.1 each connection loses the one request that it carries
                self.assertGreater(t["outcomes"]["timeout"], 0 if way == "http" else 5)
                self.assertEqual({r["outcome"] for r in records[-50:]}, {"ok"}, t["outcomes"])

    def test_a_stall_at_a_high_rate_ends_in_time_and_takes_little_memory(self):
        rate = 2000 if SANITIZED else 30000
        for way in WAYS:
            with self.subTest(way=way), FaultyProxy(self.server.address) as proxy:
                proxy.stall_at = 10  # by itself: this process may be away for the whole run
                run = Run(self, way, proxy.address, "--rate", rate, "--duration", "1s",
                          "--timeout", "500ms", "--connections", 64)
                begin = time.monotonic()
                t, _, mib = run.result()
                self.assertLess(time.monotonic() - begin, 60 if SANITIZED else 15)
                self.assertEqual(sum(t["outcomes"].values()), t["scheduled"])
                self.assertGreater(t["outcomes"]["timeout"], 0)
                self.assertFalse(t["valid"])
                if not SANITIZED:
                    self.assertTrue(1 < mib < 100, (way, mib))


if __name__ == "__main__":
    unittest.main()
