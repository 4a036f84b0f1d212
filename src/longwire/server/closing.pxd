cimport cython

from longwire.server.timers cimport Timed, TimerWheel

cpdef object pause_reading(transport)
cpdef object resume_reading(transport)


@cython.final
cdef class Closing:
    cdef Timed _entry
    cdef TimerWheel _timers
    cdef object _transport
    cdef double _interval
    cdef long long _unread

    cpdef object give_time(self)
    cpdef object close(self)
    cpdef object linger(self)
    cpdef object on_timer(self)


cdef long long _count_unread(transport) except -1
