"""The figures of recurrent layers: our engine, ONNX Runtime and oneDNN side by side on the shapes of
DeepBench's inference set, and the bound that the machine sets.

Each system is a process of its own that has its layer ready and runs it when told; only one works at a
time, on the same CPUs and with as many threads. All have the same weights, and every output is held
against ONNX Runtime's in float32. A block runs each system for a moment; its figure is the median.
"""
import contextlib
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy
import yaml

from . import figures, programs

ROOT = programs.ROOT
PEERS = ROOT / "bench/peers"
MADE = ROOT / "build/bench"
# (cell, hidden units and inputs, steps): each size once, steps cut to 200
SHAPES = [("lstm", 256, 150), ("lstm", 512, 25), ("lstm", 1024, 25), ("lstm", 1536, 50),
          ("lstm", 2048, 25), ("gru", 512, 1), ("gru", 1024, 200), ("gru", 1536, 187),
          ("gru", 1536, 200), ("gru", 2048, 187), ("gru", 2048, 200), ("gru", 2560, 187),
          ("gru", 2560, 200), ("gru", 2816, 187), ("gru", 2816, 200)]
GATES = {"lstm": 4, "gru": 3}
PRECISIONS = {"float32": (1, 4), "bfloat16": (2, 2), "int8": (4, 1)}  # values together, bytes
# largest difference of an output from ONNX Runtime's in float32. The peers' own int8 has one scale per
# matrix; wrong weights or gates would be off by 1 and more.
MOST_OFF = {"float32": 5e-4, "bfloat16": 0.05, "int8": 0.1}
PEERS_MOST_OFF = {**MOST_OFF, "int8": 0.6}
BLOCK_SECONDS = 0.05
MOST_RUNS = 200
LIBRARIES = ("engine/libps_engine", "engine/libps_rnn", "spatial/libps_spatial", "model/libps_model",
             "conf/libps_conf", "base/libps_base")


def cpu_flags():
    for line in open("/proc/cpuinfo"):
        if line.startswith("flags"):
            return set(line.split(":", 1)[1].split())
    return set()


# What the goals for reduced precision were set for.
WIDE = {"avx512f", "avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"} <= cpu_flags()


def cpus():
    return sorted(os.sched_getaffinity(0))[:64]


def build_ours():
    libraries = pathlib.Path(programs.PERSEUS).resolve().parent / "src"
    program = MADE / "rnn-ours"
    MADE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", f"-I{ROOT}/src",
                    PEERS / "rnn-ours.c", "-o", program,
                    *(libraries / f"{name}.a" for name in LIBRARIES), "-ljansson", "-lyaml",
                    "-lcrypto", "-lprotobuf-c", "-ldl", "-lpthread", "-lm"], check=True)
    return program


def build_avx2_only():
    """What makes ONNX Runtime see no more than AVX2."""
    library = MADE / "avx2-only.so"
    MADE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC", PEERS / "avx2-only.c", "-o",
                    library], check=True)
    return library


def build_onednn():
    """None where Debian's package is not installed."""
    program = MADE / "rnn-onednn"
    MADE.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["g++", "-O2", "-std=c++17", "-fopenmp", PEERS / "rnn-onednn.cc", "-o",
                           program, "-ldnnl"], capture_output=True, text=True)
    if done.returncode != 0:
        figures.say("oneDNN is left out: " + (done.stderr.strip().splitlines() or ["?"])[0])
        return None
    return program


class Absent(RuntimeError):
    """The peer has no such layer on this processor."""


