"""What Remit changes on a machine to be its own user there, and how every file of it is put back."""

from remit.install.carry_out import carry_out
from remit.install.journal import Journal
from remit.install.plan import Options, plan, text
from remit.install.put_back import nothing_to_do, put_back

__all__ = ["Journal", "Options", "carry_out", "nothing_to_do", "plan", "put_back", "text"]
