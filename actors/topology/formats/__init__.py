"""The formats in which networks are described, each a pure function from bytes to a `Reading`.

`content` tells them apart by content: `read(body, source)` is what everybody calls. `collector`
accounts for every record, `fields` reads its optional parts, `metrics` says what a cost means.
"""
