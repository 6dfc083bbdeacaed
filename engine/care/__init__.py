"""What keeps an installation well: backups and their way back, what is wrong with a set-up, what an expert needs."""
