/*
 * Last of all: PUBLIC gets nothing.  Whoever is to use tasksync is given access
 * by grant_access.
 */

REVOKE ALL ON SCHEMA tasksync FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA tasksync FROM PUBLIC;
REVOKE ALL ON ALL SEQUENCES IN SCHEMA tasksync FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA tasksync FROM PUBLIC;
