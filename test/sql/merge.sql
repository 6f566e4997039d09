/*
 * The planner as merge_task() shows it: existence, fields, policies, and that
 * planning again after a plan was carried out gives nothing to do.
 */
\set VERBOSITY terse

CREATE FUNCTION pg_temp.plan(lb text, rb text, l text, r text, policy text DEFAULT 'LATEST_WINS', carries text[] DEFAULT NULL, times jsonb DEFAULT NULL, remote_time timestamptz DEFAULT NULL)
RETURNS TABLE (here text, there text, conflicts text[], lb2 text, rb2 text)
LANGUAGE sql AS $$
	SELECT COALESCE(m.local_patch::text, 'delete'), COALESCE(m.remote_patch::text, 'delete'), m.conflicts, m.new_local_base::text, m.new_remote_base::text
	FROM tasksync.merge_task(lb::jsonb, rb::jsonb, l::jsonb, r::jsonb, policy, carries, times, remote_time) m
$$;

-- existence, numbered as in the table of states: t = as in the base, T = edited, null = not there; base null = no link
SELECT s.*, p.* FROM (VALUES
	(1, NULL, 't', NULL), (2, NULL, NULL, 't'), (3, NULL, 't', 't'), (4, NULL, 't', 'T'), (7, NULL, NULL, NULL),
	(8, 't', 't', 't'), (10, 't', 'T', 't'), (11, 't', 't', 'T'), (13, 't', 'T', 'T'),
	(15, 't', 't', NULL), (16, 't', 'T', NULL), (17, 't', NULL, 't'), (18, 't', NULL, 'T'), (19, 't', NULL, NULL)) s (no, base, local, remote),
LATERAL pg_temp.plan('{"title": "' || s.base || '"}', '{"title": "' || s.base || '"}', '{"title": "' || s.local || '"}', '{"title": "' || s.remote || '"}') p
ORDER BY s.no;

-- 12: edits of different fields; 14: of the same field
SELECT * FROM pg_temp.plan('{"title": "a", "url": "u"}', '{"title": "a", "url": "u"}', '{"title": "b", "url": "u"}', '{"title": "a", "url": "v"}');
SELECT policy, p.* FROM unnest('{LATEST_WINS,LOCAL_WINS,REMOTE_WINS,MANUAL}'::text[]) policy,
LATERAL pg_temp.plan('{"title": "a", "url": "u"}', '{"title": "a", "url": "u"}', '{"title": "b", "url": "w"}', '{"title": "c", "url": "u"}', policy) p;

-- LATEST_WINS: times of the fields; a missing or equal one means that the remote wins
SELECT times, p.* FROM (VALUES ('{"title": "2026-01-02T00:00:00Z"}'::jsonb), ('{"title": "2026-01-01T00:00:00Z"}'), ('{"title": "2026-01-01T01:00:00+01:00"}'), ('{"title": null}'), ('{"url": "2026-01-02T00:00:00Z"}'), (NULL)) t (times),
LATERAL pg_temp.plan('{"title": "a"}', '{"title": "a"}', '{"title": "b"}', '{"title": "c"}', 'LATEST_WINS', NULL, times, '2026-01-01 00:00:00+00') p;
SELECT * FROM pg_temp.plan('{"title": "a"}', '{"title": "a"}', '{"title": "b"}', '{"title": "c"}', 'LATEST_WINS', NULL, '{"title": "2026-01-02T00:00:00Z"}');

-- each side is compared with its own base: what a service rounds does not echo
SELECT * FROM pg_temp.plan('{"remind_at": "2026-01-01T10:00:00.5Z"}', '{"remind_at": "2026-01-01T10:00:00Z"}', '{"remind_at": "2026-01-01T10:00:00.5Z"}', '{"remind_at": "2026-01-01T10:00:00Z"}');

-- what the service cannot carry is neither sent nor taken
SELECT * FROM pg_temp.plan('{"title": "a", "url": "u"}', '{"title": "a", "url": "u"}', '{"title": "a", "url": "v"}', '{"title": "b", "url": "w"}', carries => '{title}');
SELECT * FROM pg_temp.plan(NULL, NULL, '{"title": "a", "url": "v"}', NULL, carries => '{title}');

-- a completion beats a concurrent edit of the progress, whatever the clocks say
SELECT * FROM pg_temp.plan('{"status": "TODO", "percent_complete": null}', '{"status": "TODO", "percent_complete": null}', '{"status": "COMPLETED", "percent_complete": 100}', '{"status": "IN_PROGRESS", "percent_complete": 50}');
-- a date, its time and its zone are one
SELECT * FROM pg_temp.plan('{"due_date": "2026-01-01", "due_time": null, "time_zone": null}', '{"due_date": "2026-01-01", "due_time": null, "time_zone": null}',
	'{"due_date": "2026-01-02", "due_time": null, "time_zone": null}', '{"due_date": "2026-01-01", "due_time": "10:00:00", "time_zone": "Europe/Berlin"}', 'LOCAL_WINS');
