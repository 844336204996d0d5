"""Proof that a person acted, and not merely their uid: which acts need it, how it is asked, how long it holds."""
