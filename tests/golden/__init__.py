"""Every verdict with its parts, and a digest of every table beside the papers', as committed.

They follow from the rows under ``data/results`` and the tests of the claims. New rows or a changed
test change them on purpose: ``python -m tests.golden`` writes the file anew and says what differs.
"""
