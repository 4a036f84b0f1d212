from longwire.server.poller cimport Pollable, Poller
from longwire.server.socket_transport cimport SocketTransport


cdef class Acceptor(Pollable):
    cdef Poller _poller
    cdef object _socket
    cdef int _descriptor
    cdef object _new_protocol
    cdef object _pause

    cpdef object on_events(self, int events)
    cpdef object on_error(self, error)
    cdef _begin(self, sock, peername)
    cdef _pause_for(self, error)
    cpdef object close(self)
