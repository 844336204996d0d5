"""What happened, so that nobody can unsay it: entries, the Merkle tree, the writer, the verifier, the reader."""

from remit.audit import export, read, tree, verify
from remit.audit.altered import AlteredError
from remit.audit.entry import Act, Closed, End, Entry, Header, ProcessFacts, Refusals, Start, without_home
from remit.audit.keys import Certificate, DigestKey, RootKey, WriterKey, certify
from remit.audit.log import AuditLog
from remit.audit.note import Head, SignedHead, VerifierKey
from remit.audit.receipt import Receipt
from remit.audit.scan import ShardVerdict
from remit.audit.shard import shard_name
from remit.audit.verify import Verdict

__all__ = [
    "Act",
    "AlteredError",
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
    "ShardVerdict",
    "SignedHead",
    "Start",
    "Verdict",
    "VerifierKey",
    "WriterKey",
    "certify",
    "export",
    "read",
    "shard_name",
    "tree",
    "verify",
    "without_home",
]
