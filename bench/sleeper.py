"""A script that waits until its input ends: a caller to look at."""

import sys

sys.stdin.read()
