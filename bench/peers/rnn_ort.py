"""ONNX Runtime on one recurrent layer, for bench/rnn.py; same lines in and out as rnn-ours.c.

    rnn_ort.py MODEL.onnx STEPS BATCH INPUTS HIDDEN THREADS X

X: a file of float32 [steps][batch][inputs]. The session has so many threads and is else as it is when
nobody sets anything; input and output are bound once, so that a run copies neither. Where LD_PRELOAD
names avx2-only.so, it must work: numpy asks the processor in the same way, and must not see AVX-512.
"""
import os
import sys
import time

import numpy
import onnxruntime


def main():
    model, (steps, batch, inputs, hidden, threads) = sys.argv[1], map(int, sys.argv[2:7])
    if "avx2-only" in os.environ.get("LD_PRELOAD", ""):
        from numpy._core._multiarray_umath import __cpu_features__
        if __cpu_features__["AVX512F"]:
            sys.exit(3)
    x = numpy.fromfile(sys.argv[7], numpy.float32).reshape(steps, batch, inputs)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    y = numpy.zeros((steps, 1, batch, hidden), numpy.float32)
    binding = session.io_binding()
    binding.bind_cpu_input("x", x)
    binding.bind_output("y", "cpu", 0, numpy.float32, y.shape, y.ctypes.data)
    session.run_with_iobinding(binding)
    print("ready 0 0 onnxruntime", threads, flush=True)
    for line in sys.stdin:
        what, argument = line.split(maxsplit=1)
        if what == "run":
            took = []
            for _ in range(int(argument)):
                begin = time.perf_counter_ns()
                session.run_with_iobinding(binding)
                took.append((time.perf_counter_ns() - begin) / 1e3)
            print(*took, flush=True)
        elif what == "output":
            y.tofile(argument.strip())
            print("written", flush=True)


main()
