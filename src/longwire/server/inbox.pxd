cimport cython

from longwire.server.awaitable cimport Awaitable


cdef class Receive(Awaitable):
    cdef Inbox _inbox
    cdef Receive following

    cpdef object poll(self)
    cpdef object forsake(self)


@cython.locals(receive=Receive)
cdef Receive new_receive(Inbox inbox, loop)


@cython.final
cdef class Inbox:
    cdef object _reader
    cdef object _loop
    cdef Py_ssize_t _limit
    cdef list _messages
    cdef Py_ssize_t _next
    cdef Py_ssize_t _size
    cdef bint _is_connect_told
    cdef bint _was_full
    cdef dict _disconnect
    cdef Receive _parked

    cpdef bint put(self, list messages, Py_ssize_t size) except -1
    @cython.locals(messages=list)
    cpdef object take(self, Receive receive)
    cdef _park(self, Receive receive)
    cpdef object forget(self, Receive receive)
    @cython.locals(receive=Receive, following=Receive)
    cdef _wake(self, bint at_once)
