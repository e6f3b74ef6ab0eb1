"""Write docs/reference/ from the code: the task list and the table of keys.

`nox -s docs` writes; `tests/unit/test_reference.py` fails when the files on disk differ.
"""
