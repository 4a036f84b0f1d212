cimport cython

from longwire.server.flow cimport Flusher


cdef class Pollable:
    cpdef object on_events(self, int events)
    cpdef object on_error(self, error)
    cpdef object on_end(self)


@cython.final
cdef class Poller:
    cdef readonly object loop
    cdef Flusher _flusher
    cdef object _epoll
    cdef dict _watched
    cdef list _ending
    cdef bint _is_telling

    cpdef object watch(self, int descriptor, Pollable pollable, int events)
    cpdef object forget(self, int descriptor)
    cpdef object end(self, Pollable pollable)
    @cython.locals(pollable=Pollable, events=int)
    cdef bint _tell(self, ready) except -1
    @cython.locals(ending=list, pollable=Pollable)
    cpdef object _end_all(self)
