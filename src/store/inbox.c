/*-------------------------------------------------------------------------
 *
 * inbox.c
 *	  Observations that wait: tombstones for the barrier, possible moves for
 *	  the sibling list, poison for another try, and what is no task at all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "store/backend.h"
#include "store/sql.h"
#include "track/track.h"

/* A service may name a thing twice in one answer: what it says last holds. */
void
ts_store_inbox_put(void *db, const TsMapping *m, const TsInboxRow *rows, int n)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.task_inbox AS o (mapping_id, user_id, external_task_id, external_uid,"
		" payload, etag, gone, fetch_seq, wait_for, fail_count, retry_at, error_code, error_message)"
		" SELECT DISTINCT ON (i.id) $1, $2, i.id, i.uid, i.payload, i.etag, i.gone, i.seq, i.wait_for,"
		"  CASE WHEN i.code IS NULL THEN 0 ELSE 1 END,"
		"  CASE WHEN i.code IS NOT NULL THEN pg_catalog.now() + " TS_RETRY_DELAY("0") " END,"
		"  i.code, i.message"
		" FROM unnest($3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[]::int8[],"
		"  $8::text[], $9::text[], $10::text[], $11::text[])"
		"  WITH ORDINALITY AS i(id, payload, etag, gone, seq, wait_for, code, message, uid, n)"
		" ORDER BY i.id, i.n DESC"
		" ON CONFLICT (mapping_id, external_task_id, user_id) DO UPDATE SET"
		" external_uid = EXCLUDED.external_uid,"
		" created_at = CASE WHEN o.gone = EXCLUDED.gone THEN o.created_at ELSE pg_catalog.now() END,"
		" payload = EXCLUDED.payload, etag = EXCLUDED.etag, gone = EXCLUDED.gone,"
		" fetch_seq = EXCLUDED.fetch_seq, wait_for = EXCLUDED.wait_for,"
		" error_code = EXCLUDED.error_code, error_message = EXCLUDED.error_message,"
		" fail_count = CASE WHEN EXCLUDED.error_code IS NULL THEN 0 ELSE o.fail_count + 1 END,"
		" retry_at = CASE WHEN EXCLUDED.error_code IS NULL THEN NULL"
		"  ELSE pg_catalog.now() + " TS_RETRY_DELAY("o.fail_count") " END",
		{UUIDOID, TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, BOOLARRAYOID, TEXTARRAYOID,
			TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID, TEXTARRAYOID}
	};
	const char **v = palloc0(sizeof(char *) * n * 8);
	bool	   *gone = palloc(sizeof(bool) * n);

	for (int i = 0; i < n; i++)
	{
		const TsInboxRow *r = &rows[i];

		gone[i] = r->gone;
		v[i] = r->external_id;
		v[n + i] = r->payload;
		v[2 * n + i] = r->etag;
		v[3 * n + i] = psprintf(INT64_FORMAT, r->fetch_seq);
		v[4 * n + i] = r->wait_for;
		v[5 * n + i] = ts_failed(&r->error) ? r->error.sqlstate : NULL;
		v[6 * n + i] = ts_failed(&r->error) ? ts_error_text(&r->error) : NULL;
		v[7 * n + i] = r->uid;
	}
	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(v, n), ts_texts(v + n, n),
		   ts_texts(v + 2 * n, n), ts_bools(gone, n), ts_texts(v + 3 * n, n),
		   ts_texts(v + 4 * n, n), ts_texts(v + 5 * n, n), ts_texts(v + 6 * n, n),
		   ts_texts(v + 7 * n, n));
}

/*
 * A possible move whose task has been put into this mapping's project here, or
 * of which a move to this list is in doubt, is our own move, not yet finished:
 * it waits until the old object is gone.  What came for a task that is away
 * waits as long as the link is parted (TsLinkRow).
 */
