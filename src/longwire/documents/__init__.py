"""Collaborative documents: editors of Yjs and of JSON on one text, stored, on any node."""
