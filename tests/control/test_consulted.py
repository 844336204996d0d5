"""People's questions are asked of one engine that is kept, never on control's loop."""

import asyncio
import dataclasses
import threading

from remit.control.consulted import Consulted
from remit.policy.in_force import InForce
from tests.policy.worlds import snapshot

ALL = '@id("all") permit (principal, action, resource is Workload);'


def test_what_did_not_change_is_taken_over() -> None:
    consulted, snap = Consulted(), snapshot(ALL)

    async def asked() -> list[InForce]:
        later = dataclasses.replace(snap, issued=snap.issued + 1)
        edited = snapshot(ALL.replace('"all"', '"other"'))
        return [await consulted.ask(one, lambda in_force: in_force) for one in (snap, later, edited)]

    first, second, third = asyncio.run(asked())
    assert second.policies is first.policies
    assert second.world is first.world
    assert third.policies is not first.policies


def test_control_s_loop_goes_on_while_it_is_built_and_asked() -> None:
    consulted, answering = Consulted(), threading.Event()

    async def asked() -> bool:
        question = asyncio.ensure_future(consulted.ask(snapshot(ALL), lambda _: answering.wait(30)))
        await asyncio.sleep(0)
        answering.set()  # only the loop can: were it blocked by the question, nobody would
        return await question

    assert asyncio.run(asked())
