"""A hostile program with its owner's own uid, as plain programs: nothing of Remit is imported here."""
