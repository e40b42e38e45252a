"""Where readings of a real network come from: thin fetchers, and pure parsers beside them.

`source_kinds` lists the kinds of source, `source_spec` reads `KIND:WHERE`, `opening` makes the
source of it. What is sent to routers is read requests alone.
"""
