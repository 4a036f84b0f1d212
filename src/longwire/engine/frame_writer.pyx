"""The compiled twin of frame_writer.py, which says what these functions do."""

from cpython.bytearray cimport PyByteArray_AS_STRING, PyByteArray_GET_SIZE, PyByteArray_Resize
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from longwire.engine.masking cimport append_unmasked

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void* PyUnicode_DATA(object text)


cdef Py_ssize_t write_header(uint8_t* header, int first, uint8_t mask_bit, Py_ssize_t length):
    """Write a frame's header of up to 10 bytes, less the masking key; return its size."""
    cdef int i
    header[0] = <uint8_t>first
    if length < 126:
        header[1] = mask_bit | <uint8_t>length
        return 2
    if length < 65536:
        header[1] = mask_bit | 126
        header[2] = <uint8_t>(length >> 8)
        header[3] = <uint8_t>(length & 0xFF)
        return 4
    header[1] = mask_bit | 127
    for i in range(8):
        header[2 + i] = <uint8_t>((length >> (56 - 8 * i)) & 0xFF)
    return 10


cdef uint8_t* grow(
    bytearray out, int first, uint8_t mask_bit, Py_ssize_t length, Py_ssize_t extra
) except NULL:
    """Add a frame's header and `extra` bytes; return where those begin."""
    cdef uint8_t header[10]
    cdef Py_ssize_t size = write_header(header, first, mask_bit, length)
    cdef Py_ssize_t before = PyByteArray_GET_SIZE(out)
    cdef uint8_t* target
    PyByteArray_Resize(out, before + size + extra)
    target = <uint8_t*>PyByteArray_AS_STRING(out) + before
    memcpy(target, header, size)
    return target + size


cpdef write_frame(bytearray out, int first, bytes payload):
    cdef Py_ssize_t length = PyBytes_GET_SIZE(payload)
    memcpy(grow(out, first, 0, length, length), PyBytes_AS_STRING(payload), length)


cpdef bytes text_frame(int first, str text):
    cdef uint8_t header[10]
    cdef Py_ssize_t length, size
    cdef bytes payload, frame
    cdef const void* source
    if PyUnicode_IS_COMPACT_ASCII(text):
        length = PyUnicode_GET_LENGTH(text)  # a byte a character, as UTF-8 has it
        source = PyUnicode_DATA(text)
    else:
        payload = text.encode()
        length = PyBytes_GET_SIZE(payload)
        source = PyBytes_AS_STRING(payload)
    size = write_header(header, first, 0, length)
    frame = PyBytes_FromStringAndSize(NULL, size + length)
    memcpy(PyBytes_AS_STRING(frame), header, size)
    memcpy(PyBytes_AS_STRING(frame) + size, source, length)
    return frame


cpdef write_masked_frame(bytearray out, int first, bytes payload, uint32_t key):
    cdef Py_ssize_t length = PyBytes_GET_SIZE(payload)
    cdef uint8_t* target = grow(out, first, 0x80, length, 4)
    cdef int i
    for i in range(4):
        target[i] = <uint8_t>(key >> (8 * i))  # little-endian, as masking.py reads it
    append_unmasked(out, payload, 0, length, key, 0, 0)


cpdef write_text_frame(bytearray out, int first, str text):
    cdef Py_ssize_t length
    if not PyUnicode_IS_COMPACT_ASCII(text):
        write_frame(out, first, text.encode())
        return
    length = PyUnicode_GET_LENGTH(text)  # ASCII: a byte a character, as UTF-8 has it
    memcpy(grow(out, first, 0, length, length), PyUnicode_DATA(text), length)
