#!/usr/bin/env python3
# figure: truth: how often the interval of a p99.9 holds the truth
# seconds: 90
from lib import truth

truth.run("tails", runs=100)