TsInboxRow *
ts_store_inbox(void *db, const TsMapping *m, int *n)
{
	static TsStatement stmt = {
		"SELECT i.external_task_id, i.payload, i.etag, i.gone, i.fetch_seq, i.wait_for, i.external_uid,"
		" (EXTRACT(epoch FROM i.created_at) * 1000000)::bigint"
		" FROM tasksync.task_inbox i"
		" JOIN tasksync.task_list_mapping m ON m.id = i.mapping_id AND m.user_id = i.user_id"
		" WHERE i.mapping_id = $1 AND i.user_id = $2"
		"  AND (i.gone OR i.wait_for = 'MOVE' OR i.retry_at <= pg_catalog.now()"
		"   OR (i.wait_for = 'RETURN' AND NOT EXISTS (SELECT FROM tasksync.task_link pl"
		"    JOIN tasksync.task pt ON pt.id = pl.task_id AND pt.user_id = pl.user_id"
		"    WHERE pl.mapping_id = $1 AND pl.user_id = $2 AND pl.state = 'FROZEN'"
		"     AND pl.external_task_id = i.external_task_id AND pt.project_id <> m.project_id"
		"     AND NOT EXISTS (SELECT FROM tasksync.task_list_mapping om"
		"      WHERE om.project_id = pt.project_id AND om.user_id = $2 AND om.sync_enabled"
		"       AND om.external_list_id IS NOT NULL AND om.sync_direction <> 'FROM_PROVIDER'))))"
		"  AND NOT EXISTS (SELECT FROM tasksync.task_link l"
		"   JOIN tasksync.task_list_mapping lm ON lm.id = l.mapping_id AND lm.user_id = l.user_id"
		"   LEFT JOIN tasksync.task t ON t.id = l.task_id AND t.user_id = l.user_id"
		"   LEFT JOIN tasksync.task_intent w ON w.mapping_id = l.mapping_id"
		"    AND w.task_id = l.task_id AND w.user_id = l.user_id"
		"   WHERE i.wait_for = 'MOVE' AND l.external_uid = i.external_uid AND l.user_id = $2"
		"    AND lm.id <> $1 AND lm.provider_id = m.provider_id"
		"    AND (t.project_id = m.project_id OR w.patch ->> 'mapping' = $1::text))"
		" ORDER BY i.created_at, i.external_task_id",
		{UUIDOID, TEXTOID}
	};
	TsInboxRow *rows;

	*n = ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id));
	rows = palloc0(sizeof(TsInboxRow) * (*n + 1));
	for (int i = 0; i < *n; i++)
	{
		rows[i].external_id = ts_col_text(i, 1, NULL);
		rows[i].payload = ts_col_text(i, 2, &rows[i].payload_len);
		rows[i].etag = ts_col_text(i, 3, NULL);
		rows[i].gone = ts_col_bool(i, 4);
		rows[i].fetch_seq = ts_col_long(i, 5);
		rows[i].wait_for = ts_col_text(i, 6, NULL);
		rows[i].uid = ts_col_text(i, 7, NULL);
		rows[i].since = ts_col_long(i, 8);
	}
	return rows;
}

void
ts_store_inbox_drop(void *db, const TsMapping *m, const char **external_ids, int n)
{
	static TsStatement stmt = {
		"DELETE FROM tasksync.task_inbox i WHERE i.mapping_id = $1 AND i.user_id = $2"
		" AND i.external_task_id = ANY ($3)",
		{UUIDOID, TEXTOID, TEXTARRAYOID}
	};

	ts_run(&stmt, ts_uuid(m->id), ts_text(m->user_id), ts_texts(external_ids, n));
}

/* Whatever the task owes the new list, deleted here for example: it is looked at. */
#define LOOK_THERE \
	"hinted AS (" \
	" INSERT INTO tasksync.task_change (user_id, task_id, provider_id, mapping_id, change_type)" \
	" SELECT $2, move.task_id, $1, move.new_mapping, 'UPDATE' FROM move" \
	" WHERE NOT EXISTS (SELECT FROM tasksync.task_change h WHERE h.task_id = move.task_id" \
	"  AND h.mapping_id IN (move.old_mapping, move.new_mapping) AND h.user_id = $2" \
	"  AND h.synced_at IS NULL)"