class Worker:
    def __init__(self, args, env):
        listed = ",".join(map(str, cpus()))
        self.process = subprocess.Popen(["taskset", "-c", listed, *map(str, args)],
                                        env={**os.environ, **env}, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.ready = self.process.stdout.readline().split()
        self.blocks = []
        if not self.ready or self.ready[0] != "ready":
            code = self.process.wait()
            if code == 3:
                raise Absent("not implemented on this processor")
            raise RuntimeError(f"{args[0]} ended with {code}")

    def tell(self, what, argument):
        self.process.stdin.write(f"{what} {argument}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def run(self, n):
        took = [float(x) for x in self.tell("run", n).split()]
        if len(took) != n:
            raise RuntimeError(f"{self.process.args} ended")
        return took

    def output(self, path):
        if self.tell("output", path).strip() != "written":
            raise RuntimeError(f"{self.process.args} did not write its output")
        return numpy.fromfile(path, numpy.float32)

    def prepare(self):
        self.run(1)
        one = statistics.median(self.run(2)) / 1e6
        self.count = max(1, min(MOST_RUNS, round(BLOCK_SECONDS / one)))

    def block(self, _):
        time.sleep(0.02)  # the threads of the one before have stopped spinning
        if self.count > 1:
            self.run(1)
        took = self.run(self.count)
        self.blocks.append(took)
        return statistics.median(took)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def write_layer(folder, cell, hidden, steps, batch):
    """The file of weights and x that all programs read, x alone, and the ONNX models."""
    import onnx
    from onnx import helper, numpy_helper
    rng = numpy.random.default_rng(1)
    rows, width = GATES[cell] * hidden, 1 / math.sqrt(hidden)

    def drawn(*shape, most):
        return rng.uniform(-most, most, shape).astype(numpy.float32)

    w, r = drawn(1, rows, hidden, most=width), drawn(1, rows, hidden, most=width)
    b, x = drawn(1, 2 * rows, most=width), drawn(steps, batch, hidden, most=1.7)
    with open(folder / "weights", "wb") as f:
        for part in (w, r, b, x):
            part.tofile(f)
    x.tofile(folder / "x")
    more = {"linear_before_reset": 1} if cell == "gru" else {}
    node = helper.make_node(cell.upper(), ["x", "w", "r", "b"], ["y"], hidden_size=hidden, **more)
    graph = helper.make_graph(
        [node], cell, [helper.make_tensor_value_info("x", 1, ["steps", batch, hidden])],
        [helper.make_tensor_value_info("y", 1, ["steps", 1, batch, hidden])],
        [numpy_helper.from_array(v, n) for v, n in ((w, "w"), (r, "r"), (b, "b"))])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8),
              folder / "float32.onnx")
    if cell == "lstm":
        from onnxruntime.quantization import QuantType, quantize_dynamic
        quantize_dynamic(folder / "float32.onnx", folder / "int8.onnx",
                         op_types_to_quantize=["LSTM"], weight_type=QuantType.QInt8)


class Layer:
    """Every system on one layer: name -> Worker, those that are absent name -> why. `avx2`: the
    library of build_avx2_only, and nobody uses more than AVX2."""

    def __init__(self, folder, cell, hidden, steps, batch, avx2=None):
        self.envs = {"ours": {"PERSEUS_RNN_ISA": "avx2"}, "onednn": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
                     "ort": {"LD_PRELOAD": str(avx2)}} if avx2 else {}
        self.shape = (cell, hidden, steps, batch)
        self.workers, self.absent = {}, {}
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        write_layer(folder, cell, hidden, steps, batch)

    def add(self, name, precision, args):
        """Starts a system and holds its output against ONNX Runtime's in float32."""
        try:
            worker = Worker(args, self.envs.get(name.split()[0], {}))
        except Absent as e:
            self.absent[name] = f"{self.shape[0]}: {e}"
            return
        self.workers[name] = worker
        worker.prepare()
        y = worker.output(self.folder / "y")
        if name == "ort float32":
            self.expected = y
        off = float(numpy.abs(y - self.expected).max())
        worker.off = off
        if not off <= (MOST_OFF if name.startswith("ours") else PEERS_MOST_OFF)[precision]:
            raise RuntimeError(f"{name} is off by {off:.3g} on {self.shape}")

    def start(self, ours, onednn):
        cell, hidden, steps, batch = self.shape
        threads, weights = len(cpus()), self.folder / "weights"
        listed = ",".join(map(str, cpus()))
        ort = (sys.executable, PEERS / "rnn_ort.py")
        sizes = (steps, batch, hidden, hidden, threads, self.folder / "x")
        self.add("ort float32", "float32", [*ort, self.folder / "float32.onnx", *sizes])
        if cell == "lstm":
            self.add("ort int8", "int8", [*ort, self.folder / "int8.onnx", *sizes])
        for p in PRECISIONS:
            self.add(f"ours {p}", p, [ours, cell, hidden, hidden, steps, batch, p, listed, weights,
                                      self.folder.parent / "cache"])
            if onednn:
                self.add(f"onednn {p}", p, [onednn, cell, hidden, hidden, steps, batch, p, threads,
                                            weights])

    def end(self):
        for worker in self.workers.values():
            worker.end()
        for path in self.folder.iterdir():
            path.unlink()


@contextlib.contextmanager
def layer(folder, shape, ours, onednn, avx2=None):
    made = Layer(folder, *shape, avx2)
    try:
        made.start(ours, onednn)
        yield made
    finally:
        made.end()


# ---- the bound ----

