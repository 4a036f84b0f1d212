from libc.stdint cimport uint32_t

cpdef bytes mask(bytes data, Py_ssize_t start, Py_ssize_t end, uint32_t key, Py_ssize_t offset=*)
cpdef bint append_unmasked(
    bytearray buffer, bytes data, Py_ssize_t start, Py_ssize_t end, uint32_t key,
    Py_ssize_t offset, Py_ssize_t left
) except -1
cpdef str unmask_text(bytes data, Py_ssize_t start, Py_ssize_t end, uint32_t key)
