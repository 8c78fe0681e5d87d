#!/usr/bin/env python3
# figure: 1,000 floats in JSON: our parser beside jansson and a strtof loop on the same text
# seconds: 40
"""What JSON costs a server. An infer request with one tensor of 1,000 floats is parsed over and over
by one program on one CPU: by the server's own parser (copying the text first, since it writes to
it, and with its arena), by jansson (which builds a node per number), and by strtof in a loop over
the numbers alone. Twice: floats with the nine digits that they need, and with the seventeen that
Python writes for them. The program fails when the three do not give the same bits.
"""
import os
import pathlib
import subprocess

from lib import figures, programs

SECONDS, BLOCKS = 0.4, 10
SOURCE = pathlib.Path(__file__).resolve().parent / "peers/json-floats.c"
MADE = programs.ROOT / "build/bench"
PEERS = (("jansson", 0.2), ("strtof", 0.5))
TEXTS = ((9, "9 digits"), (17, "17 digits, as Python writes"))


def build():
    libraries = pathlib.Path(os.path.realpath(programs.PERSEUS)).parent / "src"
    program = MADE / "json-floats"
    MADE.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", f"-I{programs.ROOT}/src", SOURCE,
                    "-o", program, *(libraries / m / f"libps_{m}.a" for m in
                                     ("oip", "model", "base")),
                    "-ljansson", "-lprotobuf-c", "-lpthread", "-lm"], check=True)
    return program


def microseconds(program, who, digits):
    done = subprocess.run(["taskset", "-c", str(programs.SERVER_CPU), program, who, str(digits),
                           str(SECONDS)], check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def main():
    program = build()
    for digits, text in TEXTS:
        for peer, goal in PEERS:
            r = figures.interleave(lambda d=digits: microseconds(program, "ours", d),
                                   lambda d=digits, p=peer: microseconds(program, p, d),
                                   BLOCKS, f"{peer}, {text} (us)")
            figures.ratio_row(f"serve: JSON tensor of 1,000 floats, {text}, against {peer}", r, "us",
                              at_most=goal)


main()
