"""What happened, so that nobody can unsay it: entries, the Merkle tree, the writer, the verifier, the reader."""

from remit.audit.entry import Act, Closed, End, Entry, Header, ProcessFacts, Refusals, Start
from remit.audit.keys import Certificate, DigestKey, RootKey, WriterKey, certify
from remit.audit.log import AuditLog
from remit.audit.note import Head, SignedHead, VerifierKey
from remit.audit.receipt import Receipt
from remit.audit.shard import shard_name

__all__ = [
    "Act",
    "AuditLog",
    "Certificate",
    "Closed",
    "DigestKey",
    "End",
    "Entry",
    "Head",
    "Header",
    "ProcessFacts",
    "Receipt",
    "Refusals",
    "RootKey",
    "SignedHead",
    "Start",
    "VerifierKey",
    "WriterKey",
    "certify",
    "shard_name",
]
