/*-------------------------------------------------------------------------
 *
 * cycle.h
 *	  The inside of a cycle, shared by the files of this room only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_CYCLE_H
#define TASKSYNC_CYCLE_H

#include "sync/guard.h"
#include "sync/sync.h"

#define TS_OBSERVE_BATCH	1000 /* observations merged in one transaction */
#define TS_PUSH_BATCH		60	/* writes under way without being recorded: some full batches */
#define TS_CANDIDATE_BATCH	500
#define TS_PUSH_PASSES		3	/* rounds of "it changed there: merge, try again" */

typedef enum TsPhase
{
	TS_PHASE_LIST_CREATE,
	TS_PHASE_LOOK,
	TS_PHASE_RECOVER,
	TS_PHASE_PULL,
	TS_PHASE_EXAMINE,
	TS_PHASE_FETCH,
	TS_PHASE_ABSENT,
	TS_PHASE_PULLED,
	TS_PHASE_BARRIER,			/* end of the pull stage */
	TS_PHASE_TOMBSTONES,
	TS_PHASE_BURY,
	TS_PHASE_BURIED,			/* end of the burial stage */
	TS_PHASE_LIST_META,
	TS_PHASE_CANDIDATES,
	TS_PHASE_SEND,
	TS_PHASE_READ_BACK,
	TS_PHASE_SETTLE,
	TS_PHASE_PUSHED,			/* end of the push stage */
	TS_PHASE_DELETE,
	TS_PHASE_FINISH,
	TS_PHASE_END
} TsPhase;

/* A growing array of ids. */
typedef struct TsIds
{
	char	  **id;
	int			n;
	int			max;
} TsIds;

/* One write on its way: what was meant, what became of it, what was read back. */
typedef struct TsDelivery
{
	TsIntent	intent;
	TsPush		push;
	bool		read_back;		/* obs is there */
	TsObservation obs;
	TsRemoteTask remote;		/* obs decoded */
	TsRemoteTask expected;		/* intent's payload decoded: what we meant to be there */
	char	   *uid;
	const TsLinkRow *moved;		/* a deletion, and the task goes on elsewhere; else NULL */
	bool		copying;		/* a move done as a create, and a delete later */
	bool		resent;			/* a move in doubt whose object was still here */
	bool		again;			/* a deletion that met a change of no consequence */
} TsDelivery;

