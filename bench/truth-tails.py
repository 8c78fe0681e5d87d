#!/usr/bin/env python3
# figure: truth: how often the interval of a p99.9 holds the truth
# seconds: 90
# long: the coverage of p99.9 needs runs twenty times as long, for one line of the table
from lib import truth

truth.run("tails", runs=100)
