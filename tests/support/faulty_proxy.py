"""A relay in front of a real server that does to its bytes what networks and dying servers do.

It knows nothing of what it carries, so that the same faults come over every protocol. `fault` is
what it does from now on, and to every connection that it has:

    None       carries everything
    "stall"    holds what comes from either side, and hands it on when that is over
    "forgotten" the connections that it has carry nothing any more, in either direction; new ones do
    "garbage"  says what no protocol has, then ends
    "half"     hands on the first bytes of the next answer, then ends
    "reset"    resets
    "dead"     resets all, and nobody listens any more; None brings it back at the same port
"""
import asyncio
import socket
import struct
import threading

NOISE = b"\x00\x00\x04\xff\x99 no such protocol \x00\r\n\r\n"
HALF = 20  # bytes: less than any whole answer


class FaultyProxy:
    """with FaultyProxy(("127.0.0.1", 8000)) as p: p.address, p.set("stall"), p.carried (pieces of
    answers), p.stall_at (stalls by itself when it has carried so many)"""

    def __init__(self, target):
        self.target = target
        self.fault = None
        self.carried = 0
        self.stall_at = None
        self.forgotten = set()
        self.pairs = set()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._main()), daemon=True)

    def __enter__(self):
        self.thread.start()
        self.ready.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def set(self, fault):
        """Waits until it is so."""
        asyncio.run_coroutine_threadsafe(self._set(fault), self.loop).result()

    async def _main(self):
        self.loop = asyncio.get_running_loop()
        self.stop = asyncio.Event()
        self.port = 0
        await self._listen()
        self.ready.set()
        await self.stop.wait()
        self.server.close()
        self._end_all(reset=True)

    async def _listen(self):
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, backlog=1024,
                                                 limit=1 << 20, reuse_address=True)
        self.port = self.server.sockets[0].getsockname()[1]

    async def _set(self, fault):
        was, self.fault = self.fault, fault
        if fault == "dead":
            self.server.close()
        elif was == "dead":
            await self._listen()
        if fault == "forgotten":
            self.forgotten |= {client for client, _ in self.pairs}
        if fault in ("dead", "reset"):
            self._end_all(reset=True)
        for client, _ in self.pairs:
            if fault == "garbage":
                client.write(NOISE)
                client.close()

    def _end_all(self, reset):
        for pair in list(self.pairs):
            self._end(pair, reset)

    @staticmethod
    def _end(pair, reset):
        client, server = pair
        if reset:
            sock = client.get_extra_info("socket")
            if sock:
                try:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                except OSError:
                    pass
            client.transport.abort()
        else:
            client.close()
        server.transport.abort()

    async def _serve(self, reader, writer):
        try:
            there, back = await asyncio.open_connection(*self.target, limit=1 << 20)
        except OSError:
            writer.transport.abort()
            return
        pair = (writer, back)
        self.pairs.add(pair)
        if self.fault in ("reset", "dead"):
            self._end(pair, True)
        try:
            await asyncio.gather(self._up(reader, back, writer), self._down(there, writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.pairs.discard(pair)
            self._end(pair, False)

    async def _flowing(self, client):
        """Comes back when bytes may go on."""
        while self.fault == "stall" or client in self.forgotten:
            await asyncio.sleep(0.005)

    async def _up(self, reader, back, client):
        while True:
            data = await reader.read(65536)
            if not data:
                raise ConnectionError
            await self._flowing(client)
            back.write(data)
            await back.drain()

    async def _down(self, there, client):
        while True:
            data = await there.read(65536)
            if not data:
                raise ConnectionError
            await self._flowing(client)
            if self.fault == "garbage":
                data = NOISE
            if self.fault == "half":
                data = data[:HALF]
            client.write(data)
            self.carried += 1
            if self.carried == self.stall_at:
                self.fault = "stall"
            await client.drain()
            if self.fault in ("garbage", "half"):
                client.close()
                raise ConnectionError
