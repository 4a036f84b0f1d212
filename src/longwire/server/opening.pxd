cimport cython

from longwire.server.state cimport ServerState


@cython.final
cdef class Opening:
    cdef object _request
    cdef object _response
    cdef ServerState _server
    cdef object _transport
    cdef public bytes early
    cdef readonly bint is_answered
    cdef readonly object scope

    cpdef tuple accept(self, message)
    cdef _limits(self, max_size)
    cpdef object refuse(self, status, text, failure)
    cpdef object start_denial(self, message)
    cpdef object continue_denial(self, message)
    cpdef object on_lost(self)
    cdef _on_refused(self, status, failure)
