"""Every figure of bench/ runs against the present program: PS_BENCH_QUICK=1, so that nothing is
measured. The peers must be installed (scripts/setup bench)."""
# long: several minutes, and peers that `make check` does not need
# timeout: 1800
# sanitizers: no (the peers and the durations are those of the release)
import json
import os
import pathlib
import shutil
import subprocess
import sys
import unittest

ROOT = pathlib.Path(os.environ["PS_SOURCE_DIR"])
PROGRAMS = ("nginx", "nghttpd", "wrk", "h2load", "g++")


class Quick(unittest.TestCase):
    def test_every_figure_runs(self):
        missing = [p for p in PROGRAMS if not shutil.which(p)]
        if not (ROOT / "build/bench/mlserver/bin/mlserver").exists():
            missing.append("MLServer")
        if missing:
            self.skipTest(f"no {', '.join(missing)}: run scripts/setup bench")
        results = ROOT / "build/bench/quick.json"
        results.unlink(missing_ok=True)
        done = subprocess.run([sys.executable, ROOT / "bench/run"],
                              env={**os.environ, "PS_BENCH_QUICK": "1"}, capture_output=True,
                              text=True)
        found = json.loads(results.read_text())["figures"]
        failed = {name: r["note"] for name, figure in found.items() for r in figure["rows"]
                  if r["verdict"] != "quick"}
        self.assertEqual((failed, done.returncode), ({}, 0), done.stderr[-4000:])
        self.assertEqual(set(found), {p.stem for p in (ROOT / "bench").glob("*.py")})


if __name__ == "__main__":
    unittest.main()
