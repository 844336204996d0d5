"""What may leave and what may come in: requests and answers, cleaned as their permit plans."""

from remit.redaction.clean import Clean, allowed_by, clean
from remit.redaction.mask import mark, mask
from remit.redaction.reply import ReplyText
from remit.redaction.scrubber import Scan, Scrubber

__all__ = ["Clean", "ReplyText", "Scan", "Scrubber", "allowed_by", "clean", "mark", "mask"]
