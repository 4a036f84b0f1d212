"""The brokers by their addresses: `memory://`, `redis://host:6379/0`, `nats://host:4222`."""

from __future__ import annotations

import re
from importlib import import_module

from longwire.errors import BrokerError
from longwire.hub.broker import Broker

PACKAGES = {
    "memory": "memory",
    "redis": "redis",
    "rediss": "redis",
    "unix": "redis",
    "nats": "nats",
    "tls": "nats",
}
"""The schemes, and the module (and extra) that knows each."""

ADDRESS = re.compile(r"(?:[\w.-]*|\[[0-9a-fA-F:.%]+\])(?::[0-9]*)?(?:/[^#]*)?(?=#|$)")
"""Host, port and path; a host may be a list of them, which is none of ours to read."""

UNCLEAR = re.compile(r"[/?#].*@", re.DOTALL)
"""An @ behind what ends host and port, in an address without its scheme."""


def broker_at(url: str) -> Broker:
    """Return the broker of that address, not yet opened.

    Raises BrokerError for an address that is none, and for one whose package is not installed.
    """
    scheme = scheme_of(url)
    package = PACKAGES.get(scheme)
    if package is None:
        known = ", ".join(f"{name}://" for name in PACKAGES)
        raise BrokerError(f"a broker's address begins with one of {known}; got {redacted(url)!r}")
    check_escaped(url)
    try:
        module = import_module(f"longwire.hub.brokers.{package}")
    except ImportError as error:
        raise BrokerError(
            f"{scheme}:// needs a package that is not installed ({error.name}): "
            f"pip install 'longwire[{package}]'"
        ) from None
    broker: Broker = module.broker_at(url)
    return broker


def scheme_of(url: str) -> str:
    """Return the scheme, in small letters. urlsplit()'s errors would quote the password."""
    return url.partition("://")[0].lower()


def check_escaped(url: str) -> None:
    """Raise BrokerError if it cannot be told where the credentials of the address end.

    In `redis://ann:2024?x@host` the password is `2024?x`, or the host is `ann`: whoever reads it
    the second way shows half of a password as a port, or as an option.
    """
    if UNCLEAR.search(url.partition("://")[2]):
        raise BrokerError(
            f"{redacted(url)}: what has a meaning in addresses is escaped there: "
            "@ is %40, / is %2F, ? is %3F, # is %23"
        )


def redacted(url: str) -> str:
    """Return the address for logs and errors: no user, no password, no query string.

    A password with characters that should have been escaped is none of the address either: of one
    that cannot be told apart from its credentials only the scheme is left.
    """
    scheme, separator, rest = url.partition("://")
    if not separator or not scheme.isalnum():
        return "an address without a scheme"
    plain = ADDRESS.match(rest.partition("?")[0].rpartition("@")[2])
    if plain is None or "@" in rest.partition("?")[2]:
        return f"{scheme}://"
    return f"{scheme}://{plain[0]}"
