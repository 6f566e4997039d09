/*-------------------------------------------------------------------------
 *
 * token.h
 *	  Access tokens: had anew by the worker, for whoever needs one.
 *
 * One refresh of an account is under way at a time, however many syncs and
 * backends want it.  What comes back is committed before anybody uses it; where
 * that fails it is tried again, since the refresh token before may be used up.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_TOKEN_H
#define TASKSYNC_TOKEN_H

#include "net/net.h"
#include "worker/jobs.h"

/* Before all else; "cxt" lives as long as the process. */
extern void ts_tokens_begin(TsNet *net, MemoryContext cxt);

/*
 * A newer token than the so-manieth.  "done" is called when it is there to be
 * loaded (err NULL) or cannot be had: from here, if that is known at once, else
 * from ts_net_wait() or ts_tokens_tend().
 */
typedef void (*TsTokenDone) (void *arg, const TsError *err);

extern void ts_tokens_refresh(const char *account_id, const char *user_id, int grant,
							  TsTokenDone done, void *arg);

/*
 * Seconds for which the login service does not want to be asked for this account's
 * tokens (its Retry-After); until then ts_tokens_refresh() fails with TS503.
 */
extern int	ts_tokens_pause(const char *account_id, const char *user_id);

/* Nobody waits any more: "done" will not be called with this arg. */
extern void ts_tokens_forget(const void *arg);

/*
 * The letters of backends; and answers that could not be committed, once more.
 * True: some still could not, and it is to be called again soon.
 */
extern bool ts_tokens_tend(void);

/*
 * One look whether a person has allowed a device (a job of kind OAUTH).
 *
 * ts_device_request: the request, in a transaction of its own; false with err set
 *		when there is nothing to ask for any more.
 * ts_device_answer: the seconds until the next look; 0 when there is to be none,
 *		and "done" is told what became of it, as soon as that is committed.
 */
typedef struct TsDevicePoll TsDevicePoll;

extern TsDevicePoll *ts_device_request(const TsJob *job, TsRequest *req, TsError *err);
extern int	ts_device_answer(TsDevicePoll *poll, const TsRequest *req, const TsResponse *resp,
							 TsTokenDone done, void *arg);

#endif							/* TASKSYNC_TOKEN_H */
