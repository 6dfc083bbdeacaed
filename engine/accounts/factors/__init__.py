"""How people prove more than a password: codes of an app, backup codes, passkeys; and proofs for dangerous acts."""
