/*-------------------------------------------------------------------------
 *
 * mailbox.h
 *	  What a backend asks the worker for, and cannot do itself.
 *
 * A refresh token is used up by the refresh, so what comes back must be durable
 * before anything else happens: that a user's transaction cannot promise, since
 * it may roll back.  So a backend asks the worker, which commits, and waits.
 *
 * A letter is a piece of dynamic shared memory.  The one who wrote it holds an
 * advisory lock of our own class that names it, and a shared one that says that
 * there is something; so the worker finds it with or without preloading, and it
 * goes with the transaction that it is from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_MAILBOX_H
#define TASKSYNC_MAILBOX_H

#include "net/net.h"

typedef enum TsAskKind
{
	TS_ASK_REFRESH,				/* a new access token; grant: the one that will not do any more */
	TS_ASK_REDEEM				/* tokens for a code that a person has brought */
} TsAskKind;

typedef struct TsAsk
{
	TsAskKind	kind;
	const char *account_id;
	const char *user_id;
	int			grant;
	const char *code;			/* REDEEM */
	const char *version;		/* REFRESH: of the credentials (TsAuth's) */
} TsAsk;

/*
 * In a backend: false with err set when the answer is an error, or there is
 * none: the worker does not see the credentials yet, since the transaction that
 * set them is the caller's (55000), no worker (55000), or it takes too long (TS503).  A new token comes with
 * the answer (the caller's snapshot may not see what was committed) and takes
 * the place of the one in auth.
 */
extern bool ts_ask_worker(const TsAsk *ask, TsAuth *auth, TsError *err);

/* In the worker: a letter that was not answered yet. */
typedef struct TsLetter TsLetter;

/* The next new letter, or NULL; what it asks for lives as long as it does. */
extern TsLetter *ts_mailbox_next(TsAsk *ask);

/* err NULL: it was done, and auth has the new token (NULL: there is none to be told) */
extern void ts_mailbox_answer(TsLetter *letter, const TsAuth *auth, const TsError *err);

#endif							/* TASKSYNC_MAILBOX_H */
