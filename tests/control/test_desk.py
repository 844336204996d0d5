"""Who is admitted: the process that connected, as it was then."""

import asyncio
import os
from typing import Any

import pytest

from remit.control.desk import Desk
from remit.control.roles import Reach, Role
from remit.control.visitor import NotAdmittedError
from remit.identity import PeerCredentials
from remit.identity.attestation import EXECUTABLES, Connected, observe
from remit.identity.attestation.pidfd import PidFd


class FakeDeployment:
    uid = os.getuid() + 1
    owner = "ada"


class FakeProofs:
    proving = None


class FakeGovernance:
    async def visitor(self, _realm: Any, _uid: int) -> tuple[Any, Reach]:
        return None, Reach("ada", Role.PERSON)


def test_a_process_whose_uid_is_not_its_sockets_is_not_admitted() -> None:
    nothing: Any = None
    deployment: Any = FakeDeployment()
    governance: Any = FakeGovernance()
    proofs: Any = FakeProofs()
    handle = Connected(PidFd.open(os.getpid()), FakeDeployment.uid, 0, 0, by_number=False)
    peer = PeerCredentials(os.getpid(), FakeDeployment.uid, 0, handle)
    desk = Desk(
        realm=nothing,
        deployment=deployment,
        governance=governance,
        observe=lambda pid: observe(pid, digests=EXECUTABLES),
        terminal_proof=nothing,
        deliver=nothing,
        request_stop=nothing,
        registry=nothing,
        launches=nothing,
        sessions=nothing,
        proofs=proofs,
        break_glass=nothing,
        keys=nothing,
        survey=nothing,
        tasks=nothing,
        approvals=nothing,
    )
    with pytest.raises(NotAdmittedError, match=rf"made by uid {FakeDeployment.uid} and is held by uid {os.getuid()}"):
        asyncio.run(desk.admit(peer))
    peer.close()
    with pytest.raises(NotAdmittedError, match="is closed"):
        asyncio.run(desk.admit(peer))
    with pytest.raises(NotAdmittedError, match="known by its number alone"):
        asyncio.run(desk.admit(PeerCredentials(os.getpid(), FakeDeployment.uid, 0)))
