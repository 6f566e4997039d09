/*-------------------------------------------------------------------------
 *
 * run.h
 *	  One run of the simulator: a world, what happens in it, what must hold.
 *
 * Everything that may happen has a key: a user's act, a fault, a death or a
 * failed transaction at some boundary, a sync.  Whether it does, and how, is
 * drawn from the seed and the key alone, so that one thing can be left out
 * without changing what else is drawn: a run that fails is made smaller by
 * leaving out what it does not need.
 *
 *	  run.c			keys, the order of a run
 *	  users.c		what users do on all sides, and what they saw when they did
 *	  checks.c		what must hold at the end
 *	  simulate.c	options, many seeds, making a failing run small
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIMULATOR_RUN_H
#define SIMULATOR_RUN_H

#include "world.h"

#define MAX_VALUES 1024
#define MAX_ITEMS 128
#define MAX_EVENTS 2048

#define NOWHERE "nowhere"		/* a project without a list */

/* What kind of thing a key is of. */
typedef enum EventKind
{
	EVENT_SYNC,					/* place: the how-manieth */
	EVENT_USER,					/* place: the boundary, as for the others */
	EVENT_FAULT,
	EVENT_DEATH,
	EVENT_ROLLBACK
} EventKind;

typedef uint32 EventKey;

#define EVENT_KEY(kind, place, nth)	((EventKey) (place) << 8 | (kind) << 4 | (nth))

/* A value that some user wrote. */
typedef struct Value
{
	char	   *text;
	TsField		field;
	int			item;
	bool		edited;			/* somebody who saw it wrote another */
	bool		kept;			/* … and a person decided for it since: it may come back */
	bool		deleted;		/* somebody who saw it deleted the task */
	bool		here;			/* after the last sync the task here had it */
	bool		left;			/* ... had it once, and another one since */
} Value;

/* A time of day that some user wrote: no service knows its seconds. */
typedef struct Time
{
	char	   *text;
	int			item;
	bool		here;
} Time;

/* What users think of as one task, wherever it is; its titles say which. */
typedef struct Item
{
	bool		deleted;		/* by somebody, somewhere */
	bool		recurs;
} Item;

typedef struct Run
{
	World	   *w;
	uint64		seed;
	uint64		random;			/* state of the stream that is drawn from now */
	bool		verbose;

	/* what happens */
	int			nevents;
	const EventKey *only;		/* these and no others; NULL: all */
	int			nonly;

	/* habits of this world's users */
	bool		moves;			/* between lists */
	bool		moves_there;
	bool		leaves;			/* and to where no service looks */
	bool		families;		/* tasks get parents */
	bool		recurrences;
	bool		flips;			/* mappings change their direction */
	bool		audits;			/* now and then everything is compared */
	bool		decides;		/* a person decides some lists' conflicts */
	bool		swings;			/* … and those of fields that syncs write to and fro */

	int			nsyncs;
	int			nvalues;
	int			ntimes;
	int			nitems;
	Item		items[MAX_ITEMS];

	/* not zeroed with the rest */
	Value		values[MAX_VALUES];
	Time		times[MAX_VALUES];
	EventKey	event[MAX_EVENTS];	/* what happened, in its order */
} Run;

/* run.c */
extern int	run_any(Run *run, int n);	/* 0 … n - 1 */
extern bool run_one_in(Run *run, int n);
extern void run_tell(Run *run, const char *site, const char *what, const char *id, const char *value);

/* What went wrong, or NULL.  The run lives in CurrentMemoryContext. */
extern char *run_seed(Run *run);

/* users.c */
extern void users_act(Run *run);
extern bool users_resolve(Run *run);	/* the open conflicts of some task; false: there are none */

/* checks.c */
extern char *check_sync(Run *run);
extern char *check_run(Run *run);

extern int	item_of(const TsTask *task);

#define TRACKED 3
extern const TsField tracked[TRACKED];

#endif							/* SIMULATOR_RUN_H */
