"""A small Open Inference server that misbehaves as told.

It has one model, "m": input x FP32 [-1, 16], output y FP32 [-1, 4]. `script(n, server)` is asked for
the n-th infer request (from 0, in order of arrival) and returns what to do, one of ACTIONS, or a
number: seconds to wait before a good answer; or the bytes of an answer.
"""

import asyncio
import json
import socket
import struct
import threading
import time

METADATA = {
    "name": "m",
    "versions": ["1"],
    "platform": "scripted",
    "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 16]}],
    "outputs": [{"name": "y", "datatype": "FP32", "shape": [-1, 4]}],
}


def http(status, body, extra=""):
    kind = "application/json"
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def answer(name="y", datatype="FP32", shape=(1, 4), values=(1.0, 2.0, 3.0, 4.0), version="1"):
    """A good answer in binary form, or a wrong one by its arguments."""
    data = struct.pack(f"<{len(values)}f", *values)
    output = {"name": name, "datatype": datatype, "shape": list(shape),
              "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"model_name": "m", "model_version": version, "outputs": [output]}).encode()
    extra = (f"Inference-Header-Content-Length: {len(head)}\r\n"
             "Server-Timing: queue;dur=1.250000, compute;dur=2.500000\r\n")
    return http(200, head + data, extra)


ACTIONS = {
    "good": lambda: answer(),
    "503": lambda: http(503, b'{"error":"too busy"}'),
    "429": lambda: http(429, b'{"error":"quota"}'),
    "400": lambda: http(400, b'{"error":"no such thing"}'),
    "500": lambda: http(500, b"not even JSON"),
    "garbage": lambda: b"\x00\x01\x02 this is no HTTP\r\n\r\n",
    "not-oip": lambda: http(200, b"<html>hello</html>"),
    "empty": lambda: http(200, b""),
    "missing-output": lambda: answer(name="z"),
    "wrong-type": lambda: answer(datatype="INT32"),
    "wrong-shape": lambda: answer(shape=(1, 3), values=(1.0, 2.0, 3.0)),
    "half": lambda: answer()[:-7],  # then the connection ends
    "half-head": lambda: answer()[:20],
    "reset": lambda: b"",
    "never": None,
}


class ScriptedServer:
    """with ScriptedServer(script) as s: s.url, s.requests (arrival instants), s.open_most"""

    def __init__(self, script, metadata=None):
        self.script = script
        self.metadata = METADATA if metadata is None else metadata
        self.requests = []
        self.headers = []
        self.open = self.open_most = 0
        self.started = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self):
        self.thread.start()
        self.started.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    async def _main(self):
        self.loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        self.writers = set()
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=1024)
        self.port = self.server.sockets[0].getsockname()[1]
        self.started.set()
        await self.stop.wait()
        self.die()

    def die(self):
        """Stops listening and breaks every connection."""
        self.server.close()
        for w in list(self.writers):
            w.transport.abort()

    async def _serve(self, reader, writer):
        self.writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    async def _one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        headers = dict((k.lower(), v.strip()) for k, v in
                       (line.split(":", 1) for line in lines[1:] if line))
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        if lines[0].startswith("GET"):
            if self.metadata == "401":
                writer.write(http(401, b'{"error":"no key"}'))
            elif self.metadata == "never":
                await reader.read()
                return False
            elif isinstance(self.metadata, bytes):
                writer.write(http(200, self.metadata))
            else:
                writer.write(http(200, json.dumps(self.metadata).encode()))
            return True
        self.headers.append((lines[0], headers, body))
        return await self._infer(reader, writer)

    async def _infer(self, reader, writer):
        n = len(self.requests)
        self.requests.append(time.monotonic())
        action = self.script(n, self)
        self.open += 1
        self.open_most = max(self.open, self.open_most)
        try:
            if isinstance(action, (int, float)):
                if action > 0:
                    await asyncio.sleep(action)
                action = "good"
        finally:
            self.open -= 1
        if action == "die":
            self.die()
            return False
        if action == "never":
            await reader.read()
            return False
        if action == "reset":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            return False
        if isinstance(action, bytes):
            writer.write(action)
            await writer.drain()
            return True
        writer.write(ACTIONS[action]())
        await writer.drain()
        return not action.startswith("half") and action != "garbage"


def stall(at_s, length_s):
    """A script: good and quick, but from `at_s` after its first request on it answers nobody for
    `length_s`, once."""
    first = []

    def script(_n, _server):
        now = time.monotonic()
        first.append(now)
        since = now - first[0]
        return at_s + length_s - since if at_s <= since < at_s + length_s else 0

    return script
