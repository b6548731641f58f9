"""The store: tables, migrations, and the only queries of the project."""
