"""The whole of Remit as a system: its own uid, other people, hostile processes, on machines of their own."""
