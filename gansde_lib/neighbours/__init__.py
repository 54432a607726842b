"""Labs for the results that stand around the two papers: one module for each, named like its page.

A module holds the work's small model, `measure`, which runs it and its controls, and `replication`, which turns what was
measured into the evidence for the work's claim.
"""
