"""Break-glass where control can't run: `python -I -m remit.emergency`, started by a person and never by itself."""
