"""The code blocks of the three documents that say what Longwire has to do, run as tests.

`blocks/` has them word for word but for their import lines, and where a block as it stands would
fail its reader, in a corrected form that says so beside the line. `manifest.py` lists them all.
"""
