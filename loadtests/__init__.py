"""Benchmarks: claims about speed, each measured beside a comparator in the same run.

They are not tests: nothing here passes or fails by a figure. `python -m loadtests` runs all of
them; with `--write`, what was measured and on what machine goes into `RESULTS.md` beside this file.
"""
