"""perseus measure: what the host did beside a trial, slices that are kept to, and stores that are
full or in use."""
# timeout: 240
import fcntl
import json
import os
import shutil
import subprocess
import unittest

from support.campaigns import SLA, Folder

# one tenant, a search of one second and one trial of one second at its demand
SMALL = {"tenants": [{"name": "ta", "model": "a", "demand": "30/s", "sla": SLA}],
         "search": {"scale": "200ms", "steps": 2, "step": "400ms", "warmup": "20ms", "checks": 1},
         "confirm": {"trials": 1, "duration": "2s", "warmup": "100ms"}}
SHORT = dict(SMALL, confirm={"trials": 1, "duration": "200ms", "warmup": "20ms"})


class Host(Folder):
    def test_samples(self):
        path = self.write(**SMALL, slice={"cpus": "0", "cpu_quota": 0.9, "memory": "1GiB"})
        done = self.measure(path)
        slices = self.query("SELECT slice FROM cell WHERE state = 'done'")
        if "CPU quota cannot be applied" in done.stderr:  # refused, and nothing measured without it
            self.assertFalse(slices)
            dry = self.measure(path, "--dry-run")  # nor is it planned
            self.assertEqual(dry.returncode, done.returncode)
            self.assertIn(":slice.cpu_quota", dry.stderr)
            path = self.write(**SMALL, slice={"cpus": "0", "memory": "1GiB"})
            self.db.unlink()
            done = self.measure(path)
        elif slices:
            quota = json.loads(slices[0][0])["cgroups"]["cpu_quota"]
            self.assertTrue(quota["applied"])
        self.assertEqual(done.returncode, 0, done.stderr)
        trial, host, cpu = self.query("SELECT trial.id, host, server_cpu_ns FROM trial JOIN cell"
                                      " ON cell.id = cell WHERE kind = 'confirm'")[0]
        host = json.loads(host)
        # ten a second, and cheap
        n, first, last = self.query("SELECT count(*), min(at_ns), max(at_ns) FROM sample"
                                    " WHERE trial = ?", trial)[0]
        self.assertLessEqual(n, 26)
        self.assertLess(host["cost_share"], 0.005)
        if not os.environ.get("PS_SANITIZED"):  # there it costs more, so it looks more seldom
            self.assertGreaterEqual(n, 12)
        # each known, or absent with its reason
        absent = host["absent"]
        for column, what in (("server_cycles", "counters"), ("server_run_delay_ns", "run_delay"),
                             ("server_throttled_ns", "throttled"), ("cpu_khz", "cpu_khz"),
                             ("server_read_bytes", "disk"), ("net_sent_bytes", "network")):
            known, = self.query(f"SELECT count({column}) FROM sample WHERE trial = ?", trial)[0]
            self.assertEqual(known > 0, what not in absent, (column, absent))
        if slices:  # a quota that was applied is one whose throttling is counted
            self.assertNotIn("throttled", absent)
        rss, threads, sent = self.query("SELECT min(server_rss_bytes), min(server_threads),"
                                        " max(net_sent_bytes) FROM sample WHERE trial = ?", trial)[0]
        self.assertGreater(rss, 1 << 20)
        self.assertGreater(threads, 1)
        self.assertGreater(sent, 60 * 100)  # 60 requests over loopback
        # the CPU time is all somebody's
        parts = host["server_cpu"]
        self.assertEqual([p["tenant"] for p in parts], ["ta", None])
        self.assertEqual(sum(p["compute_ns"] + p["overhead_ns"] for p in parts), cpu)
        self.assertIn(host["generator"]["apart"], (True, False))
        if not host["generator"]["apart"]:
            self.assertGreater(host["generator"]["share_of_slice"], 0)

    def test_store_in_use(self):
        path = self.write(**SHORT)
        self.db.touch()
        with open(self.db, "r+") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            done = self.measure(path)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("another perseus is writing to this store", done.stderr)
        self.assertEqual(self.servers(), [])

    def test_disk_fills_up(self):
        small = self.dir / "small"
        small.mkdir()
        made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "none", small],
                              capture_output=True)
        if made.returncode != 0:
            self.skipTest("no right to mount a small disk here")
        try:
            self.db = small / "results.db"
            path = self.write(**SHORT)
            self.assertEqual(self.measure(path).returncode, 0)
            whole = self.query("SELECT count(*) FROM cell WHERE state = 'done'")
            # as good as full: the next campaign begins, and its first cell finds no room
            free = shutil.disk_usage(small).free
            (small / "ballast").write_bytes(b"\0" * max(0, free - (96 << 10)))
            done = self.measure(path)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("full", done.stderr)
            self.assertIn(str(self.db), done.stderr)
            self.wait_gone()
            (small / "ballast").unlink()
            self.assertEqual(self.query("SELECT count(*) FROM cell WHERE state = 'done'"), whole)
            self.assertEqual(self.measure(path).returncode, 0)
            subprocess.run(["mount", "-o", "remount,ro", small], check=True)
            done = self.measure(path)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn("Read-only file system", done.stderr)
        finally:
            subprocess.run(["umount", small], check=True)


if __name__ == "__main__":
    unittest.main()
