cimport cython

from longwire.server.closing cimport Closing
from longwire.server.opening cimport Opening
from longwire.server.state cimport ServerState
from longwire.server.stream cimport StreamProtocol


cdef class HttpProtocol(StreamProtocol):
    cdef readonly ServerState state
    cdef object _peer
    cdef object _transport
    cdef object _parser
    cdef bytes _target
    cdef list _headers
    cdef Py_ssize_t _fields_size
    cdef Py_ssize_t _head_size
    cdef list _ignored
    cdef object _exchange
    cdef object _pipeline
    cdef Opening _upgrade
    cdef object _refused
    cdef object _phase
    cdef Closing _closing
    cdef object _writable

    cpdef object data_received(self, bytes data)
    cdef _parse(self, bytes data)
    cdef _newest(self)
    cdef bint _in_body(self) except -1
    cdef dict _scope(self, str kind, str version)
    cdef _start_exchange(self, str method, str version)
    cdef _run(self, exchange)
    cdef _prepare_upgrade(self, str method, str version)
    cdef bytes _on_upgrade(self, bytes early)
    cdef bytes _ignore_upgrade(self)
    cdef _keep_early(self, bytes data)
    cdef _hand_over(self)
    cdef _let_go(self)
    cpdef object write(self, bytes data)
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cdef _wait(self, double seconds)
    cdef _refuse(self, refused)
    cdef _answer_refused(self, refused)
    cpdef object close(self)
    cdef _end(self, bint may_be_sending)
