"""Django's settings, which a process can set only once: whichever test comes first."""

from __future__ import annotations

from django.conf import settings


def configure() -> None:
    """Set them, if no test has."""
    if not settings.configured:
        settings.configure(CHANNEL_LAYERS={})
