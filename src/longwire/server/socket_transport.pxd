cimport cython

from longwire.server.direct cimport receive_now, send_now
from longwire.server.poller cimport Pollable, Poller
from longwire.server.stream cimport StreamProtocol


cdef int READ, WRITE
cdef Py_ssize_t RECEIVE_BYTES


cdef class SocketTransport(Pollable):
    cdef Poller _poller
    cdef object _socket
    cdef int _descriptor
    cdef object _peername
    cdef StreamProtocol _protocol
    cdef bytearray _unsent
    cdef Py_ssize_t _high_water
    cdef int _events
    cdef bint _is_reading
    cdef bint _is_writing_paused
    cdef bint _is_eof_due
    cdef bint _is_closing
    cdef bint _is_lost
    cdef object _error

    cpdef object open(self)
    cpdef object on_events(self, int events)
    @cython.locals(data=bytes, count=int, protocol=StreamProtocol)
    cdef _read(self)
    @cython.locals(unsent=bytearray, sent=Py_ssize_t)
    cdef _write_on(self)
    cdef _end_what_is_due(self)
    cdef _wait_for(self, int events)
    cdef _lose(self, error)
    cpdef object on_error(self, error)
    cpdef object on_end(self)
    cpdef object get_extra_info(self, str name, default=*)
    cpdef object set_protocol(self, StreamProtocol protocol)
    cpdef bint is_reading(self) except -1
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cpdef object set_write_buffer_limits(self, high=*)
    cpdef Py_ssize_t get_write_buffer_size(self) except -1
    @cython.locals(sent=Py_ssize_t)
    cpdef object write(self, data)
    cpdef bint can_write_eof(self) except -1
    cpdef object write_eof(self)
    cpdef bint is_closing(self) except -1
    cpdef object close(self)
    cpdef object abort(self)
