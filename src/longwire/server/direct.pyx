"""The compiled twin of direct.py, which says what these functions do."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_CheckExact, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE

cdef extern from "<sys/socket.h>" nogil:
    ssize_t send(int descriptor, const void* data, size_t size, int flags)
    enum: MSG_DONTWAIT

NONE = -1


cpdef int descriptor_of(transport) except -2:
    sock = transport.get_extra_info("socket")
    if sock is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    return sock.fileno()


cpdef write_now(transport, int descriptor, bytes data):
    if descriptor != -1 and not transport.is_closing() and not transport.get_write_buffer_size():
        data = data[send_now(descriptor, data):]
    if data:
        transport.write(data)


cpdef Py_ssize_t send_now(int descriptor, data) except -1:
    cdef ssize_t sent
    # SIGPIPE is ignored by Python. The call never waits: the GIL is not worth giving away.
    if PyByteArray_CheckExact(data):
        sent = send(
            descriptor, PyByteArray_AS_STRING(data), PyByteArray_GET_SIZE(data), MSG_DONTWAIT
        )
    else:
        sent = send(
            descriptor, PyBytes_AS_STRING(<bytes?>data), PyBytes_GET_SIZE(data), MSG_DONTWAIT
        )
    return 0 if sent < 0 else sent
