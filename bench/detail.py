"""What the parts of a call cost by themselves: the HTTP, knowing the caller, the detector; shown as they print it."""

from bench.printed import output
from bench.report import Part


def run(quick: bool) -> Part:
    seconds, rounds = ("1", "400") if quick else ("3", "2000")
    printed = [
        output("bench.http_path", "--seconds", seconds),
        output("bench.attestation", "--rounds", rounds),
        output("bench.detect"),
    ]
    return Part("detail", (), printed="\n\n".join(text.strip() for text in printed))
