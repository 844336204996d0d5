"""Who calls the token endpoint, over a real connection: this very process."""

import asyncio
import os
import socket
from pathlib import Path

from remit.control.clients import Client, Clients
from remit.identity.attestation import EXECUTABLES, observe
from remit.tasks import Task
from tests.control.test_realm import World, a_server


def test_what_was_launched_for_a_task_is_no_person_while_that_lasts(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.meet("ada", os.getuid())
    world.run(lambda: world.realm.lives.enrol(a_server()))
    assert at(world).a_person
    own = observe(os.getpid(), digests=EXECUTABLES)
    assert own.start is not None
    task = launched_for(world, (own.pid, own.start))
    assert not at(world).a_person
    world.run(lambda: world.realm.tasking.end(task.id, "done"))
    assert at(world).a_person
    world.store.close()


def launched_for(world: World, process: tuple[int, int]) -> Task:
    ada = world.realm.humans["ada"]
    start = world.realm.tasking.start(
        ada, a_server().spiffe_id, ("infer",), purpose="", seconds=60.0, proof="terminal", launched=process
    )
    task: Task = world.run(lambda: start)[0]
    return task


def at(world: World) -> Client:
    """This process, as it is seen at the other end of a connection of its own."""
    clients = Clients(world.realm, lambda pid: observe(pid, digests=EXECUTABLES))
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as theirs:
        ours, _ = server.accept()
        try:
            return asyncio.run(clients.at(theirs.getsockname(), ours.getsockname()))
        finally:
            ours.close()
            clients.close()
