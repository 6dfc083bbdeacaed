"""What a database of the family is and lacks, and how it is brought to the newest schema by adding only."""
