/*-------------------------------------------------------------------------
 *
 * worker.h
 *	  Processes: one launcher a server, one worker a database.
 *
 * The launcher (only with the library in shared_preload_libraries) starts a
 * worker for each database that has the extension; start_worker() starts one
 * by hand.  A worker holds an advisory lock of our own class on its database,
 * so that there is never a second one, and others find it by that lock.
 *
 * It sleeps on its latch until a job is due, a socket is ready or somebody
 * wakes it: a transaction that changed tasks does so when it commits.  Jobs
 * are rows of sync_job; what is RUNNING when a worker starts was left behind
 * by a dead one and is taken up again.
 *
 * launcher.c processes and who runs where; hooks.c commits and DDL that
 * concern them; worker.c the loop; jobs.c the rows of sync_job; runner.c one
 * job under way.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_WORKER_H
#define TASKSYNC_WORKER_H

#include "postgres.h"

/* Is this process a worker? */
extern bool ts_is_worker;

/* From _PG_init: hooks, and with preloading the launcher. */
extern void ts_worker_init(void);

/* Is the library in shared_preload_libraries? */
extern bool ts_is_preloaded(void);

/* The worker of a database: its pid, or 0. */
extern int	ts_worker_pid(Oid database);

/* Start it, unless it is there; its pid.  55000 when no process can be had. */
extern int	ts_start_worker(Oid database);

/* Set the latch of a process of this server, if it is there. */
extern void ts_wake_process(int pid);

/* Make it look for work now. */
extern void ts_wake_worker(Oid database);

/* … at the end of this transaction, if it commits */
extern void ts_wake_worker_on_commit(void);

/* End it and wait until it is gone (DROP DATABASE). */
extern void ts_stop_worker(Oid database);

/* launcher.c: does tasksync.databases let a database have a worker? */
extern bool ts_is_wanted(const char *database);

/* launcher.c: shared memory and the launcher process, while preloading */
extern void ts_launcher_register(void);

/* launcher.c, for hooks.c: the launcher is to look at the databases again */
extern void ts_wake_launcher(void);

/* the advisory lock that a worker holds; false: there is another */
extern bool ts_worker_lock(void);

#endif							/* TASKSYNC_WORKER_H */
