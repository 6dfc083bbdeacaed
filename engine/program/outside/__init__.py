"""What documents say of services outside: payments, logins, ways of telling people."""
