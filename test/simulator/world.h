/*-------------------------------------------------------------------------
 *
 * world.h
 *	  The whole engine over a store and services in memory.
 *
 * A world has one database, with the projects "pa" and "pb", and two accounts:
 * provider "P1" at a service with the lists "A" (of pa) and "B" (of pb), and
 * provider "P2" at another with the list "M", which mirrors pa.
 *
 * world_sync() drives one cycle.  "meanwhile" is called at every boundary of
 * it (before each transaction, before and after each request) for whatever
 * users do just then; "fault" says what happens to a request.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIMULATOR_WORLD_H
#define SIMULATOR_WORLD_H

#include "memdb.h"
#include "service.h"
#include "sync/sync.h"

typedef enum WorldFault
{
	WORLD_NO_FAULT,
	WORLD_NOT_SENT,				/* connection refused */
	WORLD_LOST_BEFORE,			/* no answer, and no effect */
	WORLD_LOST_AFTER,			/* no answer, but it was carried out */
	WORLD_BUSY,					/* 503 */
	WORLD_TOO_MANY,				/* 429 */
	WORLD_CUT,					/* the answer's end is missing */
	WORLD_ERROR,				/* 500, and no effect */
	WORLD_ERROR_AFTER,			/* 500, but it was carried out */
	WORLD_REFUSED,				/* 422 */
	WORLD_LIST_GONE				/* 404 */
} WorldFault;

typedef struct World World;

struct World
{
	MemoryContext cxt;
	MemStore   *store;
	const char *settings;		/* of the providers; NULL: as the service needs it */
	int64		clock;			/* microseconds since 1970 */
	int			nuuids;
	int			boundary;		/* counts them through the world's life */
	int			die_at;			/* the process dies at this one; 0: never */
	void	   *death;			/* where to */
	WorldFault	(*fault) (World *w);
	void		(*meanwhile) (World *w);
	void	   *arg;
	int			mass_delete_minimum;
	int			mass_change_minimum;
	const char *credentials;	/* which they are now */
	char	   *broken;			/* what must never be, and was; else NULL */
	FakeService services[2];
};

extern World *world_create(void);
extern void world_destroy(World *w);

/*
 * One cycle of a provider ("P1", "P2"): all its mappings, or "only" that one
 * with the others as siblings.  False when the process died on the way.
 */
extern bool world_sync(World *w, const char *provider_id, const char *only, TsCycleResult *result);

/* Cycles of both until nothing moves any more: how many rounds, or -1. */
extern int	world_settle(World *w, int max_rounds);

extern FakeService *world_service(World *w, const char *list);

/* What does not hold in a world at rest; NULL: all is well. */
extern char *world_inconsistency(World *w);

/* A task's record from pairs of field and value; ends with TS_NFIELDS. */
extern TsTask task_of(TsField f,...);

#endif							/* SIMULATOR_WORLD_H */
