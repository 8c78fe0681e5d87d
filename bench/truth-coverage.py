#!/usr/bin/env python3
# figure: truth: how often the stated intervals hold the truth, and false verdicts
# seconds: 80
from lib import truth

truth.run("coverage", runs=1000)
