"""`remit status`: what is guarded now, at which grade, under which policies."""

from remit.cli.places import JsonOption, StateOption, places


def status(json: JsonOption = False, state: StateOption = None) -> None:
    """Show what is guarded now, the deployment grade, the policies in force and the log."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json
    from remit.cli.status_screen import print_status

    answer = ask(places(state).api_socket, "GET", "status")
    print_json(answer) if json else print_status(answer)
