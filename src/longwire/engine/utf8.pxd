cpdef Py_ssize_t checked_until(bytearray buffer, Py_ssize_t start) except -1
