/*-------------------------------------------------------------------------
 *
 * outbox.c
 *	  Writes under way, and the journal once it is worked off.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/backend.h"
#include "store/sql.h"

static const char *const kind_names[] = {
	[TS_PUSH_CREATE] = "CREATE",
	[TS_PUSH_UPDATE] = "UPDATE",
	[TS_PUSH_DELETE] = "DELETE",
	[TS_PUSH_MOVE] = "MOVE"
};

static const char *
snap_json(const TsTask *snap)
{
	StringInfoData buf;

	initStringInfo(&buf);
	ts_task_to_json(snap, snap->known, &buf);
	return buf.data;
}

/* patch: where a move goes; snap: the values that a write sends */
void
ts_store_intents_put(void *db, const TsMapping *m, const TsIntent *intents, int n)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_intent (mapping_id, user_id, task_id, kind, external_task_id, etag,"
		" snap, payload, patch, sent_at)"
		" SELECT $1, $2, i.task_id, i.kind, i.external_id, i.etag, i.snap, i.payload,"
		"  CASE WHEN i.target IS NOT NULL THEN"
		"   pg_catalog.jsonb_build_object('list', i.target, 'mapping', i.target_mapping) END,"
		"  pg_catalog.now()"
		" FROM unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[]::jsonb[],"
		"  $8::text[], $9::text[], $10::text[])"
		"  AS i(task_id, kind, external_id, etag, snap, payload, target, target_mapping)",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	const char **v = palloc0(sizeof(char *) * n * 8);

	for (int i = 0; i < n; i++)
	{
		const TsIntent *t = &intents[i];

		v[i] = t->task_id;
		v[n + i] = kind_names[t->kind];
		v[2 * n + i] = t->external_id;
		v[3 * n + i] = t->etag;
		v[4 * n + i] = snap_json(&t->snap);
		v[5 * n + i] = t->payload;
		v[6 * n + i] = t->target_list;
		v[7 * n + i] = t->target_mapping_id;
	}
	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(v, n), ts_texts(v + n, n),
		   ts_texts(v + 2 * n, n), ts_texts(v + 3 * n, n), ts_texts(v + 4 * n, n),
		   ts_texts(v + 5 * n, n), ts_texts(v + 6 * n, n), ts_texts(v + 7 * n, n));
}

TsIntent *
ts_store_intents(void *db, const TsMapping *m, int *n)
{
	static TsStatement stmt = {
		"SELECT w.task_id::text, w.kind, w.external_task_id, w.etag, w.snap::text, w.payload,"
		" w.patch ->> 'list', w.patch ->> 'mapping',"
		" (EXTRACT(epoch FROM w.in_doubt_since) * 1000000)::bigint"
		" FROM tasksync.task_intent w WHERE w.mapping_id = $1 AND w.user_id = $2 ORDER BY w.task_id",
		{UUIDOID, TEXTOID}
	};
	TsIntent   *intents;

	*n = ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id));
	intents = palloc0(sizeof(TsIntent) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		TsIntent   *t = &intents[i];
		char	   *kind = ts_col_text(i, 2, NULL);
		char	   *snap = ts_col_text(i, 5, NULL);
		TsError		err = {0};

		t->task_id = ts_col_text(i, 1, NULL);
		for (int k = 0; k < lengthof(kind_names); k++)
			if (strcmp(kind, kind_names[k]) == 0)
				t->kind = k;
		t->external_id = ts_col_text(i, 3, NULL);
		t->etag = ts_col_text(i, 4, NULL);
		if (snap && !ts_task_from_json(snap, strlen(snap), &t->snap, &err))
			elog(ERROR, "could not read an intent: %s", err.message);
		t->payload = ts_col_text(i, 6, &t->payload_len);
		t->target_list = ts_col_text(i, 7, NULL);
		t->target_mapping_id = ts_col_text(i, 8, NULL);
		t->in_doubt_since = ts_col_long(i, 9);
	}
	return intents;
}

void
ts_store_intents_doubt(void *db, const TsMapping *m)
{
	static TsStatement stmt = {
		"UPDATE tasksync.task_intent w SET in_doubt_since = pg_catalog.now()"
		" WHERE w.mapping_id = $1 AND w.user_id = $2 AND w.in_doubt_since IS NULL",
		{UUIDOID, TEXTOID}
	};

	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id));
}

/* The task t of link l is in the project of mapping m, and as it was last agreed on. */
#define IS_AT_REST \
	" AND t.id = l.task_id AND " TS_OF_USER("t", "$2") " AND m.id = $1 AND m.user_id = $2" \
	" AND t.project_id = m.project_id AND tasksync.task_fields(t) - $3::text[] = l.local_base"

/* Runs a statement that returns tasks of which nothing is to be sent after all, and shows it. */
static void
calm_down(const TsDb *d, const TsMapping *m, TsStatement *stmt, const char **uncarried, int n)
{
	int			nfound = ts_run(stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(uncarried, n));
	const char **found = palloc(sizeof(char *) * (nfound + 1));

	for (int i = 0; i < nfound; i++)
		found[i] = ts_col_text(i, 1, NULL);
	ts_store_show_status(d, m, found, nfound);
}

