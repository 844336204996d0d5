"""The machine's Remit, as it is attacked."""

import json
from typing import Any

from tests.system.machine import PASSWORDS, Machine
from tests.system.modes import CLEAN, HOSTILE, PORT, TASK, TRUSTED_POLICY, Mode, token_of
from tests.system.running import SystemRemit, put_code, put_places
from tests.system.terminals import SshTerminal


class SystemMode(Mode):
    """The machine's Remit; ada, whose program is hostile, administers it and owns the server."""

    name, remit, config = "system", "/usr/local/bin/remit", "/etc/remit/config.toml"
    code = "/opt/remit/venv/lib/python3.11/site-packages"
    _CONFIG = '[roles]\nadministrator = ["ada"]\n[discovery]\nlook = {look}\n[gateway]\nport = {port}\n'
    _WEAK = '[proof.acts]\n"workload.add" = "uid"\n'

    def prepare(self, machine: Machine) -> None:
        super().prepare(machine)
        put_code(machine)
        self._config = self._CONFIG.format(port=PORT, look=self.look)
        put_places(machine, self._config + self._WEAK)

    def up(self) -> dict[str, Any]:
        self._running = started = SystemRemit(self.machine)
        return started.event("ready")

    def task(self, server: str) -> str:
        terminal = SshTerminal(self.machine)
        try:
            terminal.shows("> ")
            terminal.run(f"{self.remit} {TASK.format(server=server)}")
            terminal.shows("password of ada")
            terminal.press(PASSWORDS["ada"] + "\n")
            return token_of(terminal.said()[1])
        finally:
            terminal.close()

    def down(self) -> None:
        self._running.stop()
        self.machine.run("rm", "-rf", "/run/remit")

    def start(self) -> dict[str, Any]:
        """Workloads are enrolled while that takes no proof; then it is started as root leaves it."""
        self.up()
        self.enrol("ada")
        self._running.stop()
        self.machine.run("tee", self.config, stdin=self._config)
        self.machine.run("tee", "/etc/remit/policies/trusted.cedar", stdin=TRUSTED_POLICY)
        self.machine.run("sh", "-c", "chmod 644 /etc/remit/policies/*.cedar; cp -a /var/lib/remit /opt/state")
        self.machine.run("sh", "-c", "cp -a /etc/remit /opt/etc-remit")
        return self.up()

    def again(self) -> dict[str, Any]:
        self.machine.run("pkill", "-KILL", "-f", "remit up --system", check=False)
        self._running.stop()
        self.machine.run("pkill", "-KILL", "-u", "remit", check=False)
        self.machine.run("pkill", "-KILL", "-u", "ada", check=False)
        restore = "rm -rf /run/remit /var/lib/remit/* /etc/remit/* && cp -a /opt/state/. /var/lib/remit/"
        self.machine.run("sh", "-c", f"{restore} && cp -a /opt/etc-remit/. /etc/remit/; {CLEAN}")
        return self.up()

    def facts(self) -> dict[str, Any]:
        """Guards, files, sockets and keys, as root sees them."""
        script = str(HOSTILE.parent / "untouched.py")
        told: dict[str, Any] = json.loads(self.machine.run("/usr/bin/python3", "-I", script).stdout)
        return told

    def close(self) -> None:
        super().close()
        if self._running is not None:
            self._running.stop()
