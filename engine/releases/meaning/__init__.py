"""What a set of documents means to calls: what examples cost, and who wins where a row names the same thing."""
