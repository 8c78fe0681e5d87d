"""Starts the program for end-to-end tests. No sleeps: a server says by a descriptor that it is ready.

    with Server(models={"echo": synthetic(mean="1ms")}) as s:
        requests to s.url ...
    # leaving the block: SIGTERM, and the exit code must be 0
"""
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

import yaml

PERSEUS = os.environ["PERSEUS"]
SANITIZED = bool(os.environ.get("PS_SANITIZED"))
START_SECONDS = 120 if SANITIZED else 60
STOP_SECONDS = 120 if SANITIZED else 60


ORT_LIBRARY = os.environ.get("PERSEUS_ORT_LIBRARY") or os.path.join(
    os.environ.get("PS_SOURCE_DIR", ""), ".cache/onnxruntime/libonnxruntime.so")


def needs_onnxruntime(what):
    """Decorator of a test or a class: skipped where ONNX Runtime was not fetched, unless
    PS_REQUIRE_ORT says that it must be there."""
    if os.environ.get("PS_SANITIZED") == "thread":
        return unittest.skip("ONNX Runtime is not instrumented for ThreadSanitizer")(what)
    missing = not os.path.exists(ORT_LIBRARY)
    if missing and os.environ.get("PS_REQUIRE_ORT") == "1":
        raise RuntimeError(f"PS_REQUIRE_ORT is 1, but there is no ONNX Runtime at {ORT_LIBRARY}")
    return unittest.skipIf(missing, f"no ONNX Runtime at {ORT_LIBRARY}; run `make setup`")(what)


def until(check, seconds=30):
    """What `check` gives once it is true. Polls: for what shows nowhere but in answers and files."""
    end = time.monotonic() + seconds
    while True:
        found = check()
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError("it did not come to that in time")
        time.sleep(0.005)


def awake(seconds):
    """Waits so long, but for what a machine that stalls takes of it: that ends one short sleep."""
    for _ in range(round(seconds / 0.01)):
        time.sleep(0.01)


def sum_of(text, name, **labels):
    """Of a page of metrics: the sum over the series of that name that have these labels."""
    total = 0
    for line in text.splitlines():
        m = re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line)
        if m and all(f'{k}="{v}"' in (m[1] or "") for k, v in labels.items()):
            total += float(m[2])
    return total


class StartError(Exception):
    """The server did not start: message, its exit code and what it said."""

    def __init__(self, message, code, stderr):
        super().__init__(f"{message} (exit code {code})\n{stderr}")
        self.message, self.code, self.stderr = message, code, stderr


def tensor(name, datatype="FP32", shape=(-1, 4)):
    return {"name": name, "datatype": datatype, "shape": list(shape)}


def synthetic(inputs=None, outputs=None, mean="1ms", service="fixed", mode="sleep", **more):
    """A synthetic model as a dictionary; keyword arguments are the keys of its file."""
    spec = {"inputs": inputs or [tensor("x")], "outputs": outputs or [tensor("y")],
            "service": service, "mode": mode}
    if service != "recorded":
        spec["mean"] = mean
    spec.update(more)
    return spec


def run(*args, timeout=120, **more):
    """Runs `perseus ARGS` to its end; text in and out."""
    return subprocess.run([PERSEUS, *map(str, args)], capture_output=True, text=True,
                          timeout=timeout, **more)


def new_key():
    """A fresh API key and the digest that a configuration wants."""
    lines = dict(line.split(":", 1) for line in run("serve", "--new-key").stdout.splitlines())
    return lines["key"].strip(), lines["digest"].strip()


