cimport cython

cdef int CONTROL, FIN, MASKED, MAX_CONTROL_PAYLOAD


@cython.final
cdef class FrameHeader:
    cdef public int first
    cdef public bint is_masked
    cdef public long long length
    cdef public unsigned int key

    @cython.locals(
        available=Py_ssize_t, size=Py_ssize_t, start=Py_ssize_t,
        first=int, second=int, length=cython.ulonglong,
    )
    cpdef Py_ssize_t read(self, bytes data, Py_ssize_t position) except -1