/* The tombstone g of link l's object, unless we have written the object since. */
#define IS_TOMBSTONE(g, l) \
	"(" g ".mapping_id = " l ".mapping_id AND " g ".user_id = " l ".user_id" \
	" AND " g ".external_task_id = " l ".external_task_id" \
	" AND " g ".gone AND " g ".fetch_seq >= " l ".write_seq)"

/*
 * An object w that waits in a list of mapping wm has the uid of link l of mapping lm,
 * whose object is gone: that went there.  Not where the task has an object already;
 * nor is it another task's: a copy has the uid of what it was made from.
 */
#define IS_WHERE_IT_WENT(w, wm, l, lm) \
	w ".external_uid = " l ".external_uid AND " w ".user_id = " l ".user_id AND NOT " w ".gone" \
	" AND " wm ".provider_id = " lm ".provider_id" \
	" AND (" wm ".id <> " lm ".id OR " w ".external_task_id <> " l ".external_task_id)" \
	" AND NOT EXISTS (SELECT FROM tasksync.task_link wo WHERE wo.task_id = " l ".task_id" \
	"  AND wo.mapping_id = " w ".mapping_id AND wo.user_id = " l ".user_id AND wo.id <> " l ".id" \
	"  AND wo.external_task_id IS NOT NULL)" \
	" AND NOT EXISTS (SELECT FROM tasksync.task_link wc WHERE wc.mapping_id = " w ".mapping_id" \
	"  AND wc.user_id = " l ".user_id AND wc.external_task_id = " w ".external_task_id)"

/*
 * The object of a link is proved gone in its list, and the task has a link in
 * another list of the provider already: this one is over.  (Unless it is the
 * task's home and its object waits in a third list: that was moved on, before
 * the other could be deleted.  If that one's is gone as well, this one is over
 * where the task itself has gone there: the object here was to be deleted, and
 * what turns up is the other.)  In an open conflict with that object ours stands.
 */
