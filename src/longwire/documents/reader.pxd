cimport cython


cdef class Reader:
    cdef bytes _data
    cdef Py_ssize_t _size
    cdef public Py_ssize_t position

    @cython.locals(number=cython.longlong, shift=int, position=Py_ssize_t, data=bytes, byte=cython.longlong)
    cpdef long long number(self) except *
    @cython.locals(length=cython.longlong, start=Py_ssize_t)
    cpdef bytes part(self)
    @cython.locals(start=Py_ssize_t)
    cpdef str text(self)
    @cython.locals(count=cython.longlong)
    cpdef long long count(self, int size) except *
