"""How a served model is named: `openai:URL#MODEL`, read and checked without asking anybody."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple
from urllib.parse import urlsplit

from stepviz.errors import StepvizError

FORM = "openai:http://HOST:PORT/v1#MODEL"


class Served(NamedTuple):
    """Where a server of OpenAI's protocol answers, and which of its models is meant."""

    url: str  # "http://127.0.0.1:8000/v1": no slash at its end
    model: str

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def loopback(self) -> bool:
        """Whether its address says that it is this machine, without anybody being asked whose a name is."""
        name = urlsplit(self.url).hostname or ""
        try:
            return name == "localhost" or ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

    @property
    def here(self) -> bool:
        """Whether it runs on this machine, by any of its names, so that a folder which it names is one of ours."""
        return self.loopback or _ours(urlsplit(self.url).hostname or "")

    @property
    def spec(self) -> str:
        return f"openai:{self.url}#{self.model}"


def served(spec: str) -> Served:
    """StepvizError where it names no server; what it holds of a password is not repeated."""
    kind, _, rest = spec.strip().partition(":")
    address, _, model = rest.partition("#")
    if kind != "openai" or not address:
        raise StepvizError(f"{kind or 'nothing'!r} names no server: give {FORM}")
    try:
        url = urlsplit(address.strip())
        _ = url.port
    except ValueError:
        raise StepvizError(f"this is no URL of a server: give {FORM}") from None
    if url.username is not None or url.password is not None or url.query:
        raise StepvizError(f"leave keys out of the URL, they come from OPENAI_API_KEY: give {FORM}")
    if url.scheme.lower() not in ("http", "https") or not url.hostname or any(c.isspace() for c in address.strip()):
        raise StepvizError(f"{address[:80]!r} is no URL of a server: give {FORM}")
    where = f"{url.scheme.lower()}://{url.netloc.lower()}{url.path.rstrip('/')}"
    if not model.strip():
        raise StepvizError(f"which of the models at {where}? Name it behind a #: {FORM}")
    return Served(where, model.strip())


def _ours(host: str) -> bool:
    """Whether all addresses of a host are this machine's own."""
    import psutil

    internet = (socket.AF_INET, socket.AF_INET6)
    own = {_bare(at.address) for of in psutil.net_if_addrs().values() for at in of if at.family in internet}
    try:
        found = {_bare(str(at[4][0])) for at in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        return False
    return all(at in own or at.is_loopback or at.is_unspecified for at in found)


def _bare(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Without the interface that may stand behind a %."""
    return ipaddress.ip_address(address.partition("%")[0])
