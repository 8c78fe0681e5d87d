"""perseus rnn explore, machine and check: recurrent layers on machines on paper, and on this one."""
import json
import math
import os
import pathlib
import re
import tempfile
import unittest
import xml.dom.minidom

import yaml

from support import perseus

SOURCE = pathlib.Path(os.environ["PS_SOURCE_DIR"])
ARRAY = SOURCE / "examples/machines/plasticine-like.yaml"
CORES = SOURCE / "examples/machines/four-wide-cores.yaml"


def explore(*args, cell="lstm", hidden=1024, steps=25):
    return perseus.run("rnn", "explore", "--cell", cell, "--hidden", hidden, "--steps", steps, *args)


def best_by_hand(m, hidden, steps, pack, weight):
    """The least latency of an LSTM on an array, by the formula in the header written anew."""
    k, best = 2 * hidden, math.inf
    wide = m["lanes"] * pack
    widths = [w for w in (1 << i for i in range(20)) if w < wide] + [wide]
    for owners in range(1, hidden + 1):
        for width in widths:
            for reduce in range(1, k + 1):
                units = owners * (4 * (reduce + math.ceil((reduce - 1) / m["lanes"]))
                                  + m["element_units"])
                if units > m["units"]:
                    break
                rounds = math.ceil(hidden / owners)
                vectors = math.ceil(k / (reduce * width))
                held = rounds * vectors * width * weight
                if owners * 4 * reduce * math.ceil(held / 84000) > m["memories"]:
                    continue
                cycle = max(1, width * weight / m["memory_bytes_per_cycle"])
                cycles = rounds * vectors * cycle + m["depth"] + m["stages"] * math.ceil(
                    math.log2(reduce))
                best = min(best, steps * cycles * 1e-9 / m["clock_ghz"])
    return best


class Explore(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def test_the_best_mapping_is_the_formulas(self):
        machine = yaml.safe_load(ARRAY.read_text())
        for hidden, steps, precision, pack, weight in ((256, 150, "int8", 4, 1),
                                                       (511, 3, "bfloat16", 2, 2)):
            done = explore("--machine", ARRAY, "--precision", precision, "--json", hidden=hidden,
                           steps=steps)
            self.assertEqual(done.returncode, 0, done.stderr)
            (found,) = json.loads(done.stdout)["precisions"]
            front = found["front"]
            expected = best_by_hand(machine, hidden, steps, pack, weight)
            self.assertAlmostEqual(front[0]["latency_s"] / expected, 1, places=9)
            self.assertAlmostEqual(front[0]["ops_per_s"] * expected / (16 * hidden ** 2 * steps), 1)
            for a in front:
                for b in front:
                    self.assertFalse(a is not b and all(
                        a[x] <= b[x] for x in ("latency_s", "units", "memories")))

    def test_text_names_layer_machine_and_front(self):
        done = explore("--machine", ARRAY)
        self.assertEqual(done.returncode, 0, done.stderr)
        for text in ("LSTM, 1024 hidden units, 1024 inputs, 25 steps, batch 1", "plasticine-like",
                     "int8: ", "on the front", "of h * R alone"):
            self.assertIn(text, done.stdout)
        self.assertNotIn("float32: ", done.stdout)  # 33 MB of weights, 32 of memory
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 130)
        classic = explore("--machine", CORES, "--no-linear-before-reset", cell="gru", hidden=64)
        self.assertIn("resets before the product", classic.stdout)

    def test_a_gru_with_two_exchanges_takes_longer(self):
        def latency(*args):
            done = explore("--machine", CORES, "--json", *args, cell="gru", hidden=64)
            return json.loads(done.stdout)["precisions"][0]["front"][0]["exchange_s"]
        self.assertAlmostEqual(latency("--no-linear-before-reset") / latency(), 2)

    def test_drawings(self):
        svg, page = self.dir / "front.svg", self.dir / "front.html"
        done = explore("--machine", ARRAY, "--draw", svg)
        self.assertEqual(done.returncode, 0, done.stderr)
        root = xml.dom.minidom.parse(str(svg)).documentElement
        self.assertEqual(root.tagName, "svg")
        front = json.loads(explore("--machine", ARRAY, "--json").stdout)["precisions"]
        titles = [c for c in root.getElementsByTagName("circle") if c.getElementsByTagName("title")]
        self.assertEqual(len(titles), 2 * sum(len(p["front"]) for p in front))
        for number in re.findall(r'c[xy]="([^"]*)"', svg.read_text()):
            self.assertTrue(0 <= float(number) <= 1100, number)
        self.assertEqual(explore("--machine", CORES, "--draw", page).returncode, 0)
        self.assertIn("</svg>", page.read_text())
        self.assertIn("<table>", page.read_text())

    def test_mistakes(self):
        unknown = self.dir / "m.yaml"
        unknown.write_text(ARRAY.read_text() + "colour: red\n")
        cases = [
            (["--machine", unknown], "colour"),
            (["--machine", self.dir / "nowhere.yaml"], "nowhere.yaml"),
            (["--machine", ARRAY, "--precision", "int4"], "--precision"),
            (["--machine", ARRAY, "--cpus", "0"], "--cpus"),
            (["--machine", ARRAY, "--draw", self.dir / "a.png"], "FILE.svg or FILE.html"),
            (["--machine", ARRAY, "--draw", self.dir / "no/a.svg"], "no"),
            (["--machine", ARRAY, "--inputs", "0"], "--inputs"),
            (["--machine", ARRAY, "--inputs", "65536", "--precision", "int8"], "do not fit"),
        ]
        for args, complaint in cases:
            done = explore(*args)
            self.assertNotEqual(done.returncode, 0, args)
            self.assertIn(complaint, done.stderr)
            self.assertEqual(done.stdout, "")

    def test_a_line_of_the_machines_file_is_named(self):
        path = self.dir / "m.yaml"
        text = ARRAY.read_text()
        line = next(i for i, s in enumerate(text.splitlines(), 1) if s.startswith("lanes:"))
        path.write_text(text.replace("lanes: 16", "lanes: none"))
        done = explore("--machine", path)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn(f"m.yaml:{line}:lanes", done.stderr)
        path.write_text(text.replace("clock_ghz: 1\n", ""))
        self.assertIn("clock_ghz: an array needs it", explore("--machine", path).stderr)