static int
follow_links(const TsMapping *m)
{
	static TsStatement stmt = {
		"WITH move AS MATERIALIZED ("
		" SELECT DISTINCT ON (l.id) l.id AS link_id, l.task_id, l.mapping_id AS old_mapping,"
		"  l.external_task_id AS old_id, lm.project_id AS old_project,"
		"  o.mapping_id AS new_mapping, o.external_task_id AS new_id, nm.project_id"
		" FROM tasksync.task_link l"
		" JOIN tasksync.task_list_mapping lm ON lm.id = l.mapping_id AND lm.user_id = l.user_id"
		" JOIN tasksync.task_inbox g ON " IS_TOMBSTONE("g", "l")
		" JOIN tasksync.task_link o ON o.task_id = l.task_id AND o.user_id = l.user_id"
		"  AND o.id <> l.id AND o.external_task_id IS NOT NULL"
		" JOIN tasksync.task_list_mapping nm ON nm.id = o.mapping_id AND nm.user_id = o.user_id"
		"  AND nm.provider_id = lm.provider_id"
		" WHERE lm.provider_id = $1 AND l.user_id = $2"
		"  AND (NOT EXISTS (SELECT FROM tasksync.task_inbox og WHERE " IS_TOMBSTONE("og", "o") ")"
		"   OR EXISTS (SELECT FROM tasksync.task t WHERE t.id = l.task_id AND t.user_id = l.user_id"
		"    AND t.project_id = nm.project_id AND t.project_id <> lm.project_id))"
		"  AND NOT (EXISTS (SELECT FROM tasksync.task t WHERE t.id = l.task_id AND t.user_id = l.user_id"
		"    AND t.project_id = lm.project_id)"
		"   AND EXISTS (SELECT FROM tasksync.task_inbox w"
		"    JOIN tasksync.task_list_mapping wm ON wm.id = w.mapping_id AND wm.user_id = w.user_id"
		"    WHERE " IS_WHERE_IT_WENT("w", "wm", "l", "lm") "))"
		" ORDER BY l.id, o.id"
		"), linked AS ("
		" DELETE FROM tasksync.task_link l USING move WHERE l.id = move.link_id AND l.user_id = $2"
		"), buried AS ("
		" DELETE FROM tasksync.task_inbox g USING move"
		" WHERE g.mapping_id = move.old_mapping AND g.user_id = $2"
		"  AND g.external_task_id = move.old_id"
		"), settled AS ("
		" DELETE FROM tasksync.task_intent w USING move"
		" WHERE w.mapping_id = move.old_mapping AND w.task_id = move.task_id AND w.user_id = $2"
		"), owed AS ("
		" UPDATE tasksync.task_change c SET mapping_id = move.new_mapping"
		" FROM move WHERE c.mapping_id = move.old_mapping AND c.task_id = move.task_id"
		"  AND c.user_id = $2 AND c.synced_at IS NULL"
		"), closed AS ("
		" UPDATE tasksync.task_conflict k SET resolution = 'LOCAL', resolved_at = pg_catalog.now()"
		" FROM move WHERE k.mapping_id = move.old_mapping AND k.task_id = move.task_id"
		"  AND k.user_id = $2 AND " TS_IS_OPEN("k") " RETURNING k.id, k.task_id"
		"), " LOOK_THERE "), followed AS ("
		" SELECT move.task_id, move.project_id, move.new_id, t.project_id = move.old_project AS goes,"
		"  t.sync_status = 'CONFLICT' AND t.id IN (SELECT task_id FROM closed) AS settled"
		" FROM move JOIN tasksync.task t ON t.id = move.task_id AND t.user_id = $2)"
		" UPDATE tasksync.task t SET"
		"  project_id = CASE WHEN f.goes THEN f.project_id ELSE t.project_id END,"
		"  external_task_id = CASE WHEN f.goes THEN f.new_id ELSE t.external_task_id END,"
		"  sync_status = CASE WHEN f.settled THEN " TS_STATUS_WITHOUT("t", "SELECT id FROM closed")
		"   ELSE t.sync_status END"
		" FROM followed f WHERE t.id = f.task_id AND t.user_id = $2 AND (f.goes OR f.settled)",
		{UUIDOID, TEXTOID}
	};

	return ts_run(&stmt, ts_uuid(m->provider_id), ts_text(m->user_id));
}

/*
 * The object of a link is proved gone in its list and an object of the same
 * uid waits in another list of the provider, or was set aside there: it went
 * over.  (Or in the same list: it has another name.)  Of several it is the one
 * that was seen last: it may have gone on from where it was seen before.  The
 * new object is looked at again at the next pull, since it may have been edited
 * as well; what was still to be sent to the old list is to be sent to the new
 * one, and an update in doubt is looked into there.  An open conflict goes
 * along.
 */
