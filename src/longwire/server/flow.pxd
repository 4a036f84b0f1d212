cimport cython


cdef class Flushable:
    cpdef object flush(self)


@cython.final
cdef class Flusher:
    cdef object _loop
    cdef list _waiting
    cdef bint _is_held

    cpdef object add(self, Flushable connection)
    cpdef object hold(self)
    cpdef object release(self)
    cpdef object _flush_all(self)
    @cython.locals(connection=Flushable)
    cdef bint _flush(self, remaining) except -1
