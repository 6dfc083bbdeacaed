"""What the console keeps beside accounts: options, groups, channels, models, vendors. Rules, and no HTTP."""
