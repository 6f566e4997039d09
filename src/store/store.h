/*-------------------------------------------------------------------------
 *
 * store.h
 *	  What the engine asks of the database, set by set.
 *
 * The engine (src/sync) knows no SQL: it reaches the database through this
 * table of functions, so that the same engine runs over PostgreSQL (store.c)
 * and, in tests, over memory.  Every call takes and gives arrays; there is no
 * call per task.
 *
 * transact() runs a body in one transaction.  The other functions are only
 * called from within a body; they report trouble by leaving it (in a backend
 * an ERROR), whereupon the transaction is rolled back and transact() gives
 * the error by value.  No body ever waits for the network.
 *
 * Everything returned is allocated in CurrentMemoryContext of the caller.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_STORE_H
#define TASKSYNC_STORE_H

#include "provider/provider.h"
#include "task/plan.h"
#include "task/task.h"

/* One list mapping with its state, as loaded at the start of a cycle. */
typedef struct TsMapping
{
	char	   *id;
	char	   *user_id;
	char	   *provider_id;
	char	   *project_id;
	char	   *external_list_id;	/* NULL: the list is yet to be made */
	char	   *name;
	TsDirection direction;
	TsPolicy	policy;			/* the mapping's, else the provider's */
	bool		mirror;
	bool		is_auto_scheduled;
	bool		sync_project_name;
	char	   *cursor;
	int64		pulled_seq;		/* what was written before that number, the cursor knows of */
	char	   *caps;
	bool		first_pull;		/* no pull was ever completed: matching is on */
	bool		audit_due;		/* a complete listing is due */
	bool		compare_due;	/* every task is to be compared with its link */
	bool		held;			/* read only, until deletions are confirmed */
	bool		deletions_confirmed;
	int64		nlinks;			/* live links */
	char	   *project_name;
	char	   *project_color;
	bool		list_agreed;	/* name and colour were compared before: */
	char	   *base_name;		/* … the list's as they then were */
	char	   *base_color;
	char	   *base_project_name;	/* … and the project's */
	char	   *base_project_color;
	bool		project_from_list;	/* not agreed yet: the project takes them from the list */
	char	   *gone_since;		/* the list was first found missing then */
	char	   *scope;			/* what its objects' ids were good for (provider's scope and list) … */
	char	   *account;		/* … whose account the service said it is … */
	char	   *auth_version;	/* … to these credentials; NULL: not known yet */
	bool		native_moves;	/* objects move between the provider's lists; else they are made anew */
} TsMapping;

/* A link, with the task it links, locked for the rest of the transaction. */
typedef struct TsLinkRow
{
	char	   *task_id;
	bool		linked;			/* there is a task_link row for this mapping */
	bool		dead;			/* the link is only a memory */
	bool		parted;			/* … for as long as its task is where no service looks */
	char	   *mapping_id;
	char	   *external_id;
	char	   *etag;
	char	   *uid;
	char	   *payload;
	size_t		payload_len;
	char	   *modified_at;	/* of the object as last seen, canonical timestamp, or NULL */
	int64		write_seq;
	char	  **prev_etags;
	int			nprev_etags;
	TsTask		local_base;
	TsTask		remote_base;
	TsFieldMask frozen;			/* fields in an open conflict */
	TsFieldMask swinging;		/* not read with the row: see swinging() */
	bool		has_local;		/* the task exists */
	TsTask		local;
	bool		in_project;		/* the task is in the mapping's project */
	char	   *parent_uid;		/* the parent's uid in this mapping, or NULL */
	bool		parent_waits;	/* there is a parent here that has no uid there yet */
	char	   *target_mapping_id;	/* moved: the mapping of its project at the same provider, or NULL */
	char	   *target_list_id;
	char	   *target_external_id; /* … and its object there, or NULL */
	bool		elsewhere;		/* moved: there is an object for it in its project's list */
	bool		owed_elsewhere; /* … which does not have all of it yet */
	bool		project_mapped; /* moved: its project has a list at some service */
	char	   *copy_of;		/* no object here: the text of one in another list of the provider, or NULL */
	size_t		copy_len;
	char	   *local_times[TS_NFIELDS];	/* last change here per field, from the journal */
	int			fail_count;
	/* links() only: */
	bool		create_in_doubt;	/* this may be what a write in doubt has made */
	char	   *sibling;		/* a mapping of the provider that links the uid by another object, or NULL */
	bool		id_is_dead;		/* the external id is remembered as dead */
} TsLinkRow;

