"""Builds perseus-truth (bench/truth) and passes its rows on."""
import json
import os
import pathlib
import subprocess
import sys

from lib import figures

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / "build/release"


def run(part, runs, quick=3):
    """Runs a part on all CPUs; prints its rows. Exits badly when the program could not run."""
    subprocess.run(["cmake", "--build", BUILD, "--target", "perseus-truth"], check=True,
                   stdout=subprocess.DEVNULL)
    runs = figures.count(runs, quick)
    command = [BUILD / "bench/perseus-truth", part, "--runs", str(runs), "--threads",
               str(len(os.sched_getaffinity(0)))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            r = json.loads(line)
            figures.say(f"  {r['figure']}: {r['ours']} ({r['note']})")
            figures.row(r["figure"], r["ours"], r["peer"], None, None, None, r["goal"],
                        r["verdict"], r["note"])
    sys.exit(0 if child.returncode in (0, 1) else child.returncode)
