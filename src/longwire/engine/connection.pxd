cimport cython

from longwire.engine.frame_writer cimport write_frame, write_masked_frame, write_text_frame
from longwire.engine.frames cimport FrameHeader
from longwire.engine.masking cimport append_unmasked, mask, unmask_text
from longwire.engine.prepared cimport Prepared
from longwire.engine.utf8 cimport checked_until

cdef object OPEN
cdef object CLOSING
cdef object CLOSED


@cython.final
cdef class Connection:
    cdef bint _is_client
    cdef object _masking_key
    cdef long long _max_size
    cdef object _deflate
    cdef object _state
    cdef FrameHeader _header
    cdef bytes _rest
    cdef long long _left
    cdef unsigned int _key
    cdef int _offset
    cdef bint _is_final
    cdef int _opcode
    cdef bint _is_compressed
    cdef bytearray _message
    cdef Py_ssize_t _checked
    cdef Py_ssize_t _fragments
    cdef long long _wire_size
    cdef bytearray _out
    cdef list _pongs
    cdef bytes _farewell

    @cython.locals(
        header=FrameHeader, position=Py_ssize_t, end=Py_ssize_t, size=Py_ssize_t,
        first=int, length=cython.longlong, start=Py_ssize_t,
    )
    cdef _parse(self, bytes data, list events)
    @cython.locals(opcode=int)
    cdef _check_first(self, int first)
    @cython.locals(opcode=int, limit=cython.longlong)
    cdef _start_frame(self, int first, long long length, unsigned int key)
    @cython.locals(size=Py_ssize_t)
    cdef Py_ssize_t _read_payload(self, bytes data, Py_ssize_t position, list events) except -1
    @cython.locals(message=bytearray, size=Py_ssize_t, is_ascii=bint)
    cdef _take(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    @cython.locals(message=bytearray, opcode=int)
    cdef _end_frame(self, list events)
    cdef _forget_message(self)
    cdef _on_control(self, int opcode, bytes payload, list events)
    cdef _fail(self, code, reason, list events)
    cdef _end(self, bytes farewell)
    cdef _add_pong(self, bytes payload)
    @cython.locals(out=bytearray)
    cpdef send_prepared(self, Prepared message)
    @cython.locals(out=bytearray)
    cpdef data_to_send(self)
    cdef _write_pongs(self)
    cdef _write_control(self, int opcode, payload)
    cdef _write_frame(self, int first, bytes payload)
    cdef bytearray _buffer(self)
