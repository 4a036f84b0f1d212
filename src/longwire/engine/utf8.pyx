"""The compiled twin of utf8.py, which says what this function does."""

import codecs

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

cdef uint64_t HIGH_BITS = 0x8080808080808080ULL
cdef object decode = codecs.utf_8_decode
WINDOW = 64 * 1024


cpdef Py_ssize_t checked_until(bytearray buffer, Py_ssize_t start) except -1:
    cdef Py_ssize_t end = PyByteArray_GET_SIZE(buffer)
    cdef const char* characters = PyByteArray_AS_STRING(buffer)
    cdef uint64_t word
    cdef Py_ssize_t size = 1
    if not 0 <= start <= end:
        raise IndexError("start lies outside of the buffer")
    while start + 8 <= end:
        memcpy(&word, characters + start, 8)
        if word & HIGH_BITS:
            break
        start += 8
    if start == end:
        return end
    with memoryview(buffer) as view:
        while size:
            size = decode(view[start : start + WINDOW], "strict", False)[1]
            start += size
    if end - start == 2 and buffer[start] == 0xED and buffer[start + 1] >= 0xA0:
        raise UnicodeDecodeError("utf-8", bytes(buffer[start:]), 0, 1, "surrogate")
    return start
