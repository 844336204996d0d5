"""What is said of an act that a uid alone was good for."""

import typer


def say_if_weak(kind: str) -> None:
    """On stderr; `kind` is how the person was known."""
    if kind == "uid":
        typer.echo("  you are known by uid alone (no terminal): recorded as weak", err=True)
