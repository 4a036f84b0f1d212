cimport cython

from longwire.engine.masking cimport append_unmasked, mask
from longwire.engine.utf8 cimport checked_until


@cython.final
cdef class Assembly:
    cdef int _opcode
    cdef bint _is_compressed
    cdef long long _max_size
    cdef object _deflate
    cdef bytearray _buffer
    cdef Py_ssize_t _checked
    cdef Py_ssize_t _fragments
    cdef long long _wire_size
    cdef readonly long long missing
    cdef unsigned int _key
    cdef int _offset
    cdef bint _is_final

    @cython.locals(limit=cython.longlong)
    cpdef object start_frame(self, int first, long long length, unsigned int key)
    @cython.locals(size=Py_ssize_t)
    cpdef Py_ssize_t read(self, bytes data, Py_ssize_t position) except -1
    @cython.locals(buffer=bytearray, size=Py_ssize_t, left=Py_ssize_t, is_ascii=bint)
    cdef _take(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    cpdef bint end(self) except -1
    cpdef object message(self)