static int
move_links(const TsMapping *m)
{
	static TsStatement stmt = {
		"WITH move AS MATERIALIZED ("
		" SELECT DISTINCT ON (x.new_mapping, x.new_id) x.* FROM"
		" (SELECT DISTINCT ON (l.id) l.id AS link_id, l.task_id, l.mapping_id AS old_mapping,"
		"  l.external_task_id AS old_id, w.mapping_id AS new_mapping, w.external_task_id AS new_id,"
		"  nm.project_id"
		" FROM tasksync.task_link l"
		" JOIN tasksync.task_list_mapping lm ON lm.id = l.mapping_id AND lm.user_id = l.user_id"
		" JOIN tasksync.task_inbox g ON " IS_TOMBSTONE("g", "l")
		" JOIN tasksync.task_inbox w ON w.external_uid = l.external_uid AND w.user_id = l.user_id"
		" JOIN tasksync.task_list_mapping nm ON nm.id = w.mapping_id AND nm.user_id = w.user_id"
		" WHERE lm.provider_id = $1 AND l.user_id = $2 AND " IS_WHERE_IT_WENT("w", "nm", "l", "lm")
		" ORDER BY l.id, w.fetch_seq DESC, w.external_task_id) x"
		" ORDER BY x.new_mapping, x.new_id, x.link_id"
		"), linked AS ("
		" UPDATE tasksync.task_link l SET mapping_id = move.new_mapping,"
		"  external_task_id = move.new_id, etag = NULL, prev_etags = '{}',"
		/* the list's cursor may not know of it yet */
		"  write_seq = pg_catalog.nextval('tasksync.sync_seq')"
		" FROM move WHERE l.id = move.link_id AND l.user_id = $2"
		"), buried AS ("
		" DELETE FROM tasksync.task_inbox g USING move"
		" WHERE g.mapping_id = move.old_mapping AND g.user_id = $2"
		"  AND g.external_task_id = move.old_id"
		"), doubted AS ("
		" UPDATE tasksync.task_intent w SET mapping_id = move.new_mapping,"
		"  external_task_id = move.new_id"
		" FROM move WHERE w.mapping_id = move.old_mapping AND w.task_id = move.task_id"
		"  AND w.user_id = $2 AND w.kind = 'UPDATE'"
		"), settled AS ("
		" DELETE FROM tasksync.task_intent w USING move"
		" WHERE w.mapping_id = move.old_mapping AND w.task_id = move.task_id AND w.user_id = $2"
		"  AND w.kind <> 'UPDATE'"
		"), owed AS ("
		" UPDATE tasksync.task_change c SET mapping_id = move.new_mapping"
		" FROM move WHERE c.mapping_id = move.old_mapping AND c.task_id = move.task_id"
		"  AND c.user_id = $2 AND c.synced_at IS NULL"
		"), disputed AS ("
		" UPDATE tasksync.task_conflict k SET mapping_id = move.new_mapping"
		" FROM move WHERE k.mapping_id = move.old_mapping AND k.task_id = move.task_id"
		"  AND k.user_id = $2 AND " TS_IS_OPEN("k")
		"), " LOOK_THERE "), awake AS ("
		" UPDATE tasksync.task_inbox w SET wait_for = NULL, retry_at = pg_catalog.now()"
		" FROM move WHERE w.mapping_id = move.new_mapping AND w.user_id = $2"
		"  AND w.external_task_id = move.new_id)"
		" UPDATE tasksync.task t SET project_id = move.project_id, external_task_id = move.new_id"
		" FROM move WHERE t.id = move.task_id AND t.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	/* A link of the task that never came to an object makes way. */
	static TsStatement clear_way = {
		"DELETE FROM tasksync.task_link o USING tasksync.task_link l"
		" JOIN tasksync.task_list_mapping lm ON lm.id = l.mapping_id AND lm.user_id = l.user_id"
		" JOIN tasksync.task_inbox g ON " IS_TOMBSTONE("g", "l")
		" JOIN tasksync.task_inbox w ON w.external_uid = l.external_uid AND w.user_id = l.user_id"
		"  AND NOT w.gone"
		" JOIN tasksync.task_list_mapping nm ON nm.id = w.mapping_id AND nm.user_id = w.user_id"
		"  AND nm.provider_id = lm.provider_id"
		" WHERE lm.provider_id = $1 AND l.user_id = $2 AND o.task_id = l.task_id"
		"  AND o.user_id = l.user_id AND o.mapping_id = w.mapping_id AND o.external_task_id IS NULL",
		{UUIDOID, TEXTOID}
	};

	ts_run(&clear_way, ts_uuid(m->provider_id), ts_text(m->user_id));
	return ts_run(&stmt, ts_uuid(m->provider_id), ts_text(m->user_id));
}

int
ts_store_relink_moves(void *db, const TsMapping *m)
{
	int			moved;

	ts_apply_mapping = m->id;
	moved = follow_links(m) + move_links(m);
	ts_apply_mapping = NULL;
	return moved;
}
