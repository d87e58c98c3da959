-- SQLite has no roles, so there is nothing to guard. PostgreSQL's migration of this name makes a trigger.
SELECT 1;
