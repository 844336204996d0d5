"""Tasks: declared jobs that end."""

from remit.tasks.task import Task

__all__ = ["Task"]
