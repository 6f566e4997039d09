/*-------------------------------------------------------------------------
 *
 * runner.h
 *	  One job under way: a cycle of the engine, driven over the network.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_RUNNER_H
#define TASKSYNC_RUNNER_H

#include "net/net.h"
#include "worker/jobs.h"

typedef struct TsRunner TsRunner;

/*
 * Starts a job; it goes on from ts_net_wait() and ends by itself, recording
 * what became of it.  NULL when it ended at once.
 */
extern TsRunner *ts_runner_start(TsNet *net, const TsJob *job);

extern bool ts_runner_is_done(const TsRunner *run);
extern int64 ts_runner_job(const TsRunner *run);

/* Stops it where it stands: as a crash would, but noted as CANCELLED. */
extern void ts_runner_cancel(TsRunner *run);

/* Writes what it is doing, or how it ended, into its job, at most once a second. */
extern void ts_runner_report(TsRunner *run);

extern void ts_runner_free(TsRunner *run);

#endif							/* TASKSYNC_RUNNER_H */
