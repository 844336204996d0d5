"""Remit governs local AI model servers, agents and tools as privileged non-human identities."""

__version__ = "0.1.0"
