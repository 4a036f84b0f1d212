"""Collaborative documents: editors of Yjs and of JSON on one text, stored, on any node."""

try:
    import pycrdt as pycrdt
except ImportError:
    message = "longwire.documents needs pycrdt: pip install 'longwire[documents]'"
    raise ImportError(message) from None

from longwire.documents.documents import Authorize, Documents
from longwire.documents.operations import Operation
from longwire.documents.options import DocumentOptions, Form, Role
from longwire.documents.sqlite import SqliteStore
from longwire.documents.stores import MemoryStore, Store, Stored

__all__ = [
    "Authorize",
    "DocumentOptions",
    "Documents",
    "Form",
    "MemoryStore",
    "Operation",
    "Role",
    "SqliteStore",
    "Store",
    "Stored",
]
