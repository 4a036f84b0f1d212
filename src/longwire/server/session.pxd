cimport cython

from longwire.engine.engine cimport Engine
from longwire.engine.prepared cimport Prepared
from longwire.server.awaitable cimport Awaitable
from longwire.server.closing cimport Closing
from longwire.server.inbox cimport Inbox
from longwire.server.opening cimport Opening
from longwire.server.outbox cimport Outbox
from longwire.server.state cimport ServerState
from longwire.server.stream cimport StreamProtocol

cdef object CONNECTING
cdef object OPEN
cdef object CLOSED
cdef Py_ssize_t SLICE_BYTES


cdef class Send(Awaitable):
    cdef Session _session
    cdef object _sent

    cpdef object poll(self)
    cpdef object forsake(self)


@cython.locals(send=Send)
cdef Send new_send(Session session, loop, message)


cdef class Session(StreamProtocol):
    cdef ServerState _server
    cdef object _loop
    cdef object _transport
    cdef object _scope
    cdef Opening _opening
    cdef Engine _engine
    cdef bytes _early
    cdef Py_ssize_t _early_at
    cdef Inbox _inbox
    cdef Outbox _outbox
    cdef object _state
    cdef object _ending
    cdef object _keepalive
    cdef Closing _closing
    cdef bint _is_read_paused
    cdef double _accepted_at
    cdef double _expires_at
    cdef long long _messages_received
    cdef long long _messages_sent
    cdef long long _size_received

    @cython.locals(size=Py_ssize_t)
    cpdef object data_received(self, bytes data)
    @cython.locals(fields=dict)
    cpdef object deliver(self, Send send, message)
    cpdef object forget(self, Send send)
    cdef _keep_early(self, bytes data)
    @cython.locals(left=Py_ssize_t, missing=Py_ssize_t, end=Py_ssize_t, data=bytes)
    cdef _parse_early(self)
    @cython.locals(events=list, size=Py_ssize_t)
    cdef _parse(self, bytes data)
    cdef _pause_reading(self)
    cdef _send_data(self, dict message)
    cpdef bint send_prepared(self, Prepared message) except -1
