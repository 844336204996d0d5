"""What may leave and what may come in: requests and answers, cleaned as their permit plans."""

from remit.redaction.clean import Clean, clean
from remit.redaction.mask import mark, mask
from remit.redaction.reply import ReplyText
from remit.redaction.scrubber import Scan, Scrubber

__all__ = ["Clean", "ReplyText", "Scan", "Scrubber", "clean", "mark", "mask"]
