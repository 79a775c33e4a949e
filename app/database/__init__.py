"""The database: connections, locks, rights; the one place that knows SQLite from PostgreSQL."""
