"""The incident drill: break something on purpose under traffic, and measure what happens.

`drill_plan` chooses the fault and knows the truth, `traffic` is the application that suffers it,
`judgement` judges tables and messages against the truth, `conductor` runs it all on a live mesh.
"""
