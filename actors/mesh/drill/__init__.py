"""The incident drill: break something on purpose under traffic, and measure what happens.

`scenario` chooses the fault and knows the truth, `traffic` is the application that suffers it,
`verdict` judges tables and messages against the truth, `conductor` runs it all on a live mesh.
"""
