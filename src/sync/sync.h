/*-------------------------------------------------------------------------
 *
 * sync.h
 *	  The engine: the order of a sync.
 *
 * A cycle brings some list mappings of one provider up to date.  Like a
 * provider's conversation it is sans-I/O: the driver (a worker, a test, a
 * simulator) alternates between asking for the next request and handing in
 * the answer, and may drive hundreds of cycles at once.
 *
 *		cycle = ts_cycle_begin(env, spec);
 *		while (ts_cycle_next(cycle, &request))
 *			ts_cycle_data(cycle, chunk, len) …		(requests with "stream")
 *			ts_cycle_response(cycle, &response);
 *		… cycle's outcome by ts_cycle_result() …
 *		ts_cycle_end(cycle);
 *
 * The stages, for each mapping and then over all of them:
 *
 *	  pull		settle writes in doubt, read what changed, merge it, keep the cursor
 *	  bury		deletions proved there, once every list was read: it may be a move
 *	  push		creations and edits made here
 *	  delete	deletions made here, last of all, below the mass-delete bounds
 *
 * Which file does what: cycle.c the stages and conversations; pull.c listings,
 * fetching, absence; merge.c observations into tasks; push.c what goes out;
 * settle.c what became of it; lists.c the lists themselves, and whose they are;
 * brake.c what makes a sync stop and ask.
 *
 * The engine knows no JSON, iCalendar, URLs, SQL or sockets.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_SYNC_H
#define TASKSYNC_SYNC_H

#include "provider/provider.h"
#include "store/store.h"

/* What the engine may not know by itself: database, clock, randomness. */
typedef struct TsEnv
{
	const TsStore *store;
	void	   *db;
	int64		(*now) (void *arg); /* microseconds since 1970-01-01 UTC */
	void		(*uuid) (void *arg, char *buf); /* a random uuid, 37 bytes */
	void		(*progress) (void *arg, const TsMapping *m, const char *doing,
							 int64 done, int64 total);

	/*
	 * A rehearsal: nothing is sent.  Each write that would be is told here,
	 * with the task, or what is left of it; NULL: a real sync.
	 */
	void		(*would_send) (void *arg, const TsMapping *m, TsPushKind kind,
							   const TsLinkRow *row);
	void	   *arg;
	int			mass_delete_percent;	/* both bounds exceeded: deletions are held … */
	int			mass_delete_minimum;
	int			mass_change_percent;	/* … or changes of one field in one pull */
	int			mass_change_minimum;
	const char *default_time_zone;
} TsEnv;

typedef struct TsCycleSpec
{
	const TsProvider *provider;
	const TsSite *site;
	TsMapping  *mappings;		/* to be synced */
	int			nmappings;
	TsMapping  *siblings;		/* the provider's others: read only if a deletion is met */
	int			nsiblings;
} TsCycleSpec;

typedef struct TsSideCounts
{
	int64		created;
	int64		updated;
	int64		deleted;
} TsSideCounts;

typedef struct TsCycleResult
{
	TsSideCounts pulled;
	TsSideCounts pushed;
	int64		conflicts;
	int64		errors;			/* items set aside */
	int64		requests;
	bool		auth_failed;
	int			retry_after;	/* seconds the service asked for, or -1 */
	TsError		error;			/* the first that stopped a mapping */
} TsCycleResult;

typedef struct TsCycle TsCycle;

extern TsCycle *ts_cycle_begin(const TsEnv *env, const TsCycleSpec *spec);
extern bool ts_cycle_next(TsCycle *c, TsRequest *req);
extern void ts_cycle_data(TsCycle *c, const char *chunk, size_t len);
extern void ts_cycle_response(TsCycle *c, const TsResponse *resp);
extern const TsCycleResult *ts_cycle_result(const TsCycle *c);
extern void ts_cycle_end(TsCycle *c);

#endif							/* TASKSYNC_SYNC_H */
