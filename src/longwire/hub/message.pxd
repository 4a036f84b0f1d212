cimport cython


@cython.final
cdef class Message:
    cdef readonly object data
    cdef readonly object key
    cdef readonly Py_ssize_t size
    cdef public object prepared

    cpdef object prepare(self, prepare)
