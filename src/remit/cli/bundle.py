"""`remit bundle`: the trust domain's public keys, for whoever verifies its SVIDs elsewhere."""

from remit.cli.places import StateOption, places


def bundle(state: StateOption = None) -> None:
    """Print the trust domain's public keys as a SPIFFE bundle (JSON)."""
    from remit.cli.client import ask
    from remit.cli.screen import print_json

    print_json(ask(places(state).api_socket, "GET", "bundle"))
