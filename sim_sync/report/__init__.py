"""The report that a manager opens: figures of the warehouse as one HTML file that needs nothing else.

What is counted, and the sentences, are in `core.report` and `warehouse.report`. Here is their form: no SQL.
"""
