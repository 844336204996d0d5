"""Where to look and where not: ports and sockets that never speak HTTP, and ports where model servers listen."""

from collections.abc import Mapping
from typing import Final

# Not probed: an HTTP request there is noise at best, and a logged protocol error for its owner.
# IANA service names, except where another source is given.
NOT_HTTP: Final[Mapping[int, str]] = {
    21: "ftp",
    22: "ssh",
    23: "telnet",
    25: "smtp",
    53: "domain",
    88: "kerberos",
    110: "pop3",
    111: "sunrpc",
    139: "netbios-ssn",
    143: "imap",
    389: "ldap",
    445: "microsoft-ds",
    465: "submissions",
    515: "printer",
    587: "submission",
    636: "ldaps",
    873: "rsync",
    993: "imaps",
    995: "pop3s",
    1433: "ms-sql-s",
    1521: "oracle",
    1883: "mqtt",
    2049: "nfs",
    3306: "mysql",
    3389: "ms-wbt-server",
    5432: "postgresql",
    5671: "amqps",
    5672: "amqp",
    5900: "rfb",
    6000: "x11",
    6379: "redis",
    8883: "secure-mqtt",
    9042: "cassandra native protocol (cassandra.yaml)",
    9092: "kafka (server.properties)",
    11211: "memcache",
    27017: "mongodb (mongod.conf)",
}

# Parts of unix socket paths that aren't probed: what listens there, and speaks another protocol or is too powerful.
NOT_HTTP_SOCKETS: Final[Mapping[str, str]] = {
    "/run/systemd/": "systemd's own sockets (systemd.io)",
    "/run/dbus/": "D-Bus system bus (dbus-daemon(1))",
    "/bus": "D-Bus session bus (dbus-daemon(1))",
    "/run/docker": "Docker Engine: whoever speaks to it is root (docs.docker.com/engine/security)",
    "/run/containerd/": "containerd: as Docker",
    "/.X11-unix/": "X11 (Xserver(1))",
    "/wayland-": "Wayland (wayland.freedesktop.org)",
    "/pipewire-": "PipeWire (pipewire(1))",
    "/pulse/": "PulseAudio (pulseaudio(1))",
    "/S.gpg-agent": "GnuPG (gpg-agent(1))",
    "/S.scdaemon": "GnuPG (scdaemon(1))",
    "/S.keyboxd": "GnuPG (keyboxd(8))",
    "/S.dirmngr": "GnuPG (dirmngr(8))",
    "/keyring/": "GNOME keyring (gnome-keyring-daemon(1))",
    "/ssh-": "ssh-agent (ssh-agent(1))",
    "/.s.PGSQL.": "PostgreSQL (its documentation, unix_socket_directories)",
    "/mysqld": "MySQL (its manual, the socket option)",
    "/redis": "Redis (redis.conf, unixsocket)",
}

# Probed even when the process that listens can't be seen. The port alone never makes it a model server.
MODEL_SERVER_PORTS: Final[Mapping[int, str]] = {
    1234: "LM Studio (lmstudio.ai/docs/app/api)",
    1337: "Jan (jan.ai/docs/api-server)",
    4891: "GPT4All (docs.gpt4all.io/gpt4all_api_server)",
    5000: "text-generation-webui API (its wiki, 12 - OpenAI API)",
    5001: "KoboldCpp (its README)",
    8000: "vLLM, llama-cpp-python, NVIDIA NIM (their documentation)",
    8001: "vLLM's usual second server (vLLM documentation)",
    8080: "llama.cpp server, LocalAI, MLX LM, llamafile, TGI in a container (their READMEs)",
    8081: "llama.cpp's usual second server (its README)",
    11434: "Ollama (its FAQ: OLLAMA_HOST)",
    23333: "LMDeploy (its documentation: api_server)",
    30000: "SGLang (its documentation: launch_server)",
}
