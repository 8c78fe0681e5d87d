#!/usr/bin/env python3
# figure: a tenant's p99 while never-seen 100 MB models are loaded and unloaded in a loop
# seconds: 210
"""Load isolation. Tenant A offers 30 requests/s to a model of 10 ms (spinning) in one lane on CPU 0;
the generator is on CPU 1. The peer: nothing else happens. Ours: an operator loads and unloads
ResNet-50 files of 98 MB in a loop, each with contents that the server has never seen (the producer's
name in the file differs), so that each is hashed, converted and opened anew. Load and unload go
through the repository API; every load must succeed and at least one must end inside each block.
"""
import http.client
import os
import pathlib
import shutil
import tempfile
import threading

import onnx

from lib import figures, programs, scene

SECONDS, BLOCKS, RATE = figures.count(8, 4), 10, 30
MODELS = {"m": programs.synthetic(mean="10ms", mode="spin")}


SERIAL = "never-seen-%010d"


class Loader:
    """Makes models that were never seen and has them loaded and unloaded until stopped. A new one is
    a copy of the file with another number in its producer's name: cheap, and on the generator's
    CPU, so that what is measured is the server's work."""

    def __init__(self, server, key, source):
        self.server, self.key, self.source = server, key, pathlib.Path(source)
        model = onnx.load(source)
        model.producer_name = SERIAL % 0
        onnx.save(model, source)
        self.at = self.source.read_bytes().index((SERIAL % 0).encode())
        self.made = self.loaded = 0
        self.stop = threading.Event()

    def make(self):
        self.made += 1
        fresh = self.source.with_suffix(".tmp")
        shutil.copyfile(self.source, fresh)
        with open(fresh, "r+b") as f:
            f.seek(self.at)
            f.write((SERIAL % self.made).encode())
        os.replace(fresh, self.source)

    def call(self, what, model="fresh"):
        c = http.client.HTTPConnection(*self.server.address, timeout=120)
        c.request("POST", f"/v2/repository/models/{model}/{what}", b"{}",
                  {"Authorization": f"Bearer {self.key}"})
        answer = c.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{what} answers {answer.status}: {body[:300]}")
        c.close()

    def run(self):
        os.sched_setaffinity(0, {programs.LOAD_CPU})  # of this thread
        try:
            while not self.stop.is_set():
                self.call("load")
                self.loaded += 1
                self.call("unload")
                self.make()
        except BaseException as e:  # told by whoever joins
            self.failure = e

    def __enter__(self):
        self.failure, self.loaded = None, 0
        self.stop.clear()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        if self.failure:
            raise self.failure


def p99(s, block):
    return scene.p99(s.offer({"a": {"model": "m", "rate": RATE, "check_repeats": True}}, SECONDS,
                             seed=block + 1)["a"][1])


def main():
    with tempfile.TemporaryDirectory() as folder:
        _, _, code = programs.timed([programs.PERSEUS, "zoo", "write", "resnet50", "--dir", folder])
        if code != 0:
            raise RuntimeError(f"perseus zoo ended with {code}")
        repository = pathlib.Path(folder, "repository")
        repository.mkdir()
        admin, digest = programs.new_key()
        config = {"lanes": 1, "model_repository": [str(repository)], "load": "none",
                  "admin_keys": [digest]}
        os.rename(pathlib.Path(folder, "resnet50.onnx"), repository / "fresh.onnx")
        with scene.scene(MODELS, {"a": {}}, config) as s:
            loader = Loader(s.server, admin, repository / "fresh.onnx")
            loader.call("load", "m")

            def with_loads(block):
                loader.make()
                with loader:
                    value = p99(s, block)
                if loader.loaded == 0:
                    raise RuntimeError("no load ended inside a block")
                figures.say(f"    {loader.loaded} loads")
                return value

            found, *disturbed = figures.rounds({"loading": with_loads, "alone": lambda i: p99(s, i)},
                                               BLOCKS, "p99 (ms)")
    figures.ratio_row("serve: p99 while models of 98 MB are loaded and unloaded",
                      figures.paired(found, "loading", "alone", *disturbed), "ms", at_most=1.3,
                      note="peer: the same load alone")


main()
