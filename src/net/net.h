/*-------------------------------------------------------------------------
 *
 * net.h
 *	  HTTP inside a server process: one curl_multi on the process latch.
 *
 * A TsNet carries any number of transfers at once.  ts_net_wait() sleeps until
 * the latch is set, a socket is ready or the time is over, and then hands what
 * came to the transfers' owners.  libcurl's own callbacks only copy into
 * malloc'd buffers: nothing in them can throw an ERROR through libcurl's
 * frames.  A streamed body is paused when its buffer is full, so that memory
 * stays bounded whatever the size of the answer.
 *
 * Rules kept here, for all providers: http and https only; TLS is verified;
 * private addresses are refused, after the name was resolved, unless allowed;
 * redirects are followed on the same host only, with the method kept, and
 * credentials are sent to the account's own origin and nowhere else; sizes and
 * times are limited.
 *
 * All of a TsNet belongs to a memory context: resetting or deleting it (an
 * ERROR included) frees every handle and socket.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_NET_H
#define TASKSYNC_NET_H

#include "net/http.h"

typedef struct TsNet TsNet;
typedef struct TsTransfer TsTransfer;

/* Who we are to the service.  Wiped by ts_auth_wipe() when done with. */
typedef struct TsAuth
{
	const char *origin;			/* any URL of the host that may see this */
	char	   *version;		/* when they were set: another text for other credentials */
	char	   *username;		/* Basic, with password */
	char	   *password;
	char	   *bearer;			/* or a token */

	/* OAuth: the token can be had anew, and is to be from some time on */
	bool		refreshable;
	int64		refresh_at;		/* seconds since 1970-01-01 UTC, 0: not known … */
	int64		expires_at;		/* … when it is of no use any more */
	int			grant;			/* the so-manieth token */
} TsAuth;

/* Is it time for a new token? */
extern bool ts_auth_is_due(const TsAuth *auth);

extern void ts_auth_wipe(TsAuth *auth);

/*
 * data: a piece of a streamed 2xx body, in order.  done: the end; the response
 * lives until it returns.  Both are called from ts_net_wait() and may ereport.
 */
typedef struct TsReceiver
{
	void		(*data) (void *arg, const char *chunk, size_t len);
	void		(*done) (void *arg, const TsResponse *resp);
	void	   *arg;
} TsReceiver;

extern TsNet *ts_net_create(MemoryContext cxt);

/* Starts a request; auth may be NULL.  Nothing of req or auth is referenced afterwards. */
extern TsTransfer *ts_net_start(TsNet *net, const TsRequest *req, const TsAuth *auth,
								const TsReceiver *receiver);

/* Forgets a transfer: neither data nor done will be called for it. */
extern void ts_net_cancel(TsTransfer *t);

/*
 * Waits up to timeout_ms (-1: for ever) and delivers.  Returns true if the
 * latch was set (it is reset); the caller then does CHECK_FOR_INTERRUPTS().
 */
extern bool ts_net_wait(TsNet *net, long timeout_ms);

extern int	ts_net_active(const TsNet *net);

/* bytes received and sent since the net was made */
extern void ts_net_bytes(const TsNet *net, int64 *in, int64 *out);

#endif							/* TASKSYNC_NET_H */
