"""Labs for the results that stand around the two papers: one module for each, named like its page.

A module holds the small model of a work, `measure`, which runs it and its controls, and `replication`, which turns what
was measured into the evidence for the claim.
"""
