"""From meter registers to PUE: raw readings kept for ever, the register rule, a 15-minute ledger in integer Wh, PUE over coincident intervals.

Other rooms call `service`.  The rules are in `rules`, told as a story in docs/explanation/from-registers-to-pue.md.
"""
