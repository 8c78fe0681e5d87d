#!/usr/bin/env python3
# figure: truth: how often searches and savings hold the known capacity
# seconds: 60
from lib import truth

truth.run("capacity", runs=200)
