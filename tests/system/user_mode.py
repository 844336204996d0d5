"""Ada's own Remit, as it is attacked."""

from pathlib import Path
from typing import Any

from tests.system.machine import Machine
from tests.system.modes import CLEAN, DEPENDENCIES, PORT, SRC, TASK, TRUSTED_POLICY, Mode, Started, token_of


class UserMode(Mode):
    """Ada's own Remit, in a virtual environment of hers."""

    name, remit, code = "user", "/home/ada/venv/bin/remit", "/home/ada/venv/lib/python3.11/site-packages"
    config = "/home/ada/.config/remit/config.toml"
    _OWN = """
set -e
cd /home/ada
mkdir -p .config/remit
printf '[discovery]\\nlook = {look}\\n[gateway]\\nport = {port}\\n' > {config}
/usr/bin/python3 -m venv --without-pip venv
cp -r {src} {code}/remit
cp -r {dependencies}/remit-*.dist-info {code}/
echo {dependencies} > {code}/dependencies.pth
printf '#!/home/ada/venv/bin/python3 -I\\nfrom remit.cli import main\\nmain()\\n' > {remit}
chmod +x {remit}
chown -R ada:ada /home/ada
"""

    def prepare(self, machine: Machine) -> None:
        super().prepare(machine)
        own = {
            "port": PORT,
            "config": self.config,
            "src": SRC,
            "code": self.code,
            "remit": self.remit,
            "look": self.look,
        }
        machine.run("sh", "-c", self._OWN.format(dependencies=DEPENDENCIES, **own))

    def up(self) -> dict[str, Any]:
        self._running = started = Started(self.machine, self.remit, "up", "--json", "--owner", "ada", user="ada")
        return started.ready

    def down(self) -> None:
        self.machine.run("pkill", "-KILL", "-u", "ada", check=False)
        self._running.close()

    def task(self, server: str) -> str:
        command = f"{self.remit} {TASK.format(server=server)}"
        return token_of(self.machine.run("script", "-qec", command, "/dev/null", user="ada").stdout)

    def start(self) -> dict[str, Any]:
        if self.look == "true":
            return self.up()
        ready = self.up()
        self.enrol("ada")
        mine = Path(ready["policies"]["dir"]) / "trusted.cedar"
        self.machine.run("tee", str(mine), user="ada", stdin=TRUSTED_POLICY)
        self.machine.run("chmod", "600", str(mine))
        self.down()
        self._run = str(Path(ready["api"]).parent)
        self.machine.run("sh", "-c", f"rm -rf {self._run} && cp -a /home/ada /opt/ada")
        return self.up()

    def again(self) -> dict[str, Any]:
        self.down()
        wipe = f"find /home/ada -mindepth 1 -delete; cp -a /opt/ada/. /home/ada/; {CLEAN}"
        self.machine.run("sh", "-c", f"rm -rf {self._run} {self._run}-aside; {wipe}", check=False)
        return self.up()

    def close(self) -> None:
        super().close()
        if self._running is not None:
            self._running.close()
