/*-------------------------------------------------------------------------
 *
 * backend.h
 *	  The engine's database inside a server process.
 *
 * A worker gives each cycle a TsDb; every transact() is a transaction of its
 * own.  A user's reading call (task_lists, preview …) runs within the user's
 * transaction instead: in_transaction.
 *
 * Files of this room: backend.c transactions; mapping.c what is to be synced
 * and how it ended; rows.c links with their tasks; apply.c writing what was
 * planned; inbox.c observations that wait; outbox.c candidates and intents;
 * sql.c statements; values.c a task's fields as SQL's values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_STORE_BACKEND_H
#define TASKSYNC_STORE_BACKEND_H

#include "store/store.h"

/*
 * Is a task to have an object in the list of a mapping (both by their aliases)
 * of user $2?  In a mirror all of the project's are; else those made here and at
 * the mapping's own provider, unless another list of the project has it.
 */
#define TS_BELONGS(t, m) \
	"(" m ".mirror OR (" m ".id = tasksync.home_mapping(" m ".project_id, $2)" \
	" AND (" t ".provider_id IS NULL OR " t ".provider_id = " m ".provider_id" \
	"  OR NOT EXISTS (SELECT FROM tasksync.task_list_mapping hm" \
	"   WHERE hm.provider_id = " t ".provider_id AND hm.project_id = " t ".project_id" \
	"    AND hm.user_id = $2))" \
	" AND NOT EXISTS (SELECT FROM tasksync.task_link bl" \
	"  JOIN tasksync.task_list_mapping bm ON bm.id = bl.mapping_id AND bm.user_id = bl.user_id" \
	"  WHERE bl.task_id = " t ".id AND bl.user_id = $2 AND bl.state <> 'DEAD'" \
	"   AND bm.id <> " m ".id AND bm.project_id = " t ".project_id AND NOT bm.mirror)))"

typedef struct TsDb
{
	MemoryContext cxt;			/* lives as long as the cycle */
	char	   *user_id;
	char	   *provider_id;
	char	   *provider_type;
	int64		job_id;			/* 0: none */
	bool		in_transaction;
	bool		read_only;		/* lock nothing: nothing will be written */
	TsFieldMask uncarried;		/* columns that the provider has no word for */
	char	   *snapshot;		/* of the candidates of the present push */
} TsDb;

/* One provider with what a cycle needs to know of it. */
typedef struct TsProviderRow
{
	char	   *id;
	char	   *user_id;
	char	   *type;
	char	   *name;
	char	   *account_id;
	char	   *account_status;
	char	   *settings;		/* the provider's over the account's, JSON */
	char	   *url;			/* settings' url or base_url */
	bool		enabled;
} TsProviderRow;

/*
 * To be called in a transaction with SPI connected, as the owner.
 *
 * ts_load_provider: NULL when there is none of that id and user.
 * ts_load_mappings: those that take part in a sync (enabled, not held or
 *		disconnected); mapping_id NULL: all of the provider, else that one, or
 *		with "others" all but that one.
 */
extern TsProviderRow *ts_load_provider(const char *provider_id, const char *user_id);
extern TsMapping *ts_load_mappings(const char *provider_id, const char *user_id,
								   const char *mapping_id, bool others, int *n);

/* What failed for want of credentials is tried again at once. */
extern void ts_account_is_due(const char *account_id, const char *user_id);

/*
 * Run body in a transaction of its own, as the extension's owner, with SPI
 * connected; an ERROR rolls back and comes back by value.
 */
extern bool ts_in_transaction(void (*body) (void *arg), void *arg, TsError *err);

/* An ERROR just caught, by value in CurrentMemoryContext; empties the error stack. */
extern void ts_error_from_catch(TsError *err);

/*
 * Conditions for looking up single rows, in statements over mapping $1 and
 * user $2.  They are put so that no index on the mapping or the user alone can
 * serve them: with the statistics of a moment ago the planner takes a new
 * mapping for an empty one, and would walk through all of it for every row.
 */
#define TS_MINE(alias) "(" alias ".mapping_id = $1 AND " alias ".user_id = $2) IS TRUE"
#define TS_OF_USER(alias, user) "(" alias ".user_id = " user ") IS TRUE"

