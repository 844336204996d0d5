"""Which file an interpreter runs, by its command line; anything that is not plain is unknown."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.identity.attestation.interpreters import INTERPRETERS, interpreter_of, script_argument


@pytest.mark.parametrize(
    ("line", "script"),
    [
        ("python3.11 agent.py", "agent.py"),
        ("python3 -I -W error -Xdev /opt/agent.py --serve", "/opt/agent.py"),
        ("python -Bsu -- -c", "-c"),
        ("python -W error::Warning -X importtime agent.py", "agent.py"),
        ("python --check-hash-based-pycs always agent.py", "agent.py"),
        ("pypy3 agent.py", "agent.py"),
        ("python -c 'print(1)'", None),
        ("python -Ic agent.py", None),
        ("python -m agent", None),
        ("python -Bm agent", None),
        ("python -", None),
        ("python", None),
        ("python --unheard-of agent.py", None),
        ("python -W", None),
        ("python ''", None),
        ("node --no-warnings --max-old-space-size=4096 cli.js -e x", "cli.js"),
        ("node -e 'x'", None),
        ("node --eval=x cli.js", None),
        ("node -r ./hook.js cli.js", None),
        ("node --import ./hook.js cli.js", None),
        ("node --inspect cli.js", None),
        ("nodejs /usr/bin/cli", "/usr/bin/cli"),
        ("ruby -w -W:no-deprecated agent.rb", "agent.rb"),
        ("ruby -rnet/http agent.rb", None),
        ("ruby -e 'x' agent.rb", None),
        ("perl -Tw agent.pl", "agent.pl"),
        ("perl -MPOSIX agent.pl", None),
        ("perl -we 'x'", None),
        ("bash -eu agent.sh", "agent.sh"),
        ("bash -euo pipefail agent.sh", "agent.sh"),
        ("bash -oe pipefail agent.sh", None),
        ("bash --norc +x agent.sh", "agent.sh"),
        ("bash --rcfile x agent.sh", None),
        ("sh -c agent.sh", None),
        ("sh -ec agent.sh", None),
        ("sh -s agent.sh", None),
        ("sh -i", None),
        ("java -Xmx2g -Dx=y -ea --add-opens java.base/java.lang=ALL-UNNAMED -jar app.jar serve", "app.jar"),
        ("java -cp app.jar Main", None),
        ("java -javaagent:evil.jar -jar app.jar", None),
        ("java Main.java", None),
        ("java @arguments", None),
        ("java -jar", None),
        ("php -n agent.php", "agent.php"),
        ("php -S 127.0.0.1:80", None),
        ("lua5.4 agent.lua", "agent.lua"),
    ],
)
def test_the_script_is_what_the_interpreter_takes_for_it(line: str, script: str | None) -> None:
    name, *words = shlex.split(line)
    interpreter = interpreter_of(f"/usr/bin/{name}")
    assert interpreter is not None
    assert script_argument(interpreter, words) == script


@pytest.mark.parametrize(
    "name", ["curl", "python3-config", "bashful", "javac", "ollama", "node_exporter", "shutdown"]
)
def test_other_programs_are_no_interpreters(name: str) -> None:
    assert interpreter_of(f"/usr/bin/{name}") is None


@given(st.sampled_from(INTERPRETERS), st.lists(st.text(alphabet="-+co jarmWXe=", max_size=6), max_size=6))
def test_the_script_is_one_of_the_words_or_unknown(interpreter: object, words: list[str]) -> None:
    for one in INTERPRETERS:
        if one is interpreter:
            assert script_argument(one, words) in {None, *words}
