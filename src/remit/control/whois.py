"""The answer to: what identity is acting, for whom, under which policy, with what effective permissions."""

from dataclasses import replace
from typing import Any, Final

from remit.control.portrait import Sources, about_person, about_workload, as_control, as_gateway
from remit.control.roles import Reach, Role
from remit.errors import AttestationError, IdentityError, NotFoundError, UsageError
from remit.identity import Process, SpiffeId
from remit.identity.selectors import selectors_of, why_weaker

MAX_DIGITS: Final = 18  # of a pid or port: more is no number that the kernel gives


def whois(what: str, sources: Sources) -> dict[str, Any]:
    """Answer for a pid, a `:port` or a SPIFFE ID (or a workload's name); raises NotFoundError when nothing is there.

    Raises UsageError for what can't be any of these.
    """
    if what.startswith("spiffe://"):
        return _by_id(what, sources)
    if what.startswith(":") and _is_number(what[1:]):
        return _by_port(int(what[1:]), sources)
    if _is_number(what):
        return _by_pid(int(what), sources)
    return about_workload(sources.realm.workload_named(what), sources)


def seen_by(reach: Reach, what: str, sources: Sources) -> dict[str, Any]:
    """The answer for somebody of that reach; of what is another person's no more than that it is.

    Raises NotAdmittedError for that.
    """
    if reach.role is not Role.PERSON:
        return whois(what, sources)
    own = sources.realm.humans.get(reach.name)
    person = own.person if own is not None else ""
    try:
        answer = whois(what, replace(sources, lately=sources.lately.of_person(person)))
    except NotFoundError as error:
        raise NotFoundError(str(error), hint="`remit status` lists what is yours") from error
    reach.check_sees(f"`{what}`", answer["owner"]["name"], answer["proof"].get("uid"))
    servers = {one.name: one.owner for one in sources.realm.workloads.values()}
    answer["may"] = [row for row in answer["may"] if _concerns(row, servers.get(row["on"], ""), reach)]
    return answer


def _concerns(row: dict[str, Any], owner: str, reach: Reach) -> bool:
    """Whether a row is about what is theirs, or about what they may use."""
    return not row["on"] or reach.sees(owner) or "yes" in row["permissions"].values()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= MAX_DIGITS


def _by_id(what: str, sources: Sources) -> dict[str, Any]:
    try:
        spiffe_id = SpiffeId.parse(what)
    except IdentityError as error:
        raise UsageError(str(error)) from error
    workload = sources.realm.workloads.get(spiffe_id)
    if workload is not None:
        return about_workload(workload, sources)
    for human in sources.realm.humans.values():
        if spiffe_id == SpiffeId.of(sources.realm.trust.domain, "user", human.name):
            return about_person(human, None, sources)
    raise NotFoundError(f"`{what}` is no identity in force here", hint="`remit status` lists those that are")


def _by_port(port: int, sources: Sources) -> dict[str, Any]:
    if not 0 < port < 1 << 16:
        raise UsageError(f"`:{port}` is no port", hint="ports are from 1 to 65535")
    for name, ways in sources.doors.items():
        if any(ways[way].endswith(f":{port}") for way in ("url", "mtls_url")):
            workload = sources.realm.workload_named(name)
            return about_workload(workload, sources) | {"asked": f":{port}, its guarded door"}
    for workload in sources.realm.workloads.values():
        if workload.upstream.endswith(f":{port}"):
            return about_workload(workload, sources) | {"asked": f":{port}, its own unguarded port"}
    pids = sources.ports(port)
    if not pids:
        raise NotFoundError(f"nothing that can be seen listens on port {port}", hint="`ss -ltnp` shows more to root")
    return _by_pid(pids[0], sources)


def _by_pid(pid: int, sources: Sources) -> dict[str, Any]:
    try:
        process = sources.observe(pid)
    except AttestationError as error:
        raise _unseen(pid, error, sources) from error
    return _about(process, sources) | {"selectors": [_selector(one) for one in selectors_of(process)]}


def _about(process: Process, sources: Sources) -> dict[str, Any]:
    workload = sources.realm.workloads.of(process)
    if workload is not None:
        return about_workload(workload, sources)
    human = sources.realm.human_of(process.uid)
    if human is None:
        raise NotFoundError(f"process {process.pid} runs as uid {process.uid}, which acts for nobody known here")
    return about_person(human, process, sources) | _if_ours(process.pid, sources)


def _selector(selector: str) -> dict[str, str]:
    """One that holds for a process; `weaker` says why it proves less than it seems to, and is empty otherwise."""
    return {"selector": selector, "weaker": why_weaker(selector)}


def _if_ours(pid: int, sources: Sources) -> dict[str, Any]:
    """What sets Remit's own processes apart from their person's others; nothing for those."""
    if pid == sources.control:
        return as_control(sources)
    zone = next((zone for zone, gateway in sources.gateways.items() if gateway == pid), None)
    return as_gateway(zone, sources) if zone is not None else {}


def _unseen(pid: int, error: AttestationError, sources: Sources) -> NotFoundError:
    """Why nothing can be said of a process; what the log still has of it."""
    last = sources.lately.by_process(pid, sources.now)
    hint = f"process {pid} called lately: {last['text']}" if last["last"] else ""
    if isinstance(error.__cause__, (FileNotFoundError, ProcessLookupError)):
        return NotFoundError(f"no process {pid} runs here", hint=hint)
    return NotFoundError(f"process {pid} can't be looked at: {error}", hint=hint)
