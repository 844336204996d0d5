"""docs/grade.md has every fact, and which grade it is for."""

from pathlib import Path

from remit.control import break_glass_facts, machine_facts
from remit.posture.grade import NEEDS
from tests.docs.pages import rows, text


def test_every_fact_is_there_with_the_grade_that_needs_it() -> None:
    real = {fact: grade for grade, facts in NEEDS.items() for fact in facts}
    real |= {fact.name: "none" for fact in machine_facts.machine_facts(Path("/nowhere"), Path("/nowhere"))}
    real |= dict.fromkeys((break_glass_facts.SEALED, break_glass_facts.REVIEWED), "none")
    assert {fact.strip("`"): grade for fact, grade, _ in rows("docs/grade.md")} == real


def test_the_settings_that_are_looked_at_are_named() -> None:
    page = text("docs/grade.md")
    for name in ("ptrace_scope", "suid_dumpable", "legacy_tiocsti", "timestamp_timeout"):
        assert f"{name}`" in page, name
