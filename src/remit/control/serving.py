"""The two sockets that control answers on: its own API for the owner, and the Workload API for everyone known."""

import contextlib
from collections.abc import Callable

from remit.config import Places, Settings
from remit.control import api
from remit.control.approval_desk import ApprovalDesk
from remit.control.approvals import Approvals
from remit.control.break_glass import BreakGlass
from remit.control.condition import Condition
from remit.control.deployment import Deployment
from remit.control.desk import Desk
from remit.control.governance import Governance
from remit.control.guards import Guards
from remit.control.identities import KernelIdentities, RecordedIssuances
from remit.control.identity_source import IdentitySource
from remit.control.lately import lately
from remit.control.launches import Launches
from remit.control.login_provider import LoginProvider
from remit.control.own_log import OwnLog
from remit.control.proofs import Proofs
from remit.control.realm import Realm
from remit.control.registering import Registering
from remit.control.registry_desk import RegistryDesk
from remit.control.sessions import Sessions
from remit.control.survey import Keys, Survey
from remit.control.task_desk import TaskDesk
from remit.control.workers import Workers
from remit.identity.attestation import listeners
from remit.identity.person import terminal_proof
from remit.inventory.listening import holders_of


def open_desk(
    places: Places,
    governance: Governance,
    realm: Realm,
    log: OwnLog,
    workers: Workers,
    guards: Guards,
    keys: Keys,
    request_stop: Callable[[str], None],
    settings: Settings,
    launches: Launches,
    tokens: str,
    condition: Condition,
    break_glass: BreakGlass,
    proofs: Proofs,
    approvals: Approvals,
) -> Desk:
    """The desk over all that runs in this instance."""
    break_glass.proofs = proving = proofs.proving
    registry = RegistryDesk(
        realm, Registering(realm, settings.environment, launches.observe), workers.deliver, proving
    )
    sessions = Sessions(realm, LoginProvider(settings.login) if settings.login.issuer else None)
    deployment = Deployment.of(places, governance.owner.name, settings.policy.bundle)
    asked = ApprovalDesk(realm, approvals, proving, settings.approvals, launches.observe, break_glass.alone)
    survey = Survey(
        realm=realm,
        deployment=deployment,
        observe=launches.observe,
        lately=lambda now: lately(places.audit, now),
        ports=_pids_on,
        workers=lambda: {zone: worker.child.pid for zone, worker in workers.live.items()},
        failures=lambda: ([str(log.failure)] if log.failure is not None else []) + workers.log_failures(),
        doors=guards.urls,
        silent=guards.silent,
        unseen=lambda: guards.unseen,
        keys=keys,
        registry=registry,
        sessions=sessions,
        condition=condition,
        break_glass=break_glass,
        approvals=asked.waiting,
        tokens=tokens,
        issuer=settings.oidc.issuer,
        separation=governance.separation,
    )
    return Desk(
        realm=realm,
        deployment=deployment,
        governance=governance,
        observe=launches.observe,
        terminal_proof=terminal_proof,
        deliver=workers.deliver,
        request_stop=request_stop,
        registry=registry,
        launches=launches,
        sessions=sessions,
        proofs=proofs,
        break_glass=break_glass,
        keys=keys,
        survey=survey,
        tasks=TaskDesk(realm, launches, workers.deliver, proving, launches.observe, guards.urls),
        approvals=asked,
    )


async def serve(
    stack: contextlib.AsyncExitStack, places: Places, desk: Desk, source: IdentitySource, realm: Realm, log: OwnLog
) -> None:
    """Open both, the second where it is Remit's; `stack` closes them. StateError when a socket's place is taken."""
    identities, issuances = KernelIdentities(realm), RecordedIssuances(realm, log.act)
    stack.callback(identities.close)
    mode = places.socket_mode
    await source.serve(stack, places.workload_api_socket, identities, issuances, mode)
    stack.push_async_callback(await api.serve(api.build(desk), places.api_socket, mode))


def _pids_on(port: int) -> list[int]:
    """The processes that listen on a TCP port here, as far as this user may see."""
    inodes = [one.inode for one in listeners() if one.port == port]
    return sorted({pid for pids in holders_of(inodes).values() for pid in pids})
