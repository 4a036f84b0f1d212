"""WebSockets for Python, whole: an ASGI server whose WebSocket side is right and fast."""

__version__ = "0.1.0"
