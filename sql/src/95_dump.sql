/*
 * What pg_dump carries: everything but jobs, inbox and intents.  The sequences
 * go along, so that numbers are not given twice after a restore; secrets are
 * ciphertext.
 */

SELECT pg_catalog.pg_extension_config_dump('tasksync.project', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.connected_account', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task_provider', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task_list_mapping', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task_link', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task_change', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task_conflict', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task_trash', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.mapping_state', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.dead_remote', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.secret', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.instance', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.task_change_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.sync_job_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('tasksync.sync_seq', '');