class ThisMachine(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = pathlib.Path(folder.name)

    def test_measured_once_and_explored(self):
        kept = self.dir / "cache/rnn-machine.yaml"
        first = perseus.run("rnn", "machine", "--cpus", "0", "--cache-dir", self.dir / "cache")
        self.assertEqual(first.returncode, 0, first.stderr)
        machine = yaml.safe_load(first.stdout)
        self.assertEqual((machine["kind"], machine["units"]), ("cores", 1))
        self.assertEqual({p["name"] for p in machine["precisions"]},
                         {"float32", "bfloat16", "int8"})
        self.assertTrue(all(v["forward_gb_per_s"] > 0 for v in machine["levels"]))
        before = kept.read_bytes()
        again = perseus.run("rnn", "machine", "--cpus", "0", "--cache-dir", self.dir / "cache")
        self.assertEqual((again.stdout, kept.read_bytes()), (first.stdout, before))
        # of another machine: measured anew
        kept.write_text(first.stdout.replace("measured_on: \"", "measured_on: \"not "))
        done = explore("--cpus", "0", "--cache-dir", self.dir / "cache", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("not ", json.loads(done.stdout)["machine"]["measured_on"])
        # what is written is a machine's file
        done = explore("--machine", kept)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("measured: ", done.stdout)

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "one CPU has no team of threads")
    def test_a_wide_model_is_tuned_when_it_loads(self):
        perseus.run("zoo", "write", "lstm_256", "--dir", self.dir)
        kept = self.dir / "cache/rnn-tuning.json"

        def bench(threads):
            done = perseus.run("bench", self.dir / "lstm_256.onnx", "--rnn", "int8", "--threads",
                               threads, "--duration", "20ms", "--warmup", "0s", "--shape",
                               "input:5x1x256", "--cache-dir", self.dir / "cache", "--json")
            self.assertEqual(done.returncode, 0, done.stderr)

        bench(1)
        self.assertFalse(kept.exists())  # a narrow run has one thread and nothing to choose
        bench(2)
        found = json.loads(kept.read_text())
        (name, chosen), = found["layers"].items()
        self.assertRegex(name, r"^lstm 256x\d+ int8$")
        self.assertLessEqual(set(chosen), {"threads", "alternate", "prefetch", "rows", "alone_rows",
                                           "model_us_per_step"})
        before = kept.stat().st_mtime_ns
        bench(2)
        self.assertEqual(kept.stat().st_mtime_ns, before)

    def test_the_check_compares_with_the_engine(self):
        done = perseus.run("rnn", "check", "lstm:96x20", "gru:64x10", "--cpus", "0", "--time", "5ms",
                           "--cache-dir", self.dir, "--json")
        self.assertIn(done.returncode, (0, 1), done.stderr)
        found = json.loads(done.stdout)
        self.assertEqual(len(found["layers"]), 6)
        for row in found["layers"]:
            self.assertGreater(row["measured_s"], 0)
            self.assertAlmostEqual(row["error"], row["model_s"] / row["measured_s"] - 1)
        mean = sum(abs(r["error"]) for r in found["layers"]) / 6
        self.assertAlmostEqual(found["mean_error"], mean)
        self.assertEqual(done.returncode, 0 if mean <= 0.15 else 1)
        for shape in ("lstm:96", "cnn:3x3", "lstm:0x5", "lstm:70000x5", "lstm:3x3x3"):
            self.assertNotEqual(perseus.run("rnn", "check", shape).returncode, 0, shape)


if __name__ == "__main__":
    unittest.main()
