"""What chooses: names and aliases, channels and their table, groups, and the attempts of a call in their order.

Takes a Program, the database's channels and options; gives tables that never change. Knows nothing of bodies, accounts'
balances or answers, and no stage of a call.
"""
