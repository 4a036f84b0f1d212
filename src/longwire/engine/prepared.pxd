cimport cython

from longwire.engine.frame_writer cimport write_frame


@cython.final
cdef class Prepared:
    cdef int _first
    cdef bytes _payload
    cdef dict _deflated
    cdef readonly object data
    cdef readonly Py_ssize_t size
    cdef readonly bytes frame

    cpdef bytes deflated(self, deflate)
