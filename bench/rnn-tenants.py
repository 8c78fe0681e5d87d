#!/usr/bin/env python3
# figure: two tenants on two recurrent models that together overflow a core's cache, with lanes chosen by it
# seconds: 240
"""Two tenants on a recurrent model of their own each, in int8, narrow runs on two lanes. Either model's
weights fit in a core's own cache, both together do not. Each tenant is a closed loop of one user. The
same load on a server that runs each model where its weights are (keep_caches, the default) and on one
that does not care; interleaved blocks. The figure is the median latency of both tenants' answers; the
generator has no CPU of its own on a machine of two, and disturbs both alike.
"""
import pathlib
import tempfile

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper

from lib import figures, scene

SECONDS, BLOCKS, STEPS = figures.seconds(4), figures.count(12), 8


def own_cache_bytes():
    size = pathlib.Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text().strip()
    return int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]


def hidden_for(cache):
    """An int8 LSTM with as many inputs as units has 8 H^2 bytes: two thirds of the cache."""
    return int((cache * 2 / 3 / 8) ** 0.5) // 16 * 16


def write(path, hidden, seed):
    rng = numpy.random.default_rng(seed)
    width = hidden ** -0.5
    stored = [numpy_helper.from_array(rng.uniform(-width, width, (1, 4 * hidden, hidden))
                                      .astype(numpy.float32), name) for name in "WR"]
    node = helper.make_node("LSTM", ["x", "W", "R"], ["", "h"], hidden_size=hidden)
    graph = helper.make_graph(
        [node], "lstm", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [STEPS, 1, hidden])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, [1, 1, hidden])], stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8), path)


def median(s, models, block):
    found = s.offer({t: {"model": m, "concurrency": 1} for t, m in models.items()}, SECONDS,
                    seed=block + 1)
    return figures.median([ms for t in models for ms in scene.latencies_ms(found[t][1])])


def main():
    hidden = hidden_for(own_cache_bytes())
    with tempfile.TemporaryDirectory() as folder:
        models = {}
        for n, name in enumerate(("one", "two")):
            path = pathlib.Path(folder) / f"{name}.onnx"
            write(path, hidden, n)
            models[name] = str(path)
        tenants, keys = {"a": {}, "b": {}}, {"model_keys": {"rnn": "int8"}}
        uses = {"a": "one", "b": "two"}
        with scene.scene(models, tenants, {"lanes": 2}, cpus="0-1", **keys) as keeps, \
                scene.scene(models, tenants, {"lanes": 2, "keep_caches": False}, cpus="0-1",
                            **keys) as any_:
            found, *disturbed = figures.rounds({
                "kept": lambda i: median(keeps, uses, i), "any": lambda i: median(any_, uses, i)},
                BLOCKS, "median (ms)")
    figures.ratio_row(
        f"two int8 LSTMs of {hidden} units, {STEPS} steps, lanes chosen by caches: median",
        figures.paired(found, "kept", "any", *disturbed), "ms", at_most=1,
        note=f"peer: keep_caches false; weights of each {8 * hidden ** 2 >> 10} KiB")


main()
