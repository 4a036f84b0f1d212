"""The compiled twin of direct.py, which says what these functions do."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_CheckExact, PyByteArray_GET_SIZE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_SetFromErrno
from libc.errno cimport EAGAIN, EINTR, errno

cdef extern from "<sys/socket.h>" nogil:
    ssize_t recv(int descriptor, void* data, size_t size, int flags)
    ssize_t send(int descriptor, const void* data, size_t size, int flags)
    enum: MSG_DONTWAIT

cdef extern from *:
    """
    #define LONGWIRE_RECEIVE_BYTES (256 * 1024)
    static char longwire_received[LONGWIRE_RECEIVE_BYTES];
    """
    enum: LONGWIRE_RECEIVE_BYTES
    char* longwire_received

RECEIVE_BYTES = LONGWIRE_RECEIVE_BYTES

# The calls never wait: the GIL, which keeps the buffer ours, is not worth giving away.
# SIGPIPE is ignored by Python.


cpdef bytes receive_now(int descriptor):
    cdef ssize_t size
    while True:
        size = recv(descriptor, longwire_received, LONGWIRE_RECEIVE_BYTES, MSG_DONTWAIT)
        if size >= 0 or errno != EINTR:
            break
    if size < 0:
        PyErr_SetFromErrno(OSError)
    return PyBytes_FromStringAndSize(longwire_received, size)


cpdef Py_ssize_t send_now(int descriptor, data) except -1:
    cdef const char* start
    cdef Py_ssize_t size
    cdef ssize_t sent
    if PyByteArray_CheckExact(data):
        start, size = PyByteArray_AS_STRING(data), PyByteArray_GET_SIZE(data)
    else:
        start, size = PyBytes_AS_STRING(<bytes?>data), PyBytes_GET_SIZE(data)
    while True:
        sent = send(descriptor, start, size, MSG_DONTWAIT)
        if sent >= 0 or errno != EINTR:
            break
    if sent < 0:
        if errno == EAGAIN:
            return 0
        PyErr_SetFromErrno(OSError)
    return sent
