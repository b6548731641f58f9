"""How a served model is named: `openai:URL#MODEL`, read and checked without asking anybody."""

from __future__ import annotations

import ipaddress
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
    def here(self) -> bool:
        """Whether it runs on this machine, so that a folder which it names is one of ours."""
        name = urlsplit(self.url).hostname or ""
        try:
            return name == "localhost" or ipaddress.ip_address(name).is_loopback
        except ValueError:
            return False

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