/* One mapping's way through the cycle. */
typedef struct TsRun
{
	TsMapping  *m;
	MemoryContext cxt;
	bool		pull_only;
	bool		in_doubt;		/* there were writes in doubt: some may still be */
	TsPhase		phase;
	TsPhase		after_settle;
	bool		held;
	bool		only_here;		/* what went wrong last may be this list's alone */
	TsError		error;
	TsError		push_error;		/* what ended a push; raised once its results are settled */

	/* the list, as it was looked at; NULL: it was not, or is not there */
	TsList	   *list;

	/*
	 * Its ids may mean something else than before (another server): nothing is
	 * deleted on either side, and what is missing is made anew.
	 */
	bool		rebase;
	bool		unburied;		/* something gone has to wait still */
	bool		keep_cursor;	/* what the pull brought was not all taken in */

	/* pull */
	int64		fetch_seq;		/* taken when the request under way started */
	int64		again_seq;		/* … the first of the second pull, 0: there was none */
	int			nchanged;		/* linked objects that are not as they were: … */
	TsObservation *texts;		/* … those that came with their text, … */
	int			ntexts;
	TsIds		changed;		/* … and the others: to be examined, then fetched */
	int			nexamined;
	int		   *nfield;			/* in how many of those examined each field is another */
	TsIds		fetch;			/* to be fetched whole */
	int			nfetched;		/* how many of them were asked for */
	TsIds		gone;			/* proved gone, linked here */
	TsIds		dug_up;			/* proved gone before, and listed now */
	TsIds		lost_creates;	/* in doubt; what this pull does not show was not made */
	bool		complete;		/* the listing named every object there is */
	bool		looked_for_absent;	/* what it left out is on the fetch list, or was asked for */
	bool		was_complete;	/* … and it was complete */
	bool		untold;			/* … and there was something */
	int64		listed_seq;		/* taken then: what is found by asking, the cursor may not know of */
	char	   *cursor;
	uint64	   *seen;			/* open-addressing set of id hashes */
	int			nseen;
	int			seen_size;		/* a power of two, 0: none */
	bool		wants_barrier;	/* a deletion or a possible move was met */
	bool		found_moving;	/* … just now: the other half may be in a list read before */
	bool		read_before;	/* this is a second pull, of what happened since */
	bool		barrier_passed; /* every list was read: what is fetched now is to be buried */
	bool		list_gone;		/* the list is not there */

	/* first pull: our side's unlinked tasks, and objects that look like them */
	TsLinkRow  *unlinked;
	int			nunlinked;
	struct TsMergeItem *held_back;
	int			nheld_back;
	int			max_held_back;

	/* push */
	int			pass;
	bool		again;			/* something was merged on the way: one more pass */
	TsIds		waiting;		/* tasks that come after their parents */
	int64		pushed_before;	/* … and how many were created before this pass */
	char	   *after;			/* keyset position among the candidates */
	bool		last_candidates;
	TsLinkRow  *rows;			/* candidates of this batch … */
	int			nrows;
	int			next_row;
	TsDelivery *deliveries;		/* … and the writes of this chunk */
	int			ndeliveries;
	int			sent;
	int			nread_back;		/* those looked at (or not to be) by now */
	TsIds		deletes;		/* tasks that are not to be in this list any more */
	int			ndeleted;		/* … of which so many were deleted here */
	int			next_delete;
	MemoryContext batch_cxt;	/* rows and deliveries */
} TsRun;

struct TsCycle
{
	const TsEnv *env;
	const TsCycleSpec *spec;
	MemoryContext cxt;
	MemoryContext step;			/* reset before every step */
	TsRun	   *runs;
	int			nruns;
	int			current;
	int64		started_at;
	bool		siblings_in;
	int			nsick;			/* lists that the service could not answer for, though others it could */
	bool		unread;			/* some list could not be read: what is gone may be there */
	bool		pulled_again;	/* lists read before something was found moving were read once more */
	TsPhase		stage_end;		/* runs go on until they stand here */
	bool		account_told;	/* the service was asked whose account it is … */
	char	   *account;		/* … and said so, or did not (NULL) */

	/* the conversation under way */
	TsConversation *conv;
	TsOp		op;
	MemoryContext op_cxt;		/* what op points to */
	void		(*on_observed) (TsCycle *c, TsRun *r, TsObservation *obs, int n);
	void		(*on_done) (TsCycle *c, TsRun *r, TsConversation *conv);

	TsCycleResult result;
};

/* cycle.c */
extern void ts_converse(TsCycle *c, TsRun *r,
						void (*on_observed) (TsCycle *c, TsRun *r, TsObservation *obs, int n),
						void (*on_done) (TsCycle *c, TsRun *r, TsConversation *conv));
extern TsOp *ts_new_op(TsCycle *c, TsRun *r, TsOpKind kind);
extern void ts_run_fail(TsCycle *c, TsRun *r, const TsError *err);
extern bool ts_is_servers_trouble(const TsError *err);
extern bool ts_transact(TsCycle *c, TsRun *r, void (*body) (void *arg), void *arg);
extern void ts_ids_add(TsRun *r, TsIds *ids, const char *id);
extern void ts_codec_options(TsCycle *c, TsCodecOptions *opt, const char *uid, const char *marker);
extern bool ts_decode(TsCycle *c, const char *payload, size_t len, TsRemoteTask *out, TsError *err);
extern void ts_progress(TsCycle *c, TsRun *r, const char *doing, int64 done, int64 total);
extern int64 ts_listing_lag(const TsCycle *c);
extern TsRun *ts_run_of(const TsCycle *c, const char *mapping_id);

