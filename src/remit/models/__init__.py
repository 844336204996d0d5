"""Model files: which ones a process has loaded, what format they are, and their digest."""

from remit.models.digest import DigestCache, FileState, digest_file, unchanged
from remit.models.files import ModelFile, format_of, mapped_model_files, model_file_at
from remit.models.hasher import Hasher
from remit.models.identity import ModelIdentity, flags_digest
from remit.models.kept_digests import KeptDigests

__all__ = [
    "DigestCache",
    "FileState",
    "Hasher",
    "KeptDigests",
    "ModelFile",
    "ModelIdentity",
    "digest_file",
    "flags_digest",
    "format_of",
    "mapped_model_files",
    "model_file_at",
    "unchanged",
]
