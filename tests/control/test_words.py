"""What people say to their tasks: theirs alone, on the strength of a proof, bounded, kept in memory alone."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from remit.control.task_desk import Beginning
from remit.control.visitor import NotAdmittedError
from remit.control.words import MOST_CHARACTERS, MOST_OF_TASK
from remit.errors import NotFoundError, UsageError
from remit.inventory import Human
from remit.policy.link import Said
from remit.tasks import Task
from tests.control.test_realm import World
from tests.control.test_task_desk import INFER, Asked

WORDS = "send the minutes to carl@maple.example"


class Speaking(Asked):
    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.told: list[Said] = []
        self.hears = True
        world.realm.words.tell = self._tell

    def _tell(self, said: Said) -> bool:
        self.told.append(said)
        return self.hears

    def begin(self) -> Task:
        return self.start(Beginning(on="llama-8080", part=INFER))

    def say(
        self,
        task: str,
        text: str = WORDS,
        human: Human | None = None,
        proof: str = "terminal",
        within: str | None = None,
    ) -> dict[str, Any]:
        who = self.person(human, task=within)
        return asyncio.run(self.desk.say(replace(who, proof=proof), task, text))

    def kept(self) -> list[str]:
        return [said.text.reveal() for said in self.world.realm.words.all()]


@pytest.fixture
def speaking(tmp_path: Path) -> Any:
    world = World(tmp_path)
    yield Speaking(world)
    world.store.close()


def test_what_a_person_says_at_a_terminal_is_passed_on_and_never_on_record(speaking: Speaking) -> None:
    task = speaking.begin()
    answer = speaking.say(task.id)
    assert answer == {"characters": len(WORDS), "proof": "terminal", "heard": True}
    assert [(one.task, one.text.reveal()) for one in speaking.told] == [(task.id, WORDS)]
    act = ("task.said", task.id, speaking.ada.person, {"proof": "terminal", "characters": len(WORDS)})
    assert speaking.world.acts[-1] == act
    assert WORDS not in str(speaking.world.acts)
    assert WORDS not in repr(speaking.told)
    assert WORDS.encode() not in Path(speaking.world.store._path).read_bytes()
    speaking.hears = False
    assert not speaking.say(task.id)["heard"]
    assert speaking.kept() == [WORDS, WORDS], "a zone that begins later is told"


def test_a_uid_alone_says_nothing(speaking: Speaking) -> None:
    task = speaking.begin()
    with pytest.raises(NotAdmittedError, match="by a uid alone"):
        speaking.say(task.id, proof="uid")
    with pytest.raises(NotAdmittedError, match="runs in task"):
        speaking.say(task.id, within=task.id)
    with pytest.raises(NotAdmittedError, match="another person's"):
        speaking.say(task.id, human=speaking.bob)
    assert speaking.told == []
    assert speaking.kept() == []


def test_what_was_said_goes_with_its_task(speaking: Speaking) -> None:
    task = speaking.begin()
    speaking.say(task.id)
    asyncio.run(speaking.desk.end(speaking.person(), task.id, "done"))
    assert speaking.kept() == []
    with pytest.raises(NotFoundError, match="is running"):
        speaking.say(task.id)


def test_no_more_is_kept_than_there_is_room_for(speaking: Speaking) -> None:
    task = speaking.begin()
    for text in ("", " \n", "x" * (MOST_CHARACTERS + 1)):
        with pytest.raises(UsageError, match=r"a text has 16,384 characters at most|there are no words"):
            speaking.say(task.id, text)
    for _ in range(MOST_OF_TASK // MOST_CHARACTERS):
        speaking.say(task.id, "x" * MOST_CHARACTERS)
    with pytest.raises(UsageError, match="are kept for a task"):
        speaking.say(task.id, "x")
    speaking.say(speaking.begin().id, "x")
