from longwire.server.timers cimport Timed


cdef class StreamProtocol(Timed):
    cpdef object data_received(self, bytes data)