def read_seconds(levels, size, key):
    """How long a core reads `size` bytes once, again and again: as perseus rnn explore has it."""
    cost = [1e-9 / level[key] for level in levels]
    at = next((i for i, level in enumerate(levels) if level["bytes"] >= size), len(levels))
    if at in (0, len(levels)):
        return size * cost[min(at, len(levels) - 1)]
    low, high = levels[at - 1]["bytes"], levels[at]["bytes"]
    part = math.log(size / low) / math.log(high / low)
    return size * (cost[at - 1] + part * (cost[at] - cost[at - 1]))


def machine(cache, isa=None):
    """This CPU, measured now."""
    done = subprocess.run([programs.PERSEUS, "rnn", "machine", "--again", "--cache-dir", str(cache),
                           "--cpus", ",".join(map(str, cpus()))], check=True,
                          env={**os.environ, **({"PERSEUS_RNN_ISA": isa} if isa else {})},
                          stdout=subprocess.PIPE, text=True)
    return yaml.safe_load(done.stdout)


def slice_bytes(cell, hidden, precision):
    """What the thread with most of R reads in a step."""
    together, size = PRECISIONS[precision]
    blocks = math.ceil(math.ceil(hidden / 16) / len(cpus()))
    return blocks * 16 * GATES[cell] * math.ceil(hidden / together) * together * size


def bound_us(m, cell, hidden, steps, batch, precision):
    """R streamed once per step, a barrier per step, and x * W: W read once, or its products as fast as
    they are made when their weights are near."""
    rate = next(p for p in m["precisions"] if p["name"] == precision)
    size = slice_bytes(cell, hidden, precision)
    step = read_seconds(m["levels"], size, "alternating_gb_per_s")
    step += m["exchange_ns"] * 1e-9 if len(cpus()) > 1 else 0
    vectors = size / 64  # of 16 lanes, in any precision
    products = vectors * steps * batch * rate["rows_vector_ns"] * 1e-9
    once = read_seconds(m["levels"], 2 * size, "forward_gb_per_s") / 2
    return 1e6 * (steps * step + max(once, products))


def operations(cell, hidden, steps, batch):
    """(of h * R alone, as DeepBench counts; of x * W and h * R, as papers on spatial hardware do)"""
    one = 2 * GATES[cell] * hidden * hidden * steps * batch
    return one, 2 * one


# ---- rows ----

def geometric(values):
    return math.exp(statistics.fmean(math.log(v) for v in values))


class Results:
    """What all shapes gave: for each system and shape the medians of the blocks."""

    def __init__(self):
        self.medians = {}  # name -> {shape: [us per block]}
        self.tails = {}    # name -> {shape: us}: p99 over all runs of undisturbed blocks
        self.jitter = {}   # the same, of p99 / p50 over these runs
        self.bounds = {}   # (precision, shape) -> us
        self.absent = {}
        self.ready = {}    # shape -> (seconds to pack and tune) of ours in float32
        self.off = {}
        self.repeated = self.disturbed = 0

    def take(self, made, found, repeated, disturbed, m):
        self.repeated += repeated
        self.disturbed += disturbed
        self.absent.update(made.absent)
        for name, worker in made.workers.items():
            self.medians.setdefault(name, {})[made.shape] = found[name]
            self.off[name] = max(self.off.get(name, 0), worker.off)
            all_runs = sorted(x for block in worker.blocks for x in block)
            if len(all_runs) >= 100 and not disturbed:
                p99 = all_runs[math.ceil(0.99 * len(all_runs)) - 1]
                self.tails.setdefault(name, {})[made.shape] = p99
                self.jitter.setdefault(name, {})[made.shape] = p99 / statistics.median(all_runs)
        self.ready[made.shape] = sum(map(float, made.workers["ours float32"].ready[1:3]))
        for p in PRECISIONS:
            self.bounds[p, made.shape] = bound_us(m, *made.shape, p)

    def speedups(self, ours, peer, shapes=None):
        """Per block the geometric mean over shapes of peer / ours."""
        both = [s for s in self.medians.get(peer, {})
                if s in self.medians[ours] and (shapes is None or s in shapes)]
        if not both:
            return [], []
        blocks = min(len(self.medians[ours][s]) for s in both)
        means = [geometric([self.medians[peer][s][i] / self.medians[ours][s][i] for s in both])
                 for i in range(blocks)]
        return both, means

    def geometric_ms(self, name, shapes):
        return f"{geometric([statistics.median(self.medians[name][s]) for s in shapes]) / 1e3:.4g} ms"


