"""A hostile program with its owner's own uid, as plain programs: nothing of Remit is imported here."""

FAMILIES = (
    "reading",
    "doors",
    "crowds",
    "places",
    "person",
    "terminal",
    "writing",
    "log",
    "ending",
    "early",
    "limits",
)
