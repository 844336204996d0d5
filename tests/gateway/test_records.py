"""What the log keeps of what callers say."""

from types import SimpleNamespace
from typing import Any

from remit.audit import DigestKey
from remit.detect import Detector
from remit.gateway.call import Call
from remit.gateway.record import refused
from remit.redaction import Scrubber
from tests.policy.worlds import LLAMA, NOW, intent, snapshot

TOKEN = "ghp_" + "A1b2C3d4E5" * 4


def test_a_secret_in_the_place_of_a_model_s_name_is_masked_wherever_it_stood() -> None:
    zone: Any = SimpleNamespace(snapshot=snapshot(), scrubber=Scrubber(Detector()), digests=DigestKey(bytes(32)))
    call = Call.begin(LLAMA, NOW, 0.0, lambda _: None)
    call.asks(intent(model=TOKEN, route="GET /v1/models/{model...}"))  # in its path: the body holds nothing
    assert refused(call, zone, rule="default-deny", reason="no").model == "[REDACTED:github-token]"
