"""One question to this machine's PAM (pam(3), by ctypes): whose password is this, and may they use their account?

What a conversation hands over is copied to memory of the C library's that PAM clears and frees; nothing else of Remit
holds it. Why no package does this: docs/dependencies.md.
"""

import ctypes
from typing import Any, Final

from remit.persons.checker_line import Outcome
from remit.persons.typed_password import TypedPassword

LIBRARY: Final = "libpam.so.0"

# security/_pam_types.h
_SUCCESS, _BUFFER_ERROR, _CONVERSATION_ERROR = 0, 5, 19
_AUTHENTICATION_ERROR, _USER_UNKNOWN, _MAX_TRIES = 7, 10, 11
_NEW_PASSWORD_NEEDED, _ACCOUNT_EXPIRED, _PERMISSION_DENIED = 12, 13, 6
_ECHO_OFF, _ECHO_ON = 1, 2
_SILENT, _NO_EMPTY_PASSWORD = 0x8000, 0x1
_USER = 2
_MAX_MESSAGES: Final = 32

_REFUSED: Final = {
    _AUTHENTICATION_ERROR: Outcome.WRONG,
    _USER_UNKNOWN: Outcome.WRONG,
    _MAX_TRIES: Outcome.WRONG,
    _ACCOUNT_EXPIRED: Outcome.DENIED,
    _PERMISSION_DENIED: Outcome.WRONG,
}


class _Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


class _Response(ctypes.Structure):
    _fields_ = [("text", ctypes.c_void_p), ("code", ctypes.c_int)]


_Talk = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.POINTER(_Response)),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = [("talk", _Talk), ("data", ctypes.c_void_p)]


class Pam:
    """The library, loaded. Raises OSError where there is none."""

    def __init__(self, library: str = LIBRARY) -> None:
        self._pam = ctypes.CDLL(library)
        self._pam.pam_get_item.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)]
        for call in (self._pam.pam_authenticate, self._pam.pam_acct_mgmt, self._pam.pam_end):
            call.argtypes = [ctypes.c_void_p, ctypes.c_int]

    def check(self, service: str, name: str, password: TypedPassword) -> Outcome:
        """Whether `password` is the one of account `name`, by the stack of `service`.

        1. PAM must ask for it: a stack that lets uid 0 in as it is (pam_rootok) proves nothing.
        2. It must be right for the account that was meant, which no module may have exchanged.
        3. The account may be used now: neither it nor its password has expired.
        """
        answering = _Answering(password)
        talk = _Talk(answering.talk)  # must live as long as the handle
        handle = ctypes.c_void_p()
        conversation = _Conversation(talk, None)
        started = self._pam.pam_start(
            service.encode(), name.encode(), ctypes.byref(conversation), ctypes.byref(handle)
        )
        if started != _SUCCESS:
            return Outcome.BROKEN
        result = self._pam.pam_authenticate(handle, _SILENT | _NO_EMPTY_PASSWORD)
        if result != _SUCCESS:
            outcome = _REFUSED.get(result, Outcome.BROKEN)
        elif not answering.asked:
            outcome = Outcome.NOT_ASKED  # 1
        elif self._user(handle) != name.encode():
            outcome = Outcome.DENIED  # 2
        else:
            outcome = self._admitted(handle)  # 3
        self._pam.pam_end(handle, result)
        return outcome

    def _admitted(self, handle: ctypes.c_void_p) -> Outcome:
        result = self._pam.pam_acct_mgmt(handle, _SILENT | _NO_EMPTY_PASSWORD)
        if result == _SUCCESS:
            return Outcome.RIGHT
        return Outcome.CHANGE if result == _NEW_PASSWORD_NEEDED else Outcome.DENIED

    def _user(self, handle: ctypes.c_void_p) -> bytes | None:
        named = ctypes.c_char_p()
        found = self._pam.pam_get_item(handle, _USER, ctypes.byref(named))
        return named.value if found == _SUCCESS else None


class _Answering:
    """Answers the one question whose answer isn't shown, once, and none besides; messages are not for anybody."""

    def __init__(self, password: TypedPassword) -> None:
        self._password = password
        self.asked = False
        self._libc = ctypes.CDLL(None)
        for call in (self._libc.calloc, self._libc.malloc):
            call.restype = ctypes.c_void_p
        self._libc.calloc.argtypes = [ctypes.c_size_t, ctypes.c_size_t]
        self._libc.malloc.argtypes = [ctypes.c_size_t]

    def talk(self, count: int, messages: Any, answers: Any, _data: Any) -> int:
        """`struct pam_conv`'s function (pam_conv(3)): PAM frees what it is given, also the text."""
        if not 0 < count <= _MAX_MESSAGES:
            return _CONVERSATION_ERROR
        styles = [messages[index].contents.style for index in range(count)]
        if _ECHO_ON in styles or styles.count(_ECHO_OFF) + self.asked > 1:
            return _CONVERSATION_ERROR
        made = self._libc.calloc(count, ctypes.sizeof(_Response))
        text = self._libc.malloc(self._password.size + 1)
        if not made or not text:
            return _BUFFER_ERROR
        response = ctypes.cast(made, ctypes.POINTER(_Response))
        if _ECHO_OFF in styles:
            self._password.copy_to(text)
            response[styles.index(_ECHO_OFF)].text = text
            self.asked = True
        answers[0] = response
        return _SUCCESS
