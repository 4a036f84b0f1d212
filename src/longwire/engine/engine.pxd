from longwire.engine.prepared cimport Prepared


cdef class Engine:
    cpdef list receive_data(self, bytes data)
    cpdef object send(self, data, compress=*)
    cpdef object send_prepared(self, Prepared message)
    cpdef object data_to_send(self)
