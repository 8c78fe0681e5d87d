#!/usr/bin/env python3
# figure: a tenant's p99 while never-seen 100 MB models are loaded and unloaded in a loop
# seconds: 330
"""Load isolation. Tenant A offers 30 requests/s to a model of 10 ms (spinning) in one lane on CPU 0;
the generator is on CPU 1. The peer: nothing else happens. Ours: an operator loads and unloads
ResNet-50 files of 98 MB in a loop, each with contents that the server has never seen (the producer's
name in the file differs), so that each is hashed, converted and opened anew. Load and unload go
through the repository API; every load must succeed and at least one must end inside each block.
"""
import http.client
import os
import pathlib
import tempfile
import threading

import onnx

from lib import figures, programs, scene

SECONDS, BLOCKS, RATE = 12, 10, 30
MODELS = {"m": programs.synthetic(mean="10ms", mode="spin")}


class Loader:
    """Makes models that were never seen and has them loaded and unloaded until stopped."""

    def __init__(self, server, key, folder, source):
        self.server, self.key, self.folder = server, key, pathlib.Path(folder)
        self.model = onnx.load(source)
        self.made = self.loaded = 0
        self.stop = threading.Event()

    def make(self):
        self.made += 1
        self.model.producer_name = f"never-seen-{os.getpid()}-{self.made}"
        onnx.save(self.model, self.folder / "fresh.tmp")
        os.replace(self.folder / "fresh.tmp", self.folder / "fresh.onnx")

    def call(self, what):
        c = http.client.HTTPConnection(*self.server.address, timeout=120)
        c.request("POST", f"/v2/repository/models/fresh/{what}", b"{}",
                  {"Authorization": f"Bearer {self.key}"})
        answer = c.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{what} answers {answer.status}: {body[:300]}")
        c.close()

    def run(self):
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


def p99(s, seed):
    rows = s.offer({"a": {"model": "m", "rate": RATE}}, SECONDS, seed=seed)["a"][1]
    ok, refused, other = scene.counts(rows)
    if refused or other:
        raise RuntimeError(f"{refused + other} of {len(rows)} requests were lost")
    return scene.quantile(scene.latencies_ms(rows), 0.99)


def main():
    seeds = iter(range(1, 1000))
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
            loader = Loader(s.server, admin, repository, repository / "fresh.onnx")

            def with_loads():
                loader.make()
                with loader:
                    value = p99(s, next(seeds))
                if loader.loaded == 0:
                    raise RuntimeError("no load ended inside a block")
                figures.say(f"    {loader.loaded} loads")
                return value

            r = figures.interleave(with_loads, lambda: p99(s, next(seeds)), BLOCKS, "p99 (ms)")
    figures.ratio_row("p99 while models of 98 MB are loaded and unloaded", r, "ms", at_most=1.3,
                      note="peer: the same load alone")


main()
