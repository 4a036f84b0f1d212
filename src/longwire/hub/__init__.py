"""Rooms: who is connected, who is where, one message to many, on one process or many machines."""
