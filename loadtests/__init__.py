"""Benchmarks: claims about speed, each measured beside a comparator in the same run.

They are no tests: nothing here passes or fails by a figure. `python -m loadtests` runs all of them
and writes what it measured, with what it was measured on, into `RESULTS.md` beside this file.
"""
