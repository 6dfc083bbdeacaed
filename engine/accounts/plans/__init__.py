"""Plans that users subscribe to, in New API's tables: the catalogue, and the life of a subscription.

A plan (``subscription_plans``) says price, length, amount of quota and when that begins anew; a subscription
(``user_subscriptions``) keeps what of it was agreed to. Charges to one are the ledger's.
"""
