cimport cython


cdef class Timed:
    cdef public double deadline
    cdef public int timer_slot


@cython.final
cdef class TimerWheel:
    cdef object _handle
    cdef object _loop
    cdef list _slots
    cdef long long _position
    cdef Py_ssize_t _size
    cdef double _due

    @cython.locals(now=double, deadline=double)
    cpdef object schedule(self, Timed entry, double delay)
    @cython.locals(slot=set)
    cpdef object cancel(self, Timed entry)
    @cython.locals(tick=cython.longlong, slot=set)
    cdef _insert(self, Timed entry)
    cdef _turn_at(self, double when)
    @cython.locals(entry=Timed)
    cdef _tell(self, set slot, double now)
    cdef _call(self, Timed entry)
