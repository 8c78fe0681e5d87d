"""Lindley's recursion over the instants of one run: W' = max(0, W + S - A), with busy times S and gaps A.

A run has two sets of instants, of two programs. The server says when it admitted a request and for how
long that waited; the load generator says when it sent the request and when the answer was there. Busy
times are the server's in both: nobody else knows them.
"""
import statistics
from typing import NamedTuple

SURE_NS = 200_000  # a wait, or a pause of the lane, that is longer is one beyond doubt


def recursion(instants, busy):
    """(the wait of each request, how long the lane had paused before each), ns."""
    waits, pauses = [0], [SURE_NS + 1]
    for at, after, ran in zip(instants, instants[1:], busy):
        left = waits[-1] + ran - (after - at)
        waits.append(max(0, left))
        pauses.append(max(0, -left))
    return waits, pauses


class Server(NamedTuple):
    """Means in ms of what the server says of itself."""
    lindley: float
    wait: float
    busy: float
    hand_over: float  # from one request's end to the next one's start on a busy lane
    wake_up: float  # the wait of a request that found the lane idle


def of_server(requests):
    """`requests`: (admitted, queued, ran) in order, ns."""
    admitted, queued, ran = zip(*requests)
    waits, pauses = recursion(admitted, ran)
    handed = [at + wait - (before + waited + busy) for before, waited, busy, at, wait, ours in
              zip(admitted, queued, ran, admitted[1:], queued[1:], waits[1:]) if ours > SURE_NS]
    woken = [wait for wait, ours in zip(queued[1:], waits[1:]) if ours == 0]
    return Server(*(mean_ms(x) for x in (waits, queued, ran, handed, woken)))


class Client(NamedTuple):
    """Means in ms by the generator's own instants."""
    lindley: float
    wait: float  # done - sent, less the busy time and the way
    latency: float  # done - sent
    way: float  # of what found the lane idle: done - sent, less the busy time


def of_client(requests):
    """`requests`: (sent, done, ran) in order, ns. Both directions of the way, and what wakes on it, are
    in every latency alike; requests that found the lane idle have nothing else beside their busy time."""
    sent, done, ran = zip(*requests)
    waits, pauses = recursion(sent, ran)
    beside = [end - begin - busy for begin, end, busy in requests]
    way = statistics.fmean(x for x, pause in zip(beside, pauses) if pause > SURE_NS)
    return Client(mean_ms(waits), (statistics.fmean(beside) - way) / 1e6,
                  mean_ms([end - begin for begin, end in zip(sent, done)]), way / 1e6)


def mean_ms(values):
    return statistics.fmean(values) / 1e6 if values else 0.0
