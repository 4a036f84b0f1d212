from longwire.engine.engine cimport Engine
from longwire.server.awaitable cimport Awaitable
from longwire.server.flow cimport Flushable, Flusher


cdef long long FLUSH_BYTES


cdef class Outbox(Flushable):
    cdef object _transport
    cdef Flusher _flusher
    cdef Engine _engine
    cdef long long _unsent
    cdef bint _is_dirty
    cdef bint _is_paused
    cdef list _parked
    cdef readonly long long size_sent

    cpdef object open(self, Engine engine, bytes answer)
    cpdef object lose(self)
    cpdef bint is_full(self) except -1
    cpdef object add(self, Py_ssize_t size)
    cpdef object flush(self)
    cpdef object write(self)
    cpdef object pause(self)
    cpdef object resume(self)
    cpdef object park(self, Awaitable send)
    cpdef object forget(self, Awaitable send)
    cpdef object wake(self)
