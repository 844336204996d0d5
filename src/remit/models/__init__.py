"""Model files: which ones a process has loaded, what format they are, and their digest."""

from remit.models.digest import DigestCache, FileState, digest_file
from remit.models.files import ModelFile, format_of, mapped_model_files, model_file_at
from remit.models.hasher import Hasher

__all__ = [
    "DigestCache",
    "FileState",
    "Hasher",
    "ModelFile",
    "digest_file",
    "format_of",
    "mapped_model_files",
    "model_file_at",
]