-- tags are a set: both sides' additions and removals hold, without a conflict
SELECT * FROM pg_temp.plan('{"tags": ["a", "b"]}', '{"tags": ["a", "b"]}', '{"tags": ["b", "c"]}', '{"tags": ["a", "d"]}');
-- the first sync fills what is empty
SELECT * FROM pg_temp.plan(NULL, NULL, '{"title": "a", "description": "x", "url": null}', '{"title": "a", "description": null, "url": "u"}');

-- errors
SELECT tasksync.merge_task('[]', NULL, NULL, NULL);
SELECT tasksync.merge_task(NULL, NULL, '{"status": "DONE"}', NULL);
SELECT tasksync.merge_task(NULL, NULL, '{"due_date": "tomorrow"}', NULL);
SELECT tasksync.merge_task(NULL, NULL, NULL, NULL, 'OLDEST_WINS');
SELECT tasksync.merge_task(NULL, NULL, NULL, NULL, carries => '{title,color}');
SELECT tasksync.merge_task(NULL, NULL, NULL, NULL, local_times => '{"title": "yesterday"}');
SELECT tasksync.merge_task(NULL, NULL, NULL, NULL, local_times => '{"color": null}');
SELECT tasksync.merge_task(NULL, NULL, NULL, NULL, local_times => '[1]');
SELECT tasksync.merge_task(NULL, NULL, NULL, NULL, local_times => '{"title": 1}');
SELECT tasksync.merge_task(NULL, NULL, NULL, NULL, policy => NULL, local_times => NULL) AS defaults;

/*
 * Every combination of three fields (one alone, and two of one register), each
 * with two values at four places, or the task not there.  A record is a number:
 * 0 is not there, else 1 + its bits.
 */
CREATE FUNCTION pg_temp.record(n int) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE WHEN n > 0 THEN jsonb_build_object('title', CASE WHEN (n - 1) & 1 = 0 THEN 'a' ELSE 'b' END,
		'due_date', CASE WHEN (n - 1) & 2 = 0 THEN '2026-01-01' ELSE '2026-02-02' END,
		'due_time', CASE WHEN (n - 1) & 4 = 0 THEN NULL ELSE '10:00:00' END) END
$$;
CREATE TEMPORARY TABLE records AS SELECT n, pg_temp.record(n) AS record FROM generate_series(0, 8) n;
CREATE TEMPORARY TABLE planned AS
SELECT policy, lb.record AS lb, rb.record AS rb, l.record AS l, r.record AS r, m.*
FROM unnest('{LATEST_WINS,LOCAL_WINS,REMOTE_WINS,MANUAL}'::text[]) policy, records lb, records rb, records l, records r,
LATERAL tasksync.merge_task(lb.record, rb.record, l.record, r.record, policy) m
WHERE (lb.n = 0) = (rb.n = 0);
SELECT count(*) FROM planned;

-- a side that is deleted is there, one that is made was not
SELECT count(*) FILTER (WHERE local_patch IS NULL AND l IS NULL) AS deleted_here, count(*) FILTER (WHERE remote_patch IS NULL AND r IS NULL) AS deleted_there FROM planned;
-- no policy but MANUAL leaves sides apart that were not so before
SELECT policy, count(*) FROM planned
WHERE lb IS NOT DISTINCT FROM rb AND local_patch IS NOT NULL AND remote_patch IS NOT NULL AND COALESCE(l, '{}') || local_patch IS DISTINCT FROM COALESCE(r, '{}') || remote_patch
GROUP BY policy;
-- … and MANUAL only the fields in conflict
SELECT count(*) FROM planned
WHERE policy = 'MANUAL' AND lb IS NOT DISTINCT FROM rb AND local_patch IS NOT NULL AND remote_patch IS NOT NULL
AND ((COALESCE(l, '{}') || local_patch) - conflicts) IS DISTINCT FROM ((COALESCE(r, '{}') || remote_patch) - conflicts);
-- nothing is written that is so already
SELECT count(*) FROM planned WHERE lb IS NOT DISTINCT FROM rb AND ((l @> local_patch AND local_patch <> '{}') OR (r @> remote_patch AND remote_patch <> '{}'));
-- what nobody edited is not touched
SELECT count(*) FROM planned WHERE l = lb AND r = rb AND (local_patch <> '{}' OR remote_patch <> '{}' OR conflicts <> '{}');
-- an edit beats a deletion: nothing that was edited is deleted
SELECT count(*) FROM planned WHERE (local_patch IS NULL AND l IS DISTINCT FROM lb) OR (remote_patch IS NULL AND r IS DISTINCT FROM rb);
-- planning again after both patches gives nothing to do
SELECT count(*) FROM planned p,
LATERAL (SELECT CASE WHEN p.local_patch IS NULL OR (p.l IS NULL AND p.local_patch = '{}') THEN NULL ELSE COALESCE(p.l, '{}') || p.local_patch END AS l,
	CASE WHEN p.remote_patch IS NULL OR (p.r IS NULL AND p.remote_patch = '{}') THEN NULL ELSE COALESCE(p.r, '{}') || p.remote_patch END AS r) n,
LATERAL tasksync.merge_task(p.new_local_base, p.new_remote_base, n.l, n.r, p.policy) again
WHERE again.local_patch IS DISTINCT FROM '{}' OR again.remote_patch IS DISTINCT FROM '{}' OR again.conflicts <> p.conflicts AND p.policy = 'MANUAL';
