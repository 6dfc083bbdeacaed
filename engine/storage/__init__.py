"""Storage: tables, migrations and queries. The only home of SQL; knows settings and errors, nothing of requests."""
