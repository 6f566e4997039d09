/*-------------------------------------------------------------------------
 *
 * http.h
 *	  A request and its response, as plain data.
 *
 * Providers write requests and read responses of this form and never see a
 * socket; the net room (net.h) carries them.  Credentials are not part of a
 * request: the driver adds the account's Authorization header when, and only
 * when, the request goes to the account's own host.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_HTTP_H
#define TASKSYNC_HTTP_H

#include "task/task.h"

typedef struct TsHeader
{
	const char *name;
	const char *value;
} TsHeader;

#define TS_MAX_HEADERS 8

typedef struct TsRequest
{
	const char *method;			/* "GET", "PROPFIND", … */
	const char *url;			/* absolute, http or https */
	TsHeader	headers[TS_MAX_HEADERS];
	int			nheaders;
	const char *body;			/* NULL: none; always sent with Content-Length */
	size_t		body_len;
	bool		safe;			/* no effect there: may be repeated freely */
	bool		stream;			/* hand a 2xx body on in chunks as it comes */
	bool		renew;			/* the token was refused: a new one first, if there is to be had */
} TsRequest;

typedef struct TsResponse
{
	int			status;			/* 0: no answer; then "error" says why */
	TsHeader   *headers;		/* names in lower case */
	int			nheaders;
	const char *body;			/* decoded, NUL-terminated; empty if streamed */
	size_t		body_len;
	const char *url;			/* what answered, after same-host redirects */
	TsError		error;			/* status 0: TS503, TS502 (too large), 42501 */
	bool		maybe_applied;	/* status 0: the request may have been executed */
	int			retry_after;	/* seconds, -1: not said */
	const char *const *secrets; /* what was sent to prove who we are; ends with NULL; or NULL */
} TsResponse;

extern const char *ts_response_header(const TsResponse *resp, const char *name);
extern void ts_response_headers(TsResponse *resp, const char *text);
extern char *ts_response_words(const TsResponse *resp, const char *text, size_t len);
extern int64 ts_response_time(const TsResponse *resp);
extern int	ts_retry_after(const char *value, int64 now);
extern void ts_request_header(TsRequest *req, const char *name, const char *value);

/* Appends text as a part of a URL or of a form: all but unreserved characters (RFC 3986 2.3) escaped. */
extern void ts_url_escape(StringInfo out, const char *text);

/* The value of a hexadecimal digit, or -1. */
extern int	ts_hex_digit(char c);

/*
 * mask.c: makes a secret unreadable in a text, however the text escapes it (URL,
 * JSON, HTML); a part of it that begins like it too, from 16 characters on.  One of
 * less than four characters is in every other word, and is left.
 */
extern void ts_mask(char *text, size_t len, const char *secret);

#endif							/* TASKSYNC_HTTP_H */
