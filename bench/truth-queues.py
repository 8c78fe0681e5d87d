#!/usr/bin/env python3
# figure: truth: mean waits and p99 of M/D/1, M/M/1, M/G/1 and closed loops in virtual time
# seconds: 150
from lib import truth

truth.run("queues", runs=64)
