"""What is asked of every network of the zoo, checked with the official tools.

check(case, name, directory) writes the network, has the ONNX checker accept it with full shape
inference, counts parameters and multiply-accumulates from the inferred shapes (not by our code),
and runs it in ONNX Runtime on eight random inputs with every layer's output exposed.
"""
import itertools
import os

import numpy as np
import onnx
import onnxruntime

from support import perseus

# Parameters as published, batch-norm scale and shift counted; multiply-accumulates in 1e9.
PUBLISHED = {
    "alexnet": (61100840, 0.714), "vgg16": (138357544, 15.47), "googlenet": (6624904, 1.498),
    "inception_v3": (23834568, 5.713), "resnet18": (11689512, 1.814),
    "resnet50": (25557032, 4.089), "resnet152": (60192808, 11.514),
    "densenet121": (7978856, 2.834), "squeezenet1_1": (1235496, 0.349),
    "mobilenet_v1": (4231976, 0.569), "mobilenet_v2": (3504872, 0.301),
    "efficientnet_b0": (5288548, 0.386),
}
CELLS = [f"lstm_{n}" for n in (256, 512, 1024, 1536, 2048)] + \
        [f"gru_{n}" for n in (512, 1024, 1536, 2048, 2560, 2816)]

INPUTS = 8
STEPS = 12
LEAST_NORMAL = np.finfo(np.float32).tiny


def shapes_of(model):
    """Name -> dimensions of every value and initialiser; a dynamic dimension counts as 1."""
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    shapes = {}
    for v in [*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output]:
        dims = v.type.tensor_type.shape.dim
        shapes[v.name] = [d.dim_value if d.HasField("dim_value") else 1 for d in dims]
    for t in model.graph.initializer:
        shapes[t.name] = list(t.dims)
    return shapes


def count(model):
    """(parameters, multiply-accumulates) for one item and one step."""
    shapes = shapes_of(model)
    statistics = {name for n in model.graph.node if n.op_type == "BatchNormalization"
                  for name in n.input[3:5]}
    parameters = sum(int(np.prod(t.dims)) for t in model.graph.initializer
                     if t.data_type == onnx.TensorProto.FLOAT and t.dims
                     and t.name not in statistics)
    macs = 0
    for n in model.graph.node:
        if n.op_type == "Conv":
            macs += np.prod(shapes[n.output[0]]) * np.prod(shapes[n.input[1]][1:])
        elif n.op_type == "Gemm":
            macs += np.prod(shapes[n.input[1]])
        elif n.op_type in ("LSTM", "GRU"):
            macs += np.prod(shapes[n.input[1]]) + np.prod(shapes[n.input[2]])
    return parameters, int(macs)


def session(model, optimise):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model if isinstance(model, str) else
                                        model.SerializeToString(), options,
                                        providers=["CPUExecutionProvider"])


def exposed(model):
    """A copy whose outputs are all values, and their names."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    names = [o for n in copy.graph.node for o in n.output]
    del copy.graph.output[:]
    for name in names:
        copy.graph.output.add().name = name
    return copy, names


def random_inputs(shape, kind):
    """Eight inputs along the batch axis: normal, or uniform in 0 to 1 as images are."""
    rng = np.random.default_rng(7)
    if len(shape) == 3:
        full, axis = [STEPS, INPUTS, shape[2]], 1
    else:
        full, axis = [INPUTS, *shape[1:]], 0
    x = rng.standard_normal(full) if kind == "normal" else rng.random(full)
    return np.split(x.astype(np.float32), INPUTS, axis)


def check_alive(case, name, final, every, kind):
    """Values keep their size in every layer; different inputs give different answers."""
    layers = {n: [0, 0.0, 0.0] for n in every.names}
    answers, denormals = [], 0
    for x in random_inputs(every.shape, kind):
        for layer, y in zip(every.names, every.run(None, {"input": x})):
            case.assertTrue(np.isfinite(y).all(), f"{name}: {layer} is not finite")
            denormals += int(((np.abs(y) < LEAST_NORMAL) & (y != 0)).sum())
            sums = layers[layer]
            sums[0] += y.size
            sums[1] += float(y.sum(dtype=np.float64))
            sums[2] += float(np.square(y, dtype=np.float64).sum())
            if layer == "output":
                answers.append(y.ravel().astype(np.float64))
        reference = final.run(None, {"input": x})[0].ravel()
        error = np.linalg.norm(reference - answers[-1]) / np.linalg.norm(answers[-1])
        case.assertLess(error, 1e-4, f"{name}: optimised and plain answers differ")
    case.assertEqual(denormals, 0, f"{name}: denormal values")
    variances = {n: s[2] / s[0] - (s[1] / s[0]) ** 2 for n, s in layers.items()}
    low, high = min(variances, key=variances.get), max(variances, key=variances.get)
    case.assertGreaterEqual(variances[low], 1e-3, f"{name}: {low} dies on {kind} inputs")
    case.assertLessEqual(variances[high], 1e3, f"{name}: {high} explodes on {kind} inputs")
    apart = min(np.linalg.norm(a - b) / np.linalg.norm(a)
                for a, b in itertools.combinations(answers, 2))
    case.assertGreater(apart, 1e-3, f"{name}: answers to different {kind} inputs are alike")
    print(f"{name} {kind}: least relative difference {apart:.4f}, layer variances "
          f"{variances[low]:.4f} ({low}) to {variances[high]:.2f} ({high})", flush=True)


def check(case, name, directory):
    written = perseus.run("zoo", "write", name, "--dir", directory)
    case.assertEqual(written.returncode, 0, written.stderr)
    path = os.path.join(directory, name + ".onnx")
    try:
        check_file(case, name, path)
    finally:
        os.unlink(path)


def check_file(case, name, path):
    onnx.checker.check_model(path, full_check=True)
    model = onnx.load(path)
    parameters, macs = count(model)
    if name in PUBLISHED:
        case.assertEqual(parameters, PUBLISHED[name][0], name)
        case.assertAlmostEqual(macs / 1e9 / PUBLISHED[name][1], 1, delta=0.02, msg=name)
    else:
        gates, hidden = 4 if name.startswith("lstm") else 3, int(name.split("_")[1])
        case.assertEqual(macs, gates * 2 * hidden * hidden, name)
    for t in model.graph.initializer:
        if t.data_type == onnx.TensorProto.FLOAT:
            w = np.frombuffer(t.raw_data, np.float32)
            case.assertFalse(((np.abs(w) < LEAST_NORMAL) & (w != 0)).any(), t.name)
    final = session(path, optimise=True)
    copy, names = exposed(model)
    every = session(copy, optimise=False)
    every.names, every.shape = names, final.get_inputs()[0].shape
    del copy, model
    for kind in ("normal", "uniform"):
        check_alive(case, name, final, every, kind)