/* A conflict k that waits for a person. */
#define TS_IS_OPEN(k) "(" k ".resolution IS NULL AND " k ".resolved_at IS NULL)"

/*
 * The status of a task t of user $2 that shows a conflict which a sync closes:
 * an expression over the ids of the conflicts closed.
 */
#define TS_STATUS_WITHOUT(t, closed) \
	"CASE WHEN EXISTS (SELECT FROM tasksync.task_conflict ok WHERE ok.task_id = " t ".id" \
	"   AND ok.user_id = $2 AND " TS_IS_OPEN("ok") " AND ok.id NOT IN (" closed ")) THEN 'CONFLICT'" \
	"  WHEN EXISTS (SELECT FROM tasksync.task_change oc WHERE oc.task_id = " t ".id" \
	"   AND oc.user_id = $2 AND oc.synced_at IS NULL) THEN 'PENDING'" \
	"  ELSE 'SYNCED' END"

/*
 * How long what has failed waits, as an SQL expression over the number of times
 * that it had failed before.
 */
#define TS_RETRY_DELAY(failures) \
	"CASE WHEN " failures " >= 8 THEN interval '1 day'" \
	" ELSE LEAST(interval '6 h', interval '30 s' * pg_catalog.power(2, " failures ")) END"

/* rows.c */
extern int	ts_uncarried(const TsDb *d, const char **names);
extern TsKnown *ts_store_known(void *db, const TsMapping *m, const char **external_ids, int n);
extern char **ts_store_external_ids(void *db, const TsMapping *m, int64 written_since, int *n);
extern TsLinkRow *ts_store_links(void *db, const TsMapping *m, const char **external_ids,
								 const char **uids, const char **markers, int n);
extern TsLinkRow *ts_store_links_by_task(void *db, const TsMapping *m, const char **task_ids, int n);
extern char **ts_store_parents(void *db, const TsMapping *m, const char **uids, int n);
extern bool *ts_store_circular(void *db, const TsMapping *m, const char **task_ids,
							   char **parent_ids, int n);
extern TsLinkRow *ts_store_unlinked(void *db, const TsMapping *m, int *n);
extern TsFieldMask *ts_store_swinging(void *db, const TsMapping *m, const char **task_ids, int n);
extern TsLinkRow *ts_store_candidates(void *db, const TsMapping *m, const char *after,
									  int limit, int *n);

/* inbox.c */
extern void ts_store_inbox_put(void *db, const TsMapping *m, const TsInboxRow *rows, int n);
extern TsInboxRow *ts_store_inbox(void *db, const TsMapping *m, int *n);
extern void ts_store_inbox_drop(void *db, const TsMapping *m, const char **external_ids, int n);
extern int	ts_store_relink_moves(void *db, const TsMapping *m);

/* outbox.c */
extern void ts_store_intents_put(void *db, const TsMapping *m, const TsIntent *intents, int n);
extern TsIntent *ts_store_intents(void *db, const TsMapping *m, int *n);
extern void ts_store_intents_doubt(void *db, const TsMapping *m);
extern void ts_store_push_end(void *db, const TsMapping *m);

/* apply.c */
extern void ts_store_apply(void *db, const TsMapping *m, const TsChange *changes, int n);
extern void ts_store_show_status(const TsDb *d, const TsMapping *m, const char **task_ids, int n);

/* mapping.c */
extern void ts_store_pull_end(void *db, const TsMapping *m, const TsPullEnd *end);
extern void ts_store_scope_known(void *db, const TsMapping *m, const TsScope *scope);
extern void ts_store_list_made(void *db, const TsMapping *m, const TsList *list);
extern void ts_store_list_agreed(void *db, const TsMapping *m, const char *name,
								 const char *color, bool set_project);
extern void ts_store_hold(void *db, const TsMapping *m, const char *why);
extern bool ts_store_list_missing(void *db, const TsMapping *m);
extern void ts_store_mapping_end(void *db, const TsMapping *m, const TsError *err);

#endif							/* TASKSYNC_STORE_BACKEND_H */
