"""Who gets SVIDs: the process that is a workload, while that is active, and never as its person when it is not."""

import asyncio
import dataclasses
import os
from pathlib import Path

import pytest

from remit.control.identities import KernelIdentities
from remit.identity import PeerCredentials, SpiffeId
from remit.identity.attestation import EXECUTABLES, observe
from remit.inventory import LifeState
from tests.control.test_realm import LLAMA, World, a_server


@pytest.mark.parametrize("state", LifeState)
def test_only_an_active_workload_has_an_identity(tmp_path: Path, state: LifeState) -> None:
    world = World(tmp_path)
    uid = os.getuid()
    world.meet("ada", uid)
    me = observe(os.getpid(), digests=EXECUTABLES)
    workload = dataclasses.replace(
        a_server(), models=(), pid=me.pid, start=me.start, selectors=(f"unix:uid:{uid}",), state=state
    )
    world.realm.workloads[LLAMA] = workload
    identities = KernelIdentities(world.realm, lambda pid: observe(pid, digests=EXECUTABLES))
    got = asyncio.run(identities.identities(PeerCredentials(os.getpid(), uid, os.getgid())))
    assert got == ((LLAMA,) if state is LifeState.ACTIVE else ())
    del world.realm.workloads[LLAMA]
    person = asyncio.run(identities.identities(PeerCredentials(os.getpid(), uid, os.getgid())))
    assert person == (SpiffeId.of("maple.local", "user", "ada"),)
    world.store.close()
