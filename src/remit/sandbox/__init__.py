"""Walls: hardening of Remit's own processes, and the demonstration model server as a supervised child.

`demo_server` and `attestor` are children's programs, run with `python -I -m`, and are not imported here.
"""

import importlib
from typing import TYPE_CHECKING, Final

from remit.sandbox.hardening import close_fds, harden

if TYPE_CHECKING:
    from remit.sandbox.demo_model import MODEL_NAME, DemoModel, locate
    from remit.sandbox.launch import DemoServer

__all__ = ["MODEL_NAME", "DemoModel", "DemoServer", "close_fds", "harden", "locate"]

# A child's program imports this package too, and holds nothing that it does not use.
_LATE: Final = {
    "MODEL_NAME": "demo_model",
    "DemoModel": "demo_model",
    "DemoServer": "launch",
    "locate": "demo_model",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        if name not in _LATE:
            raise AttributeError(f"module `{__name__}` has no attribute `{name}`")
        return getattr(importlib.import_module(f"{__name__}.{_LATE[name]}"), name)
