"""Compile the hot modules: every .py or .pyx in longwire that has a .pxd beside it, or is a .pyx.

LONGWIRE_PURE=1 skips the build, LONGWIRE_PURE=0 insists on it, unset tries: without a working
C compiler the same .py files run interpreted.
"""

import os
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_ext import build_ext

PURE = os.environ.get("LONGWIRE_PURE", "")


class optional_build_ext(build_ext):
    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # no compiler, no headers: whatever it is, the .py files work
            if PURE == "0":
                raise
            print(f"longwire: not compiled, running interpreted: {error}", file=sys.stderr)


def extensions() -> list:
    if PURE == "1":
        return []
    from Cython.Build import cythonize

    os.chdir(Path(__file__).parent)
    hot = {
        path.with_suffix("") for kind in ("pxd", "pyx") for path in Path("src").rglob(f"*.{kind}")
    }
    sources = [
        str(next(p for p in (m.with_suffix(".pyx"), m.with_suffix(".py")) if p.exists()))
        for m in sorted(hot)
        if m.name != "__init__"
    ]
    return cythonize(sources, language_level=3, compiler_directives={"annotation_typing": False})


setup(ext_modules=extensions(), cmdclass={"build_ext": optional_build_ext})
