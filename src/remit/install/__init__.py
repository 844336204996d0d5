"""What Remit changes on a machine to be its own user there, and how every file of it is put back."""
