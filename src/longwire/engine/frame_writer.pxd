from libc.stdint cimport uint32_t

cpdef write_frame(bytearray out, int first, bytes payload)
cpdef bytes text_frame(int first, str text)
cpdef write_masked_frame(bytearray out, int first, bytes payload, uint32_t key)
cpdef write_text_frame(bytearray out, int first, str text)
