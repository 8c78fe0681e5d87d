"""A server with a budget of memory for its models."""
import itertools
import json
import signal

import yaml

from support.perseus import Server, synthetic, until

X = [{"name": "x", "datatype": "FP32", "shape": [1, 4], "data": [1, 2, 3, 4]}]
seeds = itertools.count()


def held(mib, **more):
    """A model that holds so much, and has a content of its own."""
    return synthetic(memory=f"{mib}MiB", seed=next(seeds), **more)


class Budget(Server):
    """A server with a budget; m0.synthetic.yaml and so on lie in its folder. key: the operator's."""
    key = None

    def __init__(self, models, memory, config=None, **more):
        super().__init__(models=models, **more,
                         config={"model_memory": memory, "min_residency": 0,
                                 "memory_policy": "lru", **(config or {})})

    def ask(self, model, **more):
        status, head, body = self.infer(model, X, **more)
        return status, head, body

    def index(self):
        rows = json.loads(self.get("/v2/repository/index", "POST", b"")[2])
        return {r["name"]: r for r in rows}

    def where(self, *names):
        index = self.index()
        return [index[n]["residency"] for n in names]

    def metric(self, name, **labels):
        return super().metric(name, self.key, **labels)

    def rewrite(self, **changes):
        path = self.dir / "serve.yaml"
        config = {**yaml.safe_load(path.read_text()), **changes}
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        generation = self.metric("perseus_config_generation")
        self.process.send_signal(signal.SIGHUP)
        until(lambda: self.metric("perseus_config_generation") > generation)
