"""Which file an interpreter was told to run, by its command line; pure.

Only options known here are passed over: one that is not may take the next word as its value, run other code, or both,
and then the script is unknown. So is code from `-c`, `-e`, `-m` or standard input.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`name` matches its executable's. One-letter options may stand together: `flags` take nothing, `attached`
    take the rest of their word, `following` the next word, `valued` the rest or, without one, the next. `words` match
    whole options that take nothing, `spaced` are those that take the next word. `script_after` names java's script.
    """

    name: re.Pattern[str]
    flags: str = ""
    valued: str = ""
    following: str = ""
    attached: str = ""
    words: re.Pattern[str] = re.compile(r"(?!)")
    spaced: frozenset[str] = frozenset()
    script_after: str = ""


_SHELL_FLAGS: Final = "abefhklmnprtuvxBCEHPT"

INTERPRETERS: Final = (
    Interpreter(  # https://docs.python.org/3/using/cmdline.html
        re.compile(r"(python|pypy)\d*(\.\d+)*t?"),
        flags="bBdEiIOPqRsStuvx",
        valued="WX",
        spaced=frozenset({"--check-hash-based-pycs"}),
    ),
    Interpreter(  # nodejs.org/api/cli.html; those that preload, evaluate or open a debugger are left out
        re.compile(r"node|nodejs"),
        words=re.compile(
            r"--(no-[a-z-]+|trace-[a-z-]+|enable-source-maps|expose-gc|experimental-strip-types|"
            r"max-(old|semi)-space-size=\d+|stack-size=\d+|unhandled-rejections=[a-z-]+)"
        ),
    ),
    Interpreter(re.compile(r"ruby\d*(\.\d+)*"), flags="advwU", attached="W", words=re.compile(r"--y?jit")),
    Interpreter(re.compile(r"perl(5(\.\d+)*)?"), flags="fstTUwWX"),
    Interpreter(
        re.compile(r"bash|sh|dash|zsh|ksh\d*|mksh"),
        flags=_SHELL_FLAGS,
        following="oO",
        words=re.compile(r"--(norc|noprofile|posix|login|restricted|verbose)|\+[abefhkmnptuvxBCEHPT]+"),
    ),
    Interpreter(  # java(1); a main class or a file of arguments is no `-jar`
        re.compile(r"java"),
        words=re.compile(
            r"-X(m[nsx]|ss)\d+[kKmMgG]?|-XX:[^FOV].*|-D.+|-ea|-da|-esa|-dsa|-server|-client|--enable-preview|"
            r"--(add-(opens|exports|modules)|enable-native-access)=.+"
        ),
        spaced=frozenset({"--add-opens", "--add-exports", "--add-modules"}),
        script_after="-jar",
    ),
    Interpreter(re.compile(r"php\d*(\.\d+)*"), flags="nqC"),
    Interpreter(re.compile(r"lua(jit)?\d*(\.\d+)*"), flags="EW"),
)


def interpreter_of(executable: str) -> Interpreter | None:
    """By the name of its executable, which the kernel tells; not by what the process calls itself."""
    name = executable.rpartition("/")[2]
    return next((one for one in INTERPRETERS if one.name.fullmatch(name)), None)


def script_argument(interpreter: Interpreter, words: Sequence[str]) -> str | None:
    """The word that names the script among `words`, the command line but for its first; None if it can't be told."""
    at = 0
    while at < len(words):
        word = words[at]
        if word == (interpreter.script_after or "--"):
            return _named(words, at + 1)
        if not word.startswith(("-", "+")):
            return None if interpreter.script_after else word or None
        taken = _option(interpreter, word)
        if taken == 0:
            return None
        at += taken
    return None


def _named(words: Sequence[str], at: int) -> str | None:
    return words[at] or None if at < len(words) else None


def _option(interpreter: Interpreter, word: str) -> int:
    """How many words the option at `word` takes up, itself included; 0 for one that is not known here."""
    if word in interpreter.spaced:
        return 2
    if interpreter.words.fullmatch(word):
        return 1
    if word == "-" or word.startswith(("--", "+")):
        return 0
    return _letters(interpreter, word[1:])


def _letters(interpreter: Interpreter, letters: str) -> int:
    for at, letter in enumerate(letters, start=1):
        last = at == len(letters)
        if letter in interpreter.valued:
            return 2 if last else 1
        if letter in interpreter.attached:
            return 1
        if letter in interpreter.following:
            return 2 if last else 0
        if letter not in interpreter.flags:
            return 0
    return 1
