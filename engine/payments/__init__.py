"""Payment services as their documents say: what is offered, how an order begins, how one is told of and asked for.

Takes a program's payments, the console's options and rows of people; knows nothing of HTTP servers. Orders and money
are ``engine.accounts.orders``.
"""
