"""What a channel's row does to a request that goes up: operations on its body and headers, compiled when rows are read.

Takes the row's object; gives ``Overrides`` whose steps are plain functions. Knows no call: what conditions may ask of
one stands in ``Circumstances``.
"""
