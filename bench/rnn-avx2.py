#!/usr/bin/env python3
# figure: recurrent layers at batch 1 with nothing wider than AVX2, beside ONNX Runtime and oneDNN so limited
# seconds: 210
# long: 15 layers in seven systems; the hour is full
"""As bench/rnn.py with AVX2 only: our kernels are chosen by PERSEUS_RNN_ISA, oneDNN's by its own variable,
and ONNX Runtime, which has none, is told by peers/avx2-only.c that the processor has no more.
"""
from lib import figures, rnn

BLOCKS = 10


def main():
    shapes = [s for s in rnn.SHAPES if s[1] <= 256] if figures.QUICK else rnn.SHAPES
    results = rnn.measure([1], BLOCKS, shapes, rnn.build_avx2_only())
    with figures.part("rnn-avx2: rows"):
        rnn.write_table(results, rnn.MADE / "rnn-avx2.md")
        for p in rnn.PRECISIONS:
            rnn.compare(results, f"rnn, AVX2: {p} against ONNX Runtime float32", f"ours {p}", "ort float32",
                        at_least=1)
            rnn.compare(results, f"rnn, AVX2: {p} against oneDNN {p}", f"ours {p}", f"onednn {p}")
        rnn.compare(results, "rnn, AVX2: int8 against ONNX Runtime's int8 LSTM", "ours int8", "ort int8")


main()
figures.finish()