/*
 * Journal rows that the candidates' snapshot saw, of tasks that agree with
 * their link (or have neither task nor link any more), are done; and those of
 * tasks that another list of the project carries, that were deleted there and
 * are not to come back, or that are where no service looks.  What a task shows
 * is no longer pending then, nor an error that was.  And once everybody who might
 * have written without knowing of the mapping is gone, a comparison that went
 * through needs no repeating until tomorrow.
 */
void
ts_store_push_end(void *db, const TsMapping *m)
{
	static TsStatement done = {
		"WITH done AS ("
		" UPDATE tasksync.task_change c SET synced_at = pg_catalog.clock_timestamp(),"
		" error_code = NULL, error_message = NULL"
		" WHERE c.mapping_id = $1 AND c.user_id = $2 AND c.synced_at IS NULL"
		"  AND pg_catalog.pg_visible_in_snapshot(c.xid, $3::pg_snapshot)"
		"  AND NOT EXISTS (SELECT FROM tasksync.task_intent w WHERE w.mapping_id = $1"
		"   AND w.user_id = $2 AND w.task_id = c.task_id)"
		"  AND NOT EXISTS (SELECT FROM tasksync.task t"
		"   JOIN tasksync.task_list_mapping m ON m.id = $1 AND m.user_id = $2"
		"   LEFT JOIN tasksync.task_link l ON " TS_MINE("l")
		"    AND l.task_id = t.id"
		"   WHERE t.id = c.task_id AND " TS_OF_USER("t", "$2") " AND t.project_id = m.project_id"
		"    AND CASE WHEN l.id IS NULL THEN " TS_BELONGS("t", "m")
		"     WHEN l.state = 'DEAD' THEN false"
		"     ELSE tasksync.task_fields(t) - $4::text[] IS DISTINCT FROM l.local_base END)"
		"  AND NOT EXISTS (SELECT FROM tasksync.task_link l"
		"   LEFT JOIN tasksync.task t ON t.id = l.task_id AND t.user_id = l.user_id"
		"   JOIN tasksync.task_list_mapping m ON m.id = $1 AND m.user_id = $2"
		"   WHERE " TS_MINE("l") " AND l.task_id = c.task_id"
		"    AND CASE l.state WHEN 'DEAD' THEN t.id IS NULL"
		"     WHEN 'FROZEN' THEN t.id IS NULL OR EXISTS (SELECT FROM tasksync.task_list_mapping om"
		"      WHERE om.project_id = t.project_id AND om.user_id = $2 AND om.sync_enabled"
		"       AND om.external_list_id IS NOT NULL AND om.sync_direction <> 'FROM_PROVIDER')"
		"     ELSE true END"
		"    AND t.project_id IS DISTINCT FROM m.project_id)"
		" RETURNING c.task_id)"
		/* what was edited here and back again was sent by nobody, who would show it */
		" UPDATE tasksync.task t SET sync_status = l.sync_status"
		" FROM tasksync.task_link l, tasksync.task_list_mapping m"
		" WHERE t.id IN (SELECT task_id FROM done) AND " TS_OF_USER("t", "$2")
		"  AND t.sync_status = 'PENDING' AND m.id = $1 AND m.user_id = $2"
		"  AND t.provider_id = m.provider_id AND t.project_id = m.project_id"
		"  AND " TS_MINE("l") " AND l.task_id = t.id AND l.state = 'LIVE'",
		{UUIDOID, TEXTOID, TEXTOID, TEXTARRAYOID}
	};
	/* What was refused, and is as it was before: there is nothing left to be tried. */
	static TsStatement mended = {
		"UPDATE tasksync.task_link l SET retry_at = NULL, fail_count = 0, error_code = NULL,"
		" error_message = NULL, sync_status = 'SYNCED'"
		" FROM tasksync.task t, tasksync.task_list_mapping m"
		" WHERE " TS_MINE("l") " AND l.retry_at IS NOT NULL AND l.external_task_id IS NOT NULL" IS_AT_REST
		" RETURNING l.task_id::text",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	/* What is back from where no service looks, and as it was when it left. */
	static TsStatement back = {
		"UPDATE tasksync.task_link l SET state = 'LIVE', sync_status = 'SYNCED'"
		" FROM tasksync.task t, tasksync.task_list_mapping m"
		" WHERE " TS_MINE("l") " AND l.state = 'FROZEN'" IS_AT_REST
		" RETURNING l.task_id::text",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};
	static TsStatement compared = {
		"UPDATE tasksync.mapping_state s SET compared_at = pg_catalog.now()"
		" WHERE s.mapping_id = $1 AND s.user_id = $2"
		"  AND s.enabled_xid < pg_catalog.pg_snapshot_xmin($3::pg_snapshot)",
		{UUIDOID, TEXTOID, TEXTOID}
	};
	TsDb	   *d = db;
	const char *uncarried[TS_NFIELDS];
	int			n = ts_uncarried(d, uncarried);

	if (d->snapshot == NULL)
		return;
	ts_run(&done, ts_uuid(m->id), ts_text(m->user_id), ts_text(d->snapshot),
		   ts_texts(uncarried, n));
	calm_down(d, m, &mended, uncarried, n);
	calm_down(d, m, &back, uncarried, n);
	if (m->compare_due)
		ts_run(&compared, ts_uuid(m->id), ts_text(m->user_id), ts_text(d->snapshot));
}
