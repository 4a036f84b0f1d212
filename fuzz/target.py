"""One target under libFuzzer: `python -m fuzz.target engine [options of libFuzzer]`.

`fuzz.run` starts it with what has to be preloaded.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys

import atheris

from fuzz.build import COVERAGE


def main() -> None:
    name = sys.argv.pop(1)
    sys.argv[0] = os.environ.get("LONGWIRE_AGAIN", sys.argv[0])
    module = importlib.import_module(f"fuzz.{name}")
    module.twins()  # before the fuzzer starts: what is loaded later is not counted
    atheris.Setup(sys.argv, module.one_input)
    ctypes.CDLL(str(COVERAGE)).longwire_count_edges()
    atheris.Fuzz()


if __name__ == "__main__":
    main()
