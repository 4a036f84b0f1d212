"""On PYTHONPATH of the servers under test: those, and their workers, run what this process runs."""

import os
import sys

if os.environ.get("LONGWIRE_TEST_PURE") == "1" and "tests.pure" not in sys.orig_argv:
    from tests import pure

    if not pure.is_installed():
        sys.meta_path.insert(0, pure.InterpretedFinder())
