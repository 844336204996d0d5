"""Passkeys: what a browser is asked for, and whether its answer proves a person (Web Authentication, level 3)."""

import base64
import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from remit.errors import RemitError

CHALLENGE_BYTES: Final = 32  # 13.4.3: at least 16
MAX_ANSWER_BYTES: Final = 16 << 10
MAX_CREDENTIAL_BYTES: Final = 1023  # 4, "credential ID"
MAX_DEPTH: Final = 8
TIMEOUT_MILLISECONDS: Final = 120_000


class PasskeyError(RemitError):
    """What the browser answered proves nothing."""

    exit_code = 3


class CloneError(PasskeyError):
    """A good signature whose count went back: the key may have been copied (6.1.1)."""


@dataclass(frozen=True, slots=True)
class Party:
    """The page's origin and its host: what a key signs for."""

    origin: str
    id: str = "localhost"


@dataclass(frozen=True, slots=True)
class Passkey:
    """One person's key. Times are Unix seconds; `public_key` is a COSE key."""

    id: bytes
    public_key: bytes
    sign_count: int
    human: str
    label: str
    created: float
    last_used: float | None = None

    @property
    def name(self) -> str:
        """How it is called in URLs and lists."""
        return encoded(self.id)


@dataclass(frozen=True, slots=True)
class Registered:
    """A new passkey, and what the browser says of it, which nobody vouches for: `model` is the kind of device (its
    AAGUID; zeros where it isn't told), `synced` whether its maker keeps copies of it."""

    passkey: Passkey
    model: str
    synced: bool


def registration_options(
    party: Party, handle: bytes, human: str, challenge: bytes, known: Sequence[Passkey]
) -> dict[str, Any]:
    """What `navigator.credentials.create` is asked for. `handle` stands for the person, and names nobody."""
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415 (0.2 s that only passkeys pay)

    algorithms = (COSEAlgorithmIdentifier.EDDSA, COSEAlgorithmIdentifier.ECDSA_SHA_256, _rs256())
    return {
        "rp": {"id": party.id, "name": "Remit"},
        "user": {"id": encoded(handle), "name": human, "displayName": human},
        "challenge": encoded(challenge),
        "pubKeyCredParams": [{"type": "public-key", "alg": int(one)} for one in algorithms],
        "excludeCredentials": _named(known),
        "authenticatorSelection": {"userVerification": "required", "residentKey": "preferred"},
        "attestation": "none",
        "timeout": TIMEOUT_MILLISECONDS,
    }


def assertion_options(party: Party, challenge: bytes, known: Sequence[Passkey]) -> dict[str, Any]:
    """What `navigator.credentials.get` is asked for."""
    return {
        "rpId": party.id,
        "challenge": encoded(challenge),
        "allowCredentials": _named(known),
        "userVerification": "required",
        "timeout": TIMEOUT_MILLISECONDS,
    }


def registered(party: Party, challenge: bytes, answer: bytes, human: str, label: str, now: float) -> Registered:
    """The new passkey in a browser's answer, for that very challenge and origin. Raises PasskeyError."""
    from webauthn import verify_registration_response  # noqa: PLC0415 (as above)
    from webauthn.helpers import parse_attestation_object, parse_registration_credential_json  # noqa: PLC0415
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415
    from webauthn.helpers.structs import AttestationFormat  # noqa: PLC0415

    tree = parse(answer)
    with _told():
        credential = parse_registration_credential_json(tree)
        if parse_attestation_object(credential.response.attestation_object).fmt != AttestationFormat.NONE:
            raise PasskeyError("an attestation of the key's maker was not asked for")
        _same_page(credential.response.client_data_json)
        verified = verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=[
                COSEAlgorithmIdentifier.EDDSA,
                COSEAlgorithmIdentifier.ECDSA_SHA_256,
                _rs256(),
            ],
        )
    if len(verified.credential_id) > MAX_CREDENTIAL_BYTES:
        raise PasskeyError(f"the passkey's id is longer than {MAX_CREDENTIAL_BYTES} bytes")
    made = Passkey(
        verified.credential_id, verified.credential_public_key, verified.sign_count, human, label, created=now
    )
    return Registered(made, verified.aaguid, verified.credential_backed_up)


def asserted(party: Party, challenge: bytes, answer: bytes, known: Mapping[bytes, Passkey], now: float) -> Passkey:
    """The passkey that signed, as it is to be kept from now on. `known` are one person's. Raises PasskeyError.

    CloneError only after the signature was found good: nobody without the key can raise that alarm.
    """
    from webauthn import verify_authentication_response  # noqa: PLC0415 (as above)
    from webauthn.helpers import parse_authentication_credential_json  # noqa: PLC0415

    tree = parse(answer)
    with _told():
        credential = parse_authentication_credential_json(tree)
        _same_page(credential.response.client_data_json)
        passkey = known.get(credential.raw_id)
        if passkey is None:
            raise PasskeyError("that passkey is not one of this person's", hint="`remit passkey list` shows them")
        verified = verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=0,  # compared below, when the signature is known to be good
            require_user_verification=True,
        )
    count = verified.new_sign_count
    if (count or passkey.sign_count) and count <= passkey.sign_count:
        raise CloneError(
            f"passkey `{passkey.label}` counts {count} uses, and {passkey.sign_count} are known: it may be copied",
            hint="remove it with `remit passkey remove`, and add another",
        )
    return dataclasses.replace(passkey, sign_count=count, last_used=now)


def parse(answer: bytes) -> dict[str, Any]:
    """A browser's answer as JSON: one object, within a budget. Raises PasskeyError."""
    if len(answer) > MAX_ANSWER_BYTES:
        raise PasskeyError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    try:
        tree = json.loads(answer)
    except (ValueError, RecursionError) as error:
        raise PasskeyError("the answer is not JSON") from error
    if not isinstance(tree, dict) or _depth(tree) > MAX_DEPTH:
        raise PasskeyError("the answer is not what a browser sends")
    return tree


def encoded(raw: bytes) -> str:
    """base64url without padding (RFC 4648 5)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _named(known: Sequence[Passkey]) -> list[dict[str, str]]:
    return [{"type": "public-key", "id": passkey.name} for passkey in known]


def _rs256() -> Any:
    from webauthn.helpers.cose import COSEAlgorithmIdentifier  # noqa: PLC0415 (as above)

    return COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256  # TPMs of many laptops know no other


def _same_page(client_data: bytes) -> None:
    """Not from a frame in another site's page (7.1 and 7.2: `crossOrigin`), which the library leaves to us."""
    said = json.loads(client_data)
    if not isinstance(said, dict) or said.get("crossOrigin", False) is not False or "topOrigin" in said:
        raise PasskeyError("the answer comes from a frame in another page")


def _depth(value: Any, level: int = 1) -> int:
    if level > MAX_DEPTH or not isinstance(value, (dict, list)):
        return level
    inner = value.values() if isinstance(value, dict) else value
    return max((_depth(one, level + 1) for one in inner), default=level)


class _told:  # noqa: N801 (a context manager that reads as a verb)
    """Whatever the library says of hostile bytes becomes a PasskeyError: it parses JSON, CBOR and keys."""

    def __enter__(self) -> None: ...

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415 (as above)

        hostile = (WebAuthnException, ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError)
        if isinstance(error, hostile) and not isinstance(error, RemitError):
            raise PasskeyError(f"the browser's answer proves nothing: {str(error)[:200]}") from error