class Server:
    """`perseus serve` as a process of its own.

    models: name -> synthetic(...), or the path of a model file (linked into the folder).
    tenants: list of dictionaries for the configuration; config: further keys of it.
    model_keys: further keys of every model. args: further arguments;
    program: in place of PERSEUS; user: number of the user to run as; stderr_fd: where stderr goes
    in place of a file. Attributes once started: url ("127.0.0.1:PORT"), http
    ("http://127.0.0.1:PORT"), ready (the line of --ready-fd), process, dir.
    """

    def __init__(self, models=None, tenants=None, config=None, args=(), env=None, listen="127.0.0.1:0",
                 program=PERSEUS, model_keys=None, user=None, stderr_fd=None):
        self.stderr_fd = stderr_fd
        self.program, self.model_keys, self.user = program, model_keys or {}, user
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="perseus-test-"))
        self.code = None
        if user is not None:
            self.dir.chmod(0o755)
        try:
            self._start(models or {}, tenants, config, args, env, listen)
        except BaseException:
            self._clean()
            raise

    def _write(self, models, tenants, config):
        rows = []
        for name, what in models.items():
            if isinstance(what, dict):
                path = self.dir / f"{name}.synthetic.yaml"
                path.write_text(yaml.safe_dump(what, sort_keys=False))
            else:
                what = pathlib.Path(what).resolve()
                path = self.dir / (name + what.name[what.name.index("."):])
                path.symlink_to(what)
            rows.append({"name": name, "path": path.name, **self.model_keys})
        whole = {"grpc": "127.0.0.1:0", "metrics": "127.0.0.1:0"}  # several run at a time
        if rows:
            whole["models"] = rows
        if tenants is not None:
            whole["tenants"] = tenants
        whole.update(config or {})
        path = self.dir / "serve.yaml"
        path.write_text(yaml.safe_dump(whole, sort_keys=False))
        return path

    def _start(self, models, tenants, config, args, env, listen):
        path = self._write(models, tenants, config)
        self.stderr_path = self.dir / "stderr"
        read_fd, write_fd = os.pipe()
        with open(self.stderr_path, "wb") as err:
            self.process = subprocess.Popen(
                [self.program, "serve", "--config", str(path), "--listen", listen, "--ready-fd",
                 str(write_fd), *map(str, args)],
                stdout=subprocess.PIPE,
                stderr=err if self.stderr_fd is None else self.stderr_fd, pass_fds=[write_fd], user=self.user,
                env={**os.environ, **(env or {})})
        os.close(write_fd)
        try:
            line = self._read_ready(read_fd)
        finally:
            os.close(read_fd)
        self.ready = json.loads(line) if line else {"error": "no ready line"}
        if "error" in self.ready:
            code = self.process.wait(timeout=STOP_SECONDS)
            raise StartError(self.ready["error"], code, self.stderr)
        self.url = self.ready["http"]
        self.http = "http://" + self.url
        if not self.url.startswith("unix:"):
            host, port = self.url.rsplit(":", 1)
            self.address = (host.strip("[]"), int(port))

    def _read_ready(self, fd):
        data, end = b"", time.monotonic() + START_SECONDS
        while True:
            left = end - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise StartError("not ready in time", None, self.stderr)
            piece = os.read(fd, 65536)
            if not piece:
                return data
            data += piece

    @property
    def stderr(self):
        return self.stderr_path.read_text(errors="replace") if self.stderr_path.exists() else ""

    def get(self, path, method="GET", body=None, headers=None, timeout=30):
        """(status, headers, body bytes) of one request."""
        request = urllib.request.Request(self.http + path, data=body, method=method,
                                         headers=headers or {})
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as e:
            with e:
                return e.code, e.headers, e.read()

    def metric(self, name, key=None, **labels):
        """The sum of a metric's values with these labels; `key`: of the operator, where one is asked
        for. 0: there is none yet."""
        request = urllib.request.Request("http://" + self.ready["metrics"] + "/metrics",
                                         headers={"Authorization": f"Bearer {key}"} if key else {})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return sum_of(answer.read().decode(), name, **labels)

    def infer(self, model, inputs, headers=None, timeout=30, **more):
        """JSON inference: (status, headers, decoded body)."""
        body = json.dumps({"inputs": inputs, **more}).encode()
        status, head, data = self.get(f"/v2/models/{model}/infer", "POST", body,
                                      {"Content-Type": "application/json", **(headers or {})},
                                      timeout)
        return status, head, json.loads(data)

    def stop(self, signo=signal.SIGTERM):
        """Sends the signal and returns the exit code."""
        if self.code is None:
            self.process.send_signal(signo)
            self.code = self.process.wait(timeout=STOP_SECONDS)
        return self.code

    def _clean(self):
        process = getattr(self, "process", None)
        if process:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()
        self.stderr_at_end = self.stderr if hasattr(self, "stderr_path") else ""
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        try:
            code = self.stop()
            if code != 0 and kind is None:
                raise AssertionError(f"perseus serve ended with {code}\n{self.stderr}")
        finally:
            self._clean()