def compare(results, label, ours, peer, at_least=None, wide_only=None):
    """The row of a speed-up over all shapes that both have. `wide_only`: a goal that was set for
    AVX-512 with VNNI, BF16 and AMX; without them the row shows the figure and says so."""
    shapes, means = results.speedups(ours, peer)
    if not shapes:
        figures.row(label, "", "", None, None, None, "", "shown",
                    f"{peer}: {results.absent.get(peer, 'not there')}")
        return
    middle, low, high = figures.log_interval(means)
    goal = wide_only if WIDE and wide_only else at_least
    notes = [f"{len(shapes)} shapes"]
    if wide_only and not WIDE:
        notes.append(f"the goal (>= {wide_only:g}) is for AVX-512 with VNNI, BF16 and AMX, which this"
                     " CPU does not have")
    steal = figures.steal_note(results.repeated, results.disturbed)
    figures.row(label, results.geometric_ms(ours, shapes), results.geometric_ms(peer, shapes), middle,
                low, high, f">= {goal:g}" if goal else "",
                figures.verdict(low, high, at_least=goal), "; ".join(n for n in [*notes, steal] if n))


def worst(results, label, ours, peer, wide_only):
    """The row of the shape that gains least."""
    shapes, _ = results.speedups(ours, peer)
    found = []
    for s in shapes:
        ratios = [p / o for p, o in zip(results.medians[peer][s], results.medians[ours][s])]
        found.append((*figures.log_interval(ratios), s))
    middle, low, high, s = min(found, key=lambda x: x[0])
    figures.row(label, results.geometric_ms(ours, [s]), results.geometric_ms(peer, [s]), middle, low,
                high, f">= {wide_only:g}" if WIDE else "",
                figures.verdict(low, high, at_least=wide_only if WIDE else None),
                f"{s[0]} {s[1]} x {s[2]}, batch {s[3]}"
                + ("" if WIDE else f"; the goal (>= {wide_only:g}) is for AVX-512"))


def jitter(results, whose, at_most=None):
    """The row of the layer whose p99 is furthest from its median."""
    found = [(v, n, s) for n, by_shape in results.jitter.items() if n.startswith(whose)
             for s, v in by_shape.items()]
    if not found:
        return
    v, name, s = max(found)
    far = "" if at_most is None else f"{sum(x[0] > at_most for x in found)} over the goal; "
    figures.row(f"rnn: p99 over p50, worst layer, {whose}", f"{results.tails[name][s] / 1e3:.4g} ms",
                f"{results.tails[name][s] / v / 1e3:.4g} ms", v, None, None,
                f"<= {at_most:g}" if at_most else "",
                "shown" if at_most is None else "met" if v <= at_most else "missed",
                f"{name.removeprefix(whose).strip()}, {s[0]} {s[1]} x {s[2]}, batch {s[3]}; {far}"
                f"{len(found)} layers and precisions with at least 100 runs in blocks without steal")


def bounds(results, label, precision, wanted, at_most):
    """The row of our time over the bound, for slices that `wanted` says yes to."""
    ours = results.medians[f"ours {precision}"]
    shapes = [s for s in ours if wanted(slice_bytes(s[0], s[1], precision))]
    if not shapes:
        return
    blocks = min(len(ours[s]) for s in shapes)
    means = [geometric([ours[s][i] / results.bounds[precision, s] for s in shapes])
             for i in range(blocks)]
    middle, low, high = figures.log_interval(means)
    figures.row(label, results.geometric_ms(f"ours {precision}", shapes),
                f"{geometric([results.bounds[precision, s] for s in shapes]) / 1e3:.4g} ms", middle,
                low, high, f"<= {at_most:g}", figures.verdict(low, high, at_most=at_most),
                f"{len(shapes)} shapes; bound: R read once per step, barriers, and x * W, as measured"
                " in this run")


# ---- table and chart ----

def tails_table(results):
    """p99 and median of what ran often enough for a p99."""
    names = sorted(results.tails)
    if not names:
        return []
    lines = ["", "p99 (median) in ms, of at least 100 runs in blocks without steal:", "",
             "| layer | batch | " + " | ".join(names) + " |", "|---|---|" + "---|" * len(names)]
    for s in sorted({s for by_shape in results.tails.values() for s in by_shape},
                    key=lambda s: (s[3], s[0], s[1], s[2])):
        cells = []
        for n in names:
            p99 = results.tails[n].get(s)
            cells.append(f"{p99 / 1e3:.4g} ({p99 / results.jitter[n][s] / 1e3:.4g})" if p99 else "")
        lines.append(f"| {s[0]} {s[1]} x {s[2]} | {s[3]} | " + " | ".join(cells) + " |")
    return lines


