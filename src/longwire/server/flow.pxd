cimport cython


cdef class Flushable:
    cpdef object flush(self)


@cython.final
cdef class Flusher:
    cdef object _loop
    cdef list _waiting

    cpdef object add(self, Flushable connection)
    @cython.locals(connection=Flushable)
    cdef bint _flush(self, remaining) except -1
