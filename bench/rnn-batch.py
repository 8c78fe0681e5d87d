#!/usr/bin/env python3
# figure: all 15 recurrent layers at batch 1, 2 and 4 beside ONNX Runtime and oneDNN
# seconds: 700
# long: three batches of 15 layers in eight systems
"""As bench/rnn.py, at batch 1, 2 and 4: speed beside ONNX Runtime and oneDNN at each batch, and what
batch 4 costs beside batch 1 where the weights come from the third cache or memory (a slice of 4 MiB
and more).
"""
import statistics

from lib import figures, rnn

BLOCKS, BATCHES = 10, (1, 2, 4)


def only(results, batch):
    some = rnn.Results()
    some.absent, some.repeated, some.disturbed = (results.absent, results.repeated,
                                                  results.disturbed)
    for name, found in results.medians.items():
        some.medians[name] = {s: v for s, v in found.items() if s[3] == batch}
    return some


def four_beside_one(results, precision):
    ours = results.medians[f"ours {precision}"]
    pairs = [(s, (*s[:3], 4)) for s in ours if s[3] == 1 and (*s[:3], 4) in ours
             and rnn.slice_bytes(s[0], s[1], precision) >= 4 << 20]
    if not pairs:
        return
    ratios = [rnn.geometric([ours[b][i] / ours[a][i] for a, b in pairs])
              for i in range(min(len(ours[a]) for a, _ in pairs))]
    middle, low, high = figures.log_interval(ratios)
    figures.row(f"rnn: {precision}, batch 4 over batch 1",
                f"{rnn.geometric([statistics.median(ours[b]) for _, b in pairs]) / 1e3:.4g} ms",
                f"{rnn.geometric([statistics.median(ours[a]) for a, _ in pairs]) / 1e3:.4g} ms",
                middle, low, high, "<= 1.5", figures.verdict(low, high, at_most=1.5),
                f"{len(pairs)} layers with slices from 4 MiB")


def main():
    shapes = [s for s in rnn.SHAPES if s[1] <= 256] if figures.QUICK else rnn.SHAPES
    results = rnn.measure(BATCHES, BLOCKS, shapes)
    with figures.part("rnn: rows"):
        rnn.write_table(results, rnn.MADE / "rnn-batch.md")
        rnn.write_chart(results, rnn.MADE / "rnn-batch.svg")
        for batch in BATCHES:
            some = only(results, batch)
            for p in rnn.PRECISIONS:
                rnn.compare(some, f"rnn: {p} against ONNX Runtime float32, batch {batch}",
                            f"ours {p}", "ort float32")
                rnn.compare(some, f"rnn: {p} against oneDNN {p}, batch {batch}", f"ours {p}",
                            f"onednn {p}")
        for p in rnn.PRECISIONS:
            four_beside_one(results, p)


main()
figures.finish()
