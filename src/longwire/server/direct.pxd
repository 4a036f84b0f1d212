cpdef bytes receive_now(int descriptor)
cpdef Py_ssize_t send_now(int descriptor, data) except -1
