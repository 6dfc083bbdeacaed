"""Outside identities and captchas, as their documents say: where people are sent, who came back, whose account it is.

Takes a program's logins, the console's options and rows of people; knows nothing of HTTP servers. All calls go through
the guard of the pool.
"""
