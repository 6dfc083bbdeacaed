"""Captures: exchanges that are kept, as a Policy's rules or a person for one key ask for it.

``rules`` say of which calls, ``exchange`` hears one call, ``keeping`` stores what was heard beside all calls, and
``redacting`` crosses texts out. Where no rule is in force, a call meets nothing of this but a look at a member.
"""
