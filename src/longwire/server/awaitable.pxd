cdef class Awaitable:
    cdef public object _asyncio_future_blocking
    cdef object _loop
    cdef object _callback
    cdef object _context
    cdef bint _cancelled
    cdef object _message

    cpdef object poll(self)
    cpdef object forsake(self)
    cpdef object wake(self, bint at_once)
