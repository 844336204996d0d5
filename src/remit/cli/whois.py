"""`remit whois`: what identity is acting, for whom, under which policy, with what effective permissions."""

from typing import Annotated

import typer

from remit.cli.places import JsonOption, StateOption, places


def whois(
    what: Annotated[str, typer.Argument(metavar="PID | :PORT | SPIFFE-ID", help="A process, a port, a workload.")],
    json: JsonOption = False,
    state: StateOption = None,
) -> None:
    """Say what identity is acting, who answers for it, by what proof, and what it may do."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json
    from remit.cli.whois_screen import print_whois

    answer = ask(places(state).api_socket, "GET", "whois", query={"what": what})
    print_json(answer) if json else print_whois(answer)
