/*-------------------------------------------------------------------------
 *
 * failpoint.h
 *	  For tests: a worker that ends at its n-th step.
 *
 * A step is a boundary at which an end of the process may leave something
 * half done: before a transaction of the engine begins, before and after it
 * commits; before a request leaves, and when its answer has come.  A worker
 * counts them from its start, and at step tasksync.crash_at ends in the way
 * that tasksync.crash_mode says.
 *
 * Both settings are hidden, for superusers, and 0 by default.  start_worker()
 * hands its session's on to the worker that it starts, and to no other: the
 * one that comes after the crash goes on untouched.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_FAILPOINT_H
#define TASKSYNC_FAILPOINT_H

#include "postgres.h"

struct BackgroundWorker;

extern int	ts_steps_left;		/* until the end; 0: it was not asked for */

extern void ts_crash(const char *step) pg_attribute_noreturn();

static inline void
ts_step(const char *name)
{
	if (unlikely(ts_steps_left > 0) && --ts_steps_left == 0)
		ts_crash(name);
}

/*
 * ts_define_failpoints: the settings, from _PG_init.
 * ts_pass_failpoints: put this process's settings into a worker to be started.
 * ts_arm_failpoints: in a worker, from what was put there.
 */
extern void ts_define_failpoints(void);
extern void ts_pass_failpoints(struct BackgroundWorker *worker);
extern void ts_arm_failpoints(const struct BackgroundWorker *worker);

#endif							/* TASKSYNC_FAILPOINT_H */
