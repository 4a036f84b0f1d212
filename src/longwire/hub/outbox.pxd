cimport cython

from longwire.hub.message cimport Message


@cython.final
cdef class Outbox:
    cdef object _send
    cdef object _prepare
    cdef object _options
    cdef object _counters
    cdef object _owner
    cdef object _state
    cdef object _write
    cdef object _queue
    cdef object _task
    cdef object _wakeup
    cdef object _drained
    cdef bint _has_sent
    cdef bint _is_sending

    cpdef bint post(self, Message message) except -1
    cdef bint _write_now(self, Message message) except -1
    cdef object _tell_drained(self)
    cdef bint _enqueue(self, Message message) except -1


@cython.locals(outbox=Outbox, sent=Py_ssize_t)
cpdef post_to_all(dict outboxes, Message message, Outbox skipped)
