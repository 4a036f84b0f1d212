cimport cython

from longwire.documents.updates cimport Scanner


@cython.final
cdef class Section:
    cdef public long long client, left, first, fitting, clock
    cdef public Py_ssize_t start, position


@cython.final
cdef class Fitter(Scanner):
    cdef public dict lacking
    cdef dict reach, sections, waiting

    cpdef bytes fit(self)
    @cython.locals(client=cython.longlong, clock=cython.longlong, reach=dict)
    cdef _advance(self, Section section)
    cdef _lack(self, long long client, long long clock)
    cdef bytes _structs_that_fit(self)
    @cython.locals(client=cython.longlong, clock=cython.longlong, reach=cython.longlong,
                   behind=cython.longlong, end=cython.longlong)
    cdef bytes _deletions_that_fit(self)
