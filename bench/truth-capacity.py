#!/usr/bin/env python3
# figure: truth: how often searches hold the known capacity
# seconds: 20
from lib import truth

truth.run("capacity", runs=200)
