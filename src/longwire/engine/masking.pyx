"""The compiled twin of masking.py, which says what these functions do."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "Python.h":
    str PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    void* PyUnicode_DATA(object text)

cdef uint64_t HIGH_BITS = 0x8080808080808080ULL


cdef uint64_t xor(
    const uint8_t* source, uint8_t* target, Py_ssize_t size, uint32_t key, Py_ssize_t offset
) noexcept nogil:
    """Write source XOR key to target; return the OR of all bytes, to be tested for HIGH_BITS."""
    cdef uint64_t pattern, word, seen = 0
    cdef uint8_t turned[8]
    cdef Py_ssize_t i = 0
    for i in range(8):
        turned[i] = <uint8_t>(key >> (8 * ((i + offset) & 3)))  # little-endian, on any machine
    memcpy(&pattern, turned, 8)
    i = 0
    while i + 8 <= size:
        memcpy(&word, source + i, 8)
        word ^= pattern
        seen |= word
        memcpy(target + i, &word, 8)
        i += 8
    while i < size:
        target[i] = source[i] ^ turned[i & 7]
        seen |= target[i]
        i += 1
    return seen


cdef const uint8_t* part(bytes data, Py_ssize_t start, Py_ssize_t end) except NULL:
    if not 0 <= start <= end <= PyBytes_GET_SIZE(data):
        raise IndexError("start and end lie outside of the data")
    return <const uint8_t*>PyBytes_AS_STRING(data) + start


cpdef bytes mask(bytes data, Py_ssize_t start, Py_ssize_t end, uint32_t key, Py_ssize_t offset=0):
    cdef const uint8_t* source = part(data, start, end)
    cdef bytes masked = PyBytes_FromStringAndSize(NULL, end - start)
    xor(source, <uint8_t*>PyBytes_AS_STRING(masked), end - start, key, offset)
    return masked


cpdef bint append_unmasked(
    bytearray buffer, bytes data, Py_ssize_t start, Py_ssize_t end, uint32_t key,
    Py_ssize_t offset, Py_ssize_t left
) except -1:
    cdef const uint8_t* source = part(data, start, end)
    cdef Py_ssize_t size = PyByteArray_GET_SIZE(buffer)
    cdef Py_ssize_t needed = size + end - start
    cdef uint8_t* target
    if left > 0:
        PyByteArray_Resize(buffer, needed + min(left, needed))  # and half of it is kept in reserve
    PyByteArray_Resize(buffer, needed)
    target = <uint8_t*>PyByteArray_AS_STRING(buffer) + size
    return not xor(source, target, end - start, key, offset) & HIGH_BITS


cpdef str unmask_text(bytes data, Py_ssize_t start, Py_ssize_t end, uint32_t key):
    cdef const uint8_t* source = part(data, start, end)
    cdef Py_ssize_t size = end - start
    cdef uint8_t one
    cdef str text
    cdef uint8_t* target
    if size == 0:
        return ""
    if size == 1:
        one = source[0] ^ (key & 255)
        return PyUnicode_DecodeUTF8(<char*>&one, 1, NULL)
    # Most text is ASCII: unmask straight into the string, and look afterwards if it was.
    text = PyUnicode_New(size, 127)
    target = <uint8_t*>PyUnicode_DATA(text)
    if xor(source, target, size, key, 0) & HIGH_BITS:
        return PyUnicode_DecodeUTF8(<char*>target, size, NULL)
    return text