/* lists.c */
extern void ts_phase_list_create(TsCycle *c, TsRun *r);
extern void ts_phase_look(TsCycle *c, TsRun *r);
extern void ts_phase_list_meta(TsCycle *c, TsRun *r);

/* brake.c */
extern bool ts_too_many_deletions(const TsCycle *c, const TsRun *r, int n, bool here);
extern void ts_hold(TsCycle *c, TsRun *r, const char *why, const char *what);
extern void ts_phase_examine(TsCycle *c, TsRun *r);

/* pull.c */
extern void ts_phase_pull(TsCycle *c, TsRun *r);
extern void ts_pull_again(TsRun *r);
extern void ts_phase_fetch(TsCycle *c, TsRun *r);
extern void ts_phase_absent(TsCycle *c, TsRun *r);
extern void ts_phase_pulled(TsCycle *c, TsRun *r);
extern void ts_phase_tombstones(TsCycle *c, TsRun *r);
extern void ts_phase_bury(TsCycle *c, TsRun *r);
extern bool ts_is_copy(const TsRun *r, const char *external_id);

/* merge.c */
typedef struct TsMergeItem
{
	TsObservation obs;
	int64		seq;
	bool		fresh;			/* asked for by its id: proof that it lives */
	TsRemoteTask remote;
	const char *match;			/* first pull: the task here that it is */
	enum
	{
		TS_MERGE_DONE,
		TS_MERGE_REFETCH,		/* may be older than what we know */
		TS_MERGE_HOLD_BACK,		/* looks like a task here: match at the end */
		TS_MERGE_WAIT_MOVE,		/* its uid is linked in a sibling list */
		TS_MERGE_ADOPT,			/* made by a create in doubt: settle that */
		TS_MERGE_AGAIN,			/* another of this batch is its task's object: merge it after that */
		TS_MERGE_WAIT_RETURN,	/* its task is away: look at it when that is back */
		TS_MERGE_FOREIGN		/* no task: leave it alone */
	}			verdict;
	TsSideCounts counts;
	bool		conflict;
} TsMergeItem;

/* An object's parent as it is here. */
typedef struct TsParent
{
	char	   *task_id;		/* NULL: there is none, or it is not here */
	bool		circular;		/* it is below the task already */
} TsParent;

extern TsParent *ts_find_parents(TsCycle *c, TsRun *r, const TsLinkRow *rows,
								 const char **parent_uids, int n);
extern void ts_merge(TsCycle *c, TsRun *r, TsObservation *obs, int n, int64 seq, bool fresh);
extern TsObservation ts_keep_observation(TsRun *r, const TsObservation *obs);
extern void ts_merge_matched(TsCycle *c, TsRun *r);
extern void ts_merge_tombstones(TsCycle *c, TsRun *r, char **external_ids, int n);
extern void ts_plan_row(TsCycle *c, TsRun *r, const TsLinkRow *row, const TsRemoteTask *remote,
						const TsParent *parent, TsPlan *plan);
extern bool ts_is_out_of_place(const TsLinkRow *row);
extern bool ts_is_disputed(const TsChange *change);
extern void ts_change_from_plan(TsCycle *c, TsRun *r, const TsLinkRow *row, const TsPlan *plan,
								const TsRemoteTask *remote, TsChange *change,
								TsSideCounts *counts);

/* push.c */
extern void ts_phase_candidates(TsCycle *c, TsRun *r);
extern void ts_phase_send(TsCycle *c, TsRun *r);
extern void ts_phase_read_back(TsCycle *c, TsRun *r);
extern void ts_phase_delete(TsCycle *c, TsRun *r);
extern TsFieldMask ts_unsent(const TsCycle *c, const TsLinkRow *row);

/* settle.c */
extern bool ts_settle_found(TsCycle *c, TsRun *r, const TsObservation *obs, const char *task_id,
							TsError *err);
extern void ts_phase_recover(TsCycle *c, TsRun *r);
extern void ts_phase_settle(TsCycle *c, TsRun *r);

#endif							/* TASKSYNC_CYCLE_H */
