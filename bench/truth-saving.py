#!/usr/bin/env python3
# figure: truth: how often the saving of two tenants holds the known one
# seconds: 45
from lib import truth

truth.run("saving", runs=200)
