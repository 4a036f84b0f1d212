cimport cython

from longwire.engine.assembly cimport Assembly
from longwire.engine.engine cimport Engine
from longwire.engine.frame_reader cimport FrameHeader
from longwire.engine.frame_writer cimport (
    text_frame,
    write_frame,
    write_masked_frame,
    write_text_frame,
)
from longwire.engine.masking cimport mask, unmask_text
from longwire.engine.prepared cimport Prepared

cdef object OPEN
cdef object CLOSING
cdef object CLOSED
cdef int FIN, RSV1, RSV23, OPCODE, CONTROL
cdef int CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG


cdef class Connection(Engine):
    cdef bint _is_client
    cdef object _masking_key
    cdef long long _max_size
    cdef object _deflate
    cdef object _state
    cdef FrameHeader _header
    cdef bytes _rest
    cdef Assembly _assembly
    cdef object _out
    cdef list _pongs
    cdef bytes _farewell

    @cython.locals(
        header=FrameHeader, position=Py_ssize_t, end=Py_ssize_t, size=Py_ssize_t,
        first=int, length=cython.longlong, start=Py_ssize_t, assembly=Assembly,
    )
    cdef _parse(self, bytes data, list events)
    @cython.locals(opcode=int)
    cdef _check_first(self, int first)
    @cython.locals(assembly=Assembly)
    cdef _end_frame(self, list events)
    cdef _on_control(self, int opcode, bytes payload, list events)
    cdef _fail(self, code, reason, list events)
    cdef _end(self, bytes farewell)
    cdef _add_pong(self, bytes payload)
    @cython.locals(frame=bytes)
    cpdef object send_prepared(self, Prepared message)
    cpdef list receive_data(self, bytes data)
    cpdef object send(self, data, compress=*)
    cpdef object data_to_send(self)
    cdef _write_pongs(self)
    cdef _write_control(self, int opcode, payload)
    cdef _write_frame(self, int first, bytes payload)
    cdef bytearray _buffer(self)