/* What is known of an object that a listing names. */
typedef struct TsKnown
{
	bool		linked;
	bool		parked;			/* an observation of it (of that etag) was set aside */
	bool		failed;			/* … and an error was why */
	bool		buried;			/* a tombstone of it waits */
	bool		in_doubt;		/* a write of ours to it is unsettled */
	char	   *etag;
} TsKnown;

/* A write that was, or is about to be, sent. */
typedef struct TsIntent
{
	TsPushKind	kind;
	char	   *task_id;
	char	   *external_id;	/* CREATE with client ids: the id to be */
	char	   *etag;
	TsTask		snap;			/* the local values sent; known = the fields sent */
	char	   *payload;
	size_t		payload_len;
	char	   *target_list;	/* MOVE */
	char	   *target_mapping_id;
	int64		in_doubt_since; /* read back: microseconds since 1970-01-01 UTC; 0: not yet */
} TsIntent;

/* A value that lost, or two that wait for a person. */
typedef struct TsConflict
{
	TsFieldMask fields;
	const char *resolution;		/* "LOCAL", "REMOTE", "MERGED"; NULL: to be decided */
	TsTask		base;
	TsTask		local;			/* known = fields; all unknown: deleted here */
	TsTask		remote;
} TsConflict;

typedef enum TsLinkAction
{
	TS_LINK_KEEP,				/* leave as it is */
	TS_LINK_SET,				/* insert or update */
	TS_LINK_DEAD,				/* gone on one side: remember it, never import its object again */
	TS_LINK_UNBIND,				/* the object is gone, the task is to be created anew */
	TS_LINK_PART,				/* the task is where no service looks: let the object be */
	TS_LINK_COPY,				/* one more, of the mapping moved_to, unless that has an object */
	TS_LINK_DROP
} TsLinkAction;

/*
 * All that one settled task changes.  A batch of these is applied by a fixed
 * number of statements.
 */
typedef struct TsChange
{
	const char *task_id;
	TsAction	task_action;	/* CREATE, UPDATE, DELETE (into the trash) */
	TsTask		task_patch;		/* known = columns to set */

	/*
	 * CREATE: it was here before, and was deleted.  It is as it then was, or
	 * where nobody knows that any more as local_base has it, but for the patch.
	 */
	bool		revived;

	TsLinkAction link_action;
	const char *external_id;
	const char *etag;
	const char *uid;
	const char *parent_uid;		/* the parent's uid there, resolved later if unknown here */
	const char *payload;
	size_t		payload_len;
	int64		write_seq;		/* 0: leave */
	TsTask		local_base;
	TsTask		remote_base;
	const char *moved_to;		/* the link's new mapping, or NULL */
	const char *modified_at;	/* the service's time of last change */

	bool		owes;			/* something is still to be sent: see that the journal says so */

	bool		has_conflict;
	TsConflict	conflict;		/* decided */
	TsConflict	open;			/* what waits for a person, as it is now; none: no fields */

	bool		clear_intent;
	const char *clear_inbox;	/* external id whose inbox row is done with */
	const char *dead_external_id;	/* remember as dead … */
	const char *dead_uid;		/* … and that this uid was the task's */
	TsError		failure;		/* set: count a failure against the link, retry later */
	TsError		in_vain;		/* set: sent, and nothing came of it; the third time is a failure */
} TsChange;

#define TS_TRIES_IN_VAIN 3

#define TS_WAIT_MOVE	"MOVE"		/* another object of its uid is linked: it may be that one */
#define TS_WAIT_FOREIGN "FOREIGN"	/* no task */
#define TS_WAIT_RETURN	"RETURN"	/* its task is where no service looks, and may come back */

/* An observation that waits: a tombstone, a possible move, a poison item. */
typedef struct TsInboxRow
{
	const char *external_id;
	const char *uid;			/* NULL: not known */
	const char *payload;
	size_t		payload_len;
	const char *etag;
	bool		gone;
	int64		fetch_seq;
	int64		since;			/* read back: when it came, microseconds since 1970-01-01 UTC */
	const char *wait_for;		/* TS_WAIT_…, or NULL */
	TsError		error;
} TsInboxRow;

typedef struct TsPullEnd
{
	const char *cursor;
	const char *caps;			/* NULL: as before */
	bool		complete;		/* that was a complete listing */
	int64		seq;			/* what was written before, the cursor knows of; 0: as before */
	bool		untold;			/* the number is to be kept even if all else is as before */
} TsPullEnd;

