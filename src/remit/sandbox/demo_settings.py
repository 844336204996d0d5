"""What the demonstration server is told, as one JSON line over its control socket."""

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """What the server needs. `context` is in tokens, shared evenly by `parallel` slots."""

    socket: str
    api_key: str
    model: str
    alias: str
    context: int
    threads: int
    parallel: int

    def __repr__(self) -> str:
        return f"Settings(socket={self.socket!r}, model={self.model!r})"

    def to_line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> "Settings":
        return cls(**json.loads(line))
