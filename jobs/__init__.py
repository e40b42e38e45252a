"""The commands: every module here runs as `python -m jobs.NAME`, by Ray, and as `x0 NAME`.

`launch/` starts and finds meshes for them; `terminal/` prints for them.
"""
