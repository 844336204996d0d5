"""Walls: hardening of Remit's own processes, and the demonstration model server as a supervised child.

`demo_server` is the child's program, run with `python -I -m`, and is not imported here.
"""

from remit.sandbox.demo_model import MODEL_NAME, DemoModel, locate
from remit.sandbox.hardening import close_fds, harden
from remit.sandbox.launch import DemoServer

__all__ = ["MODEL_NAME", "DemoModel", "DemoServer", "close_fds", "harden", "locate"]
