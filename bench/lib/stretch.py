"""Blocks of a figure that takes longer than one sitting.

    blocks = stretch.Blocks("cache-server", 10, setting)
    for number in blocks.left():
        blocks.keep(measure(number))
    ... rows of blocks.found ...

Every block that is through lies in build/bench/NAME.blocks.json. With PS_BENCH_STRETCH_S a run goes on
from there and begins no block that would not end within so many seconds (but one); without it, it
begins anew. Blocks of another program, setting or machine are dropped: they are another figure's. Rows
of a figure with blocks left are "unfinished" (figures.UNFINISHED), whatever they say.
"""
import hashlib
import json
import os
import pathlib
import time

from . import figures, programs

STRETCH_S = float(os.environ.get("PS_BENCH_STRETCH_S", 0))


def key_of(setting):
    """What blocks must have in common to be blocks of one figure."""
    program = hashlib.sha256(pathlib.Path(programs.PERSEUS).read_bytes()).hexdigest()
    whole = [setting, program, os.uname().release, os.cpu_count()]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


class Blocks:
    def __init__(self, name, count, setting, folder=None, clock=time.monotonic, stretch_s=None):
        self.count, self.clock, self.found = count, clock, []
        self.stretch_s = STRETCH_S if stretch_s is None else stretch_s
        self.key = key_of(setting)
        self.path = pathlib.Path(folder or programs.ROOT / "build/bench") / f"{name}.blocks.json"
        if figures.QUICK:
            self.path, self.stretch_s = None, 0
        if self.path and self.stretch_s > 0:
            self.found = self.kept()
        self.begin, self.longest_s = clock(), 0

    def kept(self):
        try:
            text = json.loads(self.path.read_text())
            return text["blocks"][:self.count] if text["key"] == self.key else []
        except (OSError, ValueError, KeyError, TypeError):
            return []

    def left(self):
        """The numbers of the blocks of this run, from 0; each must be kept before the next one."""
        first = len(self.found)
        while len(self.found) < self.count:
            began = self.clock()
            spent = began - self.begin
            if self.stretch_s > 0 and len(self.found) > first and \
                    spent + self.longest_s > self.stretch_s:
                break
            yield len(self.found)
            self.longest_s = max(self.longest_s, self.clock() - began)
        figures.UNFINISHED = None if self.done else \
            f"{len(self.found)} of {self.count} blocks; the next run with PS_BENCH_STRETCH_S goes on"

    def keep(self, block):
        self.found.append(block)
        if not self.path:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"key": self.key, "blocks": self.found}))
        temporary.replace(self.path)

    @property
    def done(self):
        return len(self.found) >= self.count
