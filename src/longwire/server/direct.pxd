cpdef int descriptor_of(transport) except -2
cpdef write_now(transport, int descriptor, bytes data)
cpdef Py_ssize_t send_now(int descriptor, data) except -1
