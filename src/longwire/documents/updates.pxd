cimport cython

from longwire.documents.reader cimport Reader

cdef int GC, DELETED, JSON, BINARY, STRING, EMBED, FORMAT, TYPE, ANY, SUBDOCUMENT, SKIP
cdef int HAS_ORIGIN, HAS_RIGHT_ORIGIN, HAS_PARENT_KEY
cdef int XML_ELEMENT, XML_HOOK, XML_TEXT
cdef int INTEGER, TEXT, OBJECT, ARRAY, BYTES


cdef class Scanner(Reader):
    cdef object contents
    cdef dict needs

    cpdef object update(self)
    @cython.locals(count=cython.longlong, client=cython.longlong, clock=cython.longlong,
                   index=cython.longlong)
    cdef _structs(self)
    @cython.locals(info=int, kind=int, length=cython.longlong)
    cpdef long long struct(self, long long client, long long clock) except -1
    @cython.locals(kind=cython.longlong)
    cdef _references(self, int info, long long client, long long clock)
    @cython.locals(other=cython.longlong, at=cython.longlong)
    cdef _reference(self, long long client, long long clock)
    @cython.locals(count=cython.longlong, shared=cython.longlong, text=str,
                   index=cython.longlong)
    cdef long long _content(self, int kind) except *
    @cython.locals(kind=int, index=cython.longlong)
    cdef _any(self, int depth)
    @cython.locals(client=cython.longlong, clock=cython.longlong, length=cython.longlong,
                   end=cython.longlong, index=cython.longlong)
    cdef _deletions(self)
    cdef int _byte(self) except -1
    cdef _skip(self, Py_ssize_t size)
