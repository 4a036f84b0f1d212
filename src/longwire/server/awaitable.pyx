"""The compiled twin of awaitable.py, which says what all of this means; kept equal by the tests.

What only C can do: `am_send` lets an await end with a value and no StopIteration (PEP 492's
protocol costs an exception object per await otherwise).
"""

import asyncio
import sys

from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_INCREF

cdef extern from "Python.h":
    ctypedef enum PySendResult:
        PYGEN_RETURN
        PYGEN_ERROR
        PYGEN_NEXT
    ctypedef PySendResult (*sendfunc)(PyObject*, PyObject*, PyObject**) except PYGEN_ERROR
    ctypedef object (*iternextfunc)(object)

cdef extern from *:
    """
    #define LONGWIRE_SET_AM_SEND(type, function) \
        (((PyTypeObject *)(type))->tp_as_async->am_send = (sendfunc)(function))
    """
    void LONGWIRE_SET_AM_SEND(object type, sendfunc function)

PENDING = object()


class _NoLoop:
    def get_debug(self):
        return False


cdef object AWAKE = asyncio.Future(loop=_NoLoop())
AWAKE.set_result(None)
cdef object running_task = (
    asyncio.tasks._current_tasks.get if sys.version_info < (3, 12) else asyncio.current_task
)
cdef object CancelledError = asyncio.CancelledError


cdef class Awaitable:
    cpdef object poll(self):
        raise NotImplementedError

    cpdef object forsake(self):
        return None

    cpdef object wake(self, bint at_once):
        callback, context = self._callback, self._context
        if callback is None:
            return
        self._callback = self._context = None
        waited_for = self if self._cancelled else AWAKE
        if at_once and running_task(self._loop) is None:
            context.run(callback, waited_for)
        else:
            self._loop.call_soon(callback, waited_for, context=context)

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        result = self.poll()
        if result is PENDING:
            self._asyncio_future_blocking = True
            return self
        raise StopIteration(result)

    def send(self, value):
        return self.__next__()

    def throw(self, kind, value=None, traceback=None):
        self._callback = self._context = None
        self.forsake()
        if value is None:
            value = kind() if isinstance(kind, type) else kind
        raise value if traceback is None else value.with_traceback(traceback)

    def close(self):
        self._callback = self._context = None
        self.forsake()

    def get_loop(self):
        return self._loop

    def add_done_callback(self, callback, *, context=None):
        self._callback = callback
        self._context = context

    def cancel(self, msg=None):
        if self._callback is None:
            return False
        self._cancelled = True
        self._message = msg
        self.forsake()
        self.wake(False)
        return True

    def result(self):
        if self._cancelled:
            raise CancelledError() if self._message is None else CancelledError(self._message)

    def done(self):
        return self._callback is None


cdef PySendResult am_send(PyObject* self, PyObject* value, PyObject** result) except PYGEN_ERROR:
    cdef Awaitable awaitable = <Awaitable>self
    cdef object outcome
    result[0] = NULL
    outcome = awaitable.poll()
    if outcome is PENDING:
        awaitable._asyncio_future_blocking = True
        outcome = awaitable
        Py_INCREF(outcome)
        result[0] = <PyObject*>outcome
        return PYGEN_NEXT
    Py_INCREF(outcome)
    result[0] = <PyObject*>outcome
    return PYGEN_RETURN


LONGWIRE_SET_AM_SEND(Awaitable, am_send)
