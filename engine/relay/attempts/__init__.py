"""What stands around the attempts of a call: limits, what is set aside, what is tried again, what belongs together."""
