\set ECHO none
/*
 * Two of each, so that nothing passes by accident: users ann and bob, each with
 * two providers, projects and mappings.  Ids are <letter of the kind><number>.
 */
\set QUIET on
SET client_min_messages = warning;
TRUNCATE tasksync.project, tasksync.connected_account, tasksync.task_provider,
	tasksync.task, tasksync.task_list_mapping, tasksync.task_link, tasksync.task_change,
	tasksync.task_conflict, tasksync.task_trash, tasksync.sync_job, tasksync.instance,
	tasksync.mapping_state, tasksync.task_intent, tasksync.task_inbox,
	tasksync.dead_remote, tasksync.secret RESTART IDENTITY;
SELECT 'CREATE ROLE ' || r FROM unnest('{regress_ann,regress_bob}'::text[]) r
WHERE to_regrole(r) IS NULL \gexec
SELECT tasksync.revoke_access('regress_ann'), tasksync.revoke_access('regress_bob') \g /dev/null
SELECT tasksync.grant_access('regress_ann'), tasksync.grant_access('regress_bob') \g /dev/null

/* uid('t12'): the letter's code in the fourth group, the number in the last */
CREATE OR REPLACE FUNCTION public.uid(name text) RETURNS uuid
LANGUAGE sql IMMUTABLE AS $$
	SELECT ('00000000-0000-0000-' || pg_catalog.lpad(pg_catalog.to_hex(pg_catalog.ascii(name)), 4, '0')
		|| '-' || pg_catalog.lpad(pg_catalog.substr(name, 2), 12, '0'))::uuid
$$;
/* the reverse, for output */
CREATE OR REPLACE FUNCTION public.name_of(id uuid) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
	SELECT pg_catalog.chr(('x' || pg_catalog.substr(id::text, 20, 4))::bit(16)::int)
		|| pg_catalog.ltrim(pg_catalog.right(id::text, 12), '0')
$$;

INSERT INTO tasksync.project (id, user_id, name)
VALUES (uid('p1'), 'regress_ann', 'House'), (uid('p2'), 'regress_ann', 'Garden'),
	(uid('p3'), 'regress_bob', 'Work'), (uid('p4'), 'regress_bob', 'Play');
INSERT INTO tasksync.connected_account (id, user_id, type, label)
VALUES (uid('a1'), 'regress_ann', 'CALDAV', 'ann@one'), (uid('a2'), 'regress_ann', 'CALDAV', 'ann@two'),
	(uid('a3'), 'regress_bob', 'CALDAV', 'bob@one'), (uid('a4'), 'regress_bob', 'CALDAV', 'bob@two');
INSERT INTO tasksync.task_provider (id, user_id, type, name, account_id)
VALUES (uid('s1'), 'regress_ann', 'CALDAV', 'One', uid('a1')), (uid('s2'), 'regress_ann', 'CALDAV', 'Two', uid('a2')),
	(uid('s3'), 'regress_bob', 'CALDAV', 'One', uid('a3')), (uid('s4'), 'regress_bob', 'CALDAV', 'Two', uid('a4'));
INSERT INTO tasksync.task_list_mapping (id, user_id, provider_id, project_id, external_list_id)
VALUES (uid('m1'), 'regress_ann', uid('s1'), uid('p1'), '/ann/house/'), (uid('m2'), 'regress_ann', uid('s2'), uid('p2'), '/ann/garden/'),
	(uid('m3'), 'regress_bob', uid('s3'), uid('p3'), '/bob/office/'), (uid('m4'), 'regress_bob', uid('s4'), uid('p4'), '/bob/play/');

/* the journal as the tests look at it: columns in the order of their names */
CREATE OR REPLACE VIEW public.journal AS
SELECT c.user_id, name_of(c.task_id) AS task, name_of(c.mapping_id) AS mapping, c.change_type,
	(SELECT pg_catalog.string_agg(d.key || ': ' || pg_catalog.concat_ws(' -> ', d.value ->> 'old', COALESCE(d.value ->> 'new', 'null')), ', ' ORDER BY d.key COLLATE "C")
	 FROM pg_catalog.jsonb_each(c.change_data) d
	 WHERE d.key NOT IN ('created_at', 'updated_at', 'completed_at', 'remind_at')
	 AND c.change_type <> 'DELETE') AS data
FROM tasksync.task_change c
ORDER BY c.id;
GRANT SELECT ON public.journal TO PUBLIC;
RESET client_min_messages;
\set QUIET off
\set ECHO all
