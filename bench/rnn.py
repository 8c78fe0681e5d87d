#!/usr/bin/env python3
# figure: recurrent layers at batch 1 beside ONNX Runtime, oneDNN and the machine's bound
# seconds: 210
# long: 15 layers in eight systems; the hour is full
"""Our engine for recurrent layers, in each precision, on the 15 shapes of DeepBench's inference set
(steps cut to 200, each counted once), batch 1, beside ONNX Runtime in float32 and with its own int8
LSTM (DynamicQuantizeLSTM), and Debian's oneDNN. All systems have all CPUs; see lib/rnn.py. Ratios are
speeds: the peer's time over ours, the geometric mean over the shapes that both have. Times hold x * W
and h * R; build/bench/rnn.md has every time, and operations per second counted as DeepBench does (of
h * R alone) and of both products; build/bench/rnn.svg is the chart.
"""
from lib import figures, rnn

BLOCKS = 10


def rows(results):
    for p, ort, dnn in (("float32", 1.2, 1.5), ("bfloat16", 2.5, 1.5), ("int8", 6, 1.5)):
        rnn.compare(results, f"rnn: {p} against ONNX Runtime float32", f"ours {p}", "ort float32",
                    at_least=1 if p == "float32" else None, wide_only=ort)
        rnn.compare(results, f"rnn: {p} against oneDNN {p}", f"ours {p}", f"onednn {p}",
                    wide_only=dnn)
        rnn.bounds(results, f"rnn: {p} over the bound, slices from 4 MiB", p,
                   lambda size: size >= 4 << 20, 1.2)
        rnn.bounds(results, f"rnn: {p} over the bound, slices up to 512 KiB", p,
                   lambda size: size <= 512 << 10, 2.0)
    rnn.compare(results, "rnn: int8 against ONNX Runtime's int8 LSTM", "ours int8", "ort int8",
                wide_only=2)
    rnn.worst(results, "rnn: float32 against ONNX Runtime float32, least", "ours float32",
              "ort float32", 0.97)
    rnn.jitter(results, "ours", 1.3)
    for peer in ("ort", "onednn"):
        rnn.jitter(results, peer)
    slowest = max(results.ready.values())
    figures.row("rnn: pack and tune, slowest layer", f"{slowest:.3g} s", "", None, None, None,
                "< 1 s", "met" if slowest < 1 else "missed",
                "float32; the first layer of a machine measures it, too")


def main():
    shapes = [s for s in rnn.SHAPES if s[1] <= 512] if figures.QUICK else rnn.SHAPES
    results = rnn.measure([1], BLOCKS, shapes)
    with figures.part("rnn: rows"):
        rnn.write_table(results, rnn.MADE / "rnn.md")
        rnn.write_chart(results, rnn.MADE / "rnn.svg")
        rows(results)


main()
figures.finish()