def write_table(results, path):
    names = sorted(results.medians)
    lines = ["| layer | batch | " + " | ".join(f"{n} (ms)" for n in names)
             + " | bound float32 (ms) | Gop/s of h R, ours float32 | Gop/s of x W and h R |",
             "|---|---|" + "---|" * (len(names) + 3)]
    for s in sorted(results.medians["ours float32"], key=lambda s: (s[3], s[0], s[1], s[2])):
        cells = []
        for n in names:
            found = results.medians[n].get(s)
            cells.append(f"{statistics.median(found) / 1e3:.4g}" if found else "")
        us = statistics.median(results.medians["ours float32"][s])
        recurrent, both = operations(*s)
        lines.append(f"| {s[0]} {s[1]} x {s[2]} | {s[3]} | " + " | ".join(cells)
                     + f" | {results.bounds['float32', s] / 1e3:.4g} | {recurrent / us / 1e3:.4g}"
                     f" | {both / us / 1e3:.4g} |")
    lines += tails_table(results)
    lines += ["", "Largest difference of an output from ONNX Runtime's in float32: "
              + ", ".join(f"{n} {results.off[n]:.2g}" for n in names)]
    lines += [f"{n}: {why}" for n, why in sorted(results.absent.items())]
    path.write_text("\n".join(lines) + "\n")


COLOURS = {"ours float32": "#0072b2", "ours bfloat16": "#d55e00", "ours int8": "#009e73",
           "ort int8": "#999999", "onednn float32": "#56b4e9", "onednn bfloat16": "#e69f00",
           "onednn int8": "#cc79a7"}


def write_chart(results, path):
    """Speed beside ONNX Runtime in float32, one line per layer, logarithmic."""
    shapes = sorted(results.medians["ours float32"], key=lambda s: (s[3], s[0], s[1], s[2]))
    points = [(i, n, statistics.median(results.medians["ort float32"][s])
               / statistics.median(results.medians[n][s]))
              for i, s in enumerate(shapes) for n in COLOURS if s in results.medians.get(n, {})]
    low = min(0.5, *(v for _, _, v in points)) * 0.9
    high = max(2, *(v for _, _, v in points)) * 1.1
    left, width, line = 170, 640, 24
    height = 90 + line * len(shapes)

    def x(v):
        return left + width * math.log(v / low) / math.log(high / low)

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 30}"'
           f' height="{height + 30}" font-family="sans-serif" font-size="12">',
           '<rect width="100%" height="100%" fill="#fff"/>',
           f'<text x="{left}" y="22" font-size="15">Speed beside ONNX Runtime in float32'
           f' (batch median, {len(cpus())} threads)</text>']
    for v in (0.25, 0.5, 1, 2, 4, 8, 16):
        if low < v < high:
            out.append(f'<path d="M{x(v):.1f} 44V{height - 30}" stroke="{"#333" if v == 1 else "#ddd"}"/>'
                       f'<text x="{x(v):.1f}" y="40" text-anchor="middle">{v:g}</text>')
    for i, s in enumerate(shapes):
        out.append(f'<text x="{left - 10}" y="{64 + line * i}" text-anchor="end">{s[0]} {s[1]} x {s[2]},'
                   f' batch {s[3]}</text>')
    for i, n, v in points:
        out.append(f'<circle cx="{x(v):.1f}" cy="{60 + line * i}" r="5" fill="{COLOURS[n]}">'
                   f'<title>{n}: {v:.2f}</title></circle>')
    shown = [n for n in COLOURS if n in results.medians]
    for i, n in enumerate(shown):
        at = 20 + i * (left + width) / len(shown)
        out.append(f'<circle cx="{at:.0f}" cy="{height + 8}" r="5" fill="{COLOURS[n]}"/>'
                   f'<text x="{at + 9:.0f}" y="{height + 12}">{n}</text>')
    path.write_text("\n".join(out) + "\n</svg>\n")


def measure(batches, blocks, shapes, avx2=None):
    """Every shape with every system, interleaved."""
    ours, onednn, results = build_ours(), build_onednn(), Results()
    folder = MADE / "rnn"
    for batch in batches:
        for cell, hidden, steps in shapes:
            shape = (cell, hidden, steps, batch)
            m = machine(folder / "cache", "avx2" if avx2 else None)
            with figures.part(f"rnn {cell} {hidden} x {steps}, batch {batch}"), \
                    layer(folder / "layer", shape, ours, onednn, avx2) as made:
                systems = {n: w.block for n, w in made.workers.items()}
                found, repeated, disturbed = figures.rounds(
                    systems, blocks, f"{cell} {hidden} x {steps}, batch {batch} (us)")
                results.take(made, found, repeated, disturbed, m)
    return results
