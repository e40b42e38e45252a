"""What a person starts: every module runs as `python -m jobs.NAME`, by Ray, and as `x0 NAME`."""
