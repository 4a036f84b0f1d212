cimport cython

from longwire.server.flow cimport Flusher
from longwire.server.timers cimport TimerWheel


@cython.final
cdef class ServerState:
    cdef readonly object application
    cdef readonly object config
    cdef readonly object loop
    cdef readonly object context
    cdef readonly dict lifespan_state
    cdef readonly set connections
    cdef readonly object idle
    cdef readonly set tasks
    cdef readonly object address_limit
    cdef readonly object counters
    cdef readonly long long total_requests
    cdef readonly object max_requests
    cdef public object on_enough_requests
    cdef readonly TimerWheel timers
    cdef readonly Flusher flusher
    cdef readonly object drain_notice
    cdef readonly object registered
    cdef readonly object logger
    cdef readonly object access
    cdef readonly double ping_interval
    cdef readonly double ping_timeout
    cdef readonly object limits
    cdef readonly object deflate
    cdef readonly object trusted_proxies
    cdef readonly object new_engine
    cdef readonly dict http_extensions
    cdef readonly dict websocket_extensions
    cdef readonly object default_headers

    cpdef object count_request(self)
    cpdef object opened(self, connection, client)
    cpdef object admit(self, connection, client, failure=*)
    cpdef object became(self, connection, successor)
    cpdef object closed(self, connection)
    cpdef object start(self, application)
    cdef _note_idle(self)
