"""The peers of the serve figures, each a process of its own pinned to SERVER_CPU, and the
closed-loop clients wrk and h2load pinned to LOAD_CPU. All listen on ports that the system gives.

`scripts/setup bench` installs what is used here.
"""
import contextlib
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from . import programs

ROOT = programs.ROOT
SOURCE = pathlib.Path(__file__).resolve().parents[1] / "peers"
MADE = ROOT / "build/bench"


def need(*commands):
    missing = [c for c in commands if not shutil.which(c)]
    if missing:
        sys.exit(f"{', '.join(missing)} not found: run scripts/setup bench")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pids):
    """CPU time of processes so far, in seconds: by their CPU clocks, which count nanoseconds and threads
    that have ended (the ticks in /proc are 10 ms, too coarse for a short block)."""
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in pids)  # as clock_getcpuclockid(3) makes it


def resident_bytes(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"VmRSS:\s+(\d+) kB", f.read()).group(1)) * 1024


def wait_listening(port, process, seconds=10):
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.01)
    raise RuntimeError(f"{process.args[0]} does not listen on port {port}")


def pinned(args, cpu=programs.SERVER_CPU, **more):
    return subprocess.Popen(["taskset", "-c", str(cpu), *map(str, args)], **more)


@contextlib.contextmanager
def running(process):
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


NGINX = """worker_processes 1;
daemon off;
pid {d}/pid;
error_log {d}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  keepalive_requests 100000000;
  client_body_buffer_size 16k;
  client_body_temp_path {d}/body;
  proxy_temp_path {d}/proxy;
  fastcgi_temp_path {d}/fastcgi;
  uwsgi_temp_path {d}/uwsgi;
  scgi_temp_path {d}/scgi;
  server {{
    listen 127.0.0.1:{port};
    {more}
    location / {{ default_type application/octet-stream; return 200 "{text}"; }}
  }}
}}
"""


@contextlib.contextmanager
def nginx(folder, answer_bytes=1024, more=""):
    """nginx with one worker that answers everything with `answer_bytes`, but for what `more`
    (location blocks) says: (URL, pids)."""
    port, d = free_port(), pathlib.Path(folder)
    (d / "nginx.conf").write_text(NGINX.format(d=d, port=port, text="x" * answer_bytes, more=more))
    with running(pinned(["nginx", "-p", d, "-c", d / "nginx.conf"])) as p:
        wait_listening(port, p)
        children = pathlib.Path(f"/proc/{p.pid}/task/{p.pid}/children").read_text().split()
        yield f"http://127.0.0.1:{port}", [p.pid, *map(int, children)]


@contextlib.contextmanager
def nghttpd(folder, answer_bytes=1024):
    """nghttpd, cleartext HTTP/2, one worker, serving /file of `answer_bytes`: (URL, pids)."""
    port, d = free_port(), pathlib.Path(folder)
    (d / "file").write_bytes(b"x" * answer_bytes)
    with running(pinned(["nghttpd", "--no-tls", "-a", "127.0.0.1", "-d", d, port],
                        stdout=subprocess.DEVNULL)) as p:
        wait_listening(port, p)
        yield f"http://127.0.0.1:{port}/file", [p.pid]


@contextlib.contextmanager
def grpc_echo():
    """An asynchronous gRPC C++ server (libgrpc++) that echoes: (URL, pids)."""
    program = MADE / "grpc-echo"
    source = SOURCE / "grpc-echo.cc"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        MADE.mkdir(parents=True, exist_ok=True)
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "grpc++"], check=True,
                               capture_output=True, text=True).stdout.split()
        subprocess.run(["g++", "-O2", "-std=c++17", source, "-o", program, *flags], check=True)
    with running(pinned([program, "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)) as p:
        port = re.match(r"ready (\d+)", p.stdout.readline()).group(1)
        yield f"http://127.0.0.1:{port}/echo.Echo/Echo", [p.pid]


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out) + bytes([n])


def field(number, value):
    """A length-delimited field of a protobuf message."""
    return varint(number << 3 | 2) + varint(len(value)) + value


def infer_message(model, name, shape, tensor, datatype=b"FP32"):
    """A ModelInferRequest of one input with raw contents."""
    dims = field(3, b"".join(map(varint, shape)))
    return (field(1, model.encode()) + field(5, field(1, name.encode()) + field(2, datatype) + dims)
            + field(7, tensor))


def grpc_body(path, message):
    """Writes a gRPC message with its frame, as h2load sends it."""
    pathlib.Path(path).write_bytes(b"\0" + struct.pack(">I", len(message)) + message)
    return path


def wrk(url, seconds, script, connections=16):
    """A closed loop of wrk: requests that were answered, all with 200."""
    out, _, code = programs.timed(["taskset", "-c", programs.LOAD_CPU, "wrk", "-t1",
                                   f"-c{connections}", f"-d{seconds}s", "-s", script, url])
    if code != 0 or "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    return int(re.search(r"(\d+) requests in", out).group(1))


def h2load(url, *args, requests=None, seconds=None, headers=()):
    """h2load: (requests that were answered with 2xx, seconds). Raises when any failed."""
    amount = ["-n", requests] if requests else ["-D", seconds]
    head = [x for h in headers for x in ("-H", h)]
    out, _, code = programs.timed(["taskset", "-c", programs.LOAD_CPU, "h2load", *amount, *args,
                                   *head, url])
    found = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", out)
    took = re.search(r"finished in ([\d.]+)(us|ms|s)", out)
    if code != 0 or not found or not took:
        raise RuntimeError(out)
    done, succeeded, failed, errored = map(int, found.groups())
    if failed or errored or done != succeeded:
        raise RuntimeError(out)
    return succeeded, float(took.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1}[took.group(2)]


def h2load_times(url, seconds, *args, headers=()):
    """h2load of one connection, one request at a time: the time of each request in milliseconds,
    from its first byte out to its last byte in."""
    with tempfile.NamedTemporaryFile("r") as log:
        n, _ = h2load(url, "-c", 1, "-m", 1, f"--log-file={log.name}", *args, seconds=seconds,
                      headers=headers)
        rows = [line.split("\t") for line in log if line.strip()]
    if len(rows) < n or any(r[1] != "200" for r in rows):
        raise RuntimeError(f"h2load logs {len(rows)} requests and counts {n}")
    return n, len(rows), [int(r[2]) / 1000 for r in rows]


GRPC_HEADERS = ("content-type: application/grpc", "te: trailers")