/* What a mapping's ids are good for, as it is now. */
typedef struct TsScope
{
	const char *scope;
	const char *account;		/* NULL: not told */
	const char *auth_version;
} TsScope;

typedef struct TsStore
{
	bool		(*transact) (void *db, void (*body) (void *arg), void *arg, TsError *err);

	/* A number larger than any before, for ordering reads and writes. */
	int64		(*next_seq) (void *db);

	/* pull */
	TsKnown    *(*known) (void *db, const TsMapping *m, const char **external_ids, int n);
	char	  **(*external_ids) (void *db, const TsMapping *m, int64 written_since, int *n);

	/*
	 * One row per observation: found by external id, else by the uid of a link
	 * without an object (unless its task is gone, too).  Where there is no link
	 * (linked = false) task_id says whose object it is all the same: of a
	 * create in doubt or a task here by the marker, or of a task whose object
	 * of this uid died at the provider.  A sibling counts only while it takes
	 * part in syncs.
	 */
	TsLinkRow  *(*links) (void *db, const TsMapping *m,
						  const char **external_ids, const char **uids,
						  const char **markers, int n);
	/* the same by task; rows come in the order of task_ids */
	TsLinkRow  *(*links_by_task) (void *db, const TsMapping *m, const char **task_ids, int n);
	/* parents' uids -> task ids here; NULL where there is none */
	char	  **(*parents) (void *db, const TsMapping *m, const char **uids, int n);
	/* would the task, put under that parent (NULL: none), be its own ancestor? */
	bool	   *(*circular) (void *db, const TsMapping *m, const char **task_ids,
							 char **parent_ids, int n);
	/* first pull: the project's tasks that no mapping of this provider links */
	TsLinkRow  *(*unlinked) (void *db, const TsMapping *m, int *n);

	void		(*inbox_put) (void *db, const TsMapping *m, const TsInboxRow *rows, int n);

	/*
	 * Tombstones (gone), possible moves, what came for a task that was away and
	 * is back (or gone for good), and poison that is due again; in order of arrival.
	 */
	TsInboxRow *(*inbox) (void *db, const TsMapping *m, int *n);
	void		(*inbox_drop) (void *db, const TsMapping *m, const char **external_ids, int n);

	/*
	 * Among the provider's lists: where a link's object is proved gone and an
	 * object of the same uid waits (or was set aside) in another list, the link
	 * goes over there, with the task, what is owed, and an update in doubt.
	 * First of all, where the task has a link there already, this one is over.
	 * Says how many tasks went.
	 */
	int			(*relink_moves) (void *db, const TsMapping *m);

	void		(*apply) (void *db, const TsMapping *m, const TsChange *changes, int n);
	void		(*pull_end) (void *db, const TsMapping *m, const TsPullEnd *end);
	/* the mapping's links are good in this scope */
	void		(*scope_known) (void *db, const TsMapping *m, const TsScope *scope);

	/*
	 * For each task the fields that syncs have overwritten again and again of
	 * late, going to and fro between a few values.
	 */
	TsFieldMask *(*swinging) (void *db, const TsMapping *m, const char **task_ids, int n);

	/* push */
	/* tasks after "after" (NULL: from the start) that may differ from their link */
	TsLinkRow  *(*candidates) (void *db, const TsMapping *m, const char *after, int limit, int *n);
	void		(*intents_put) (void *db, const TsMapping *m, const TsIntent *intents, int n);
	TsIntent   *(*intents) (void *db, const TsMapping *m, int *n);
	/* whoever sent these is no more: they are in doubt from now on */
	void		(*intents_doubt) (void *db, const TsMapping *m);
	/* journal rows up to the candidates' snapshot, of tasks that owe nothing now, are done */
	void		(*push_end) (void *db, const TsMapping *m);

	/* lists */
	void		(*list_made) (void *db, const TsMapping *m, const TsList *list);
	void		(*list_agreed) (void *db, const TsMapping *m, const char *name, const char *color,
								bool set_project);
	void		(*hold) (void *db, const TsMapping *m, const char *why);
	/* the list is not there: says whether it has been missing for too long now */
	bool		(*list_missing) (void *db, const TsMapping *m);
	void		(*mapping_end) (void *db, const TsMapping *m, const TsError *err);
} TsStore;

extern const TsStore ts_sql_store;

#endif							/* TASKSYNC_STORE_H */
