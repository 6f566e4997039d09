/*-------------------------------------------------------------------------
 *
 * dav_replay.h
 *	  For the CalDAV provider's test programs: conversations replayed from a
 *	  script of requests and answers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef DAV_REPLAY_H
#define DAV_REPLAY_H

#include "provider/provider.h"
#include "tap.h"

/* One expected request and its answer; an entry without a request ends a script. */
typedef struct Reply
{
	const char *request;		/* "METHOD url"; the site is https://dav.test */
	const char *contains;		/* in its headers ("Name: value\n") or body, or NULL */
	int			status;			/* 0: no answer */
	const char *headers;		/* "name: value\n…", or NULL */
	const char *body;			/* or NULL */
	bool		maybe_applied;
	int			retry_after;	/* 0: not said */
} Reply;

/*
 * Runs op against the script; streamed bodies come in pieces of a few bytes.
 * Reports one test: that exactly these requests were made.
 */
extern TsConversation *replay(const char *name, const TsOp *op, const Reply *script);
extern void set_site(const char *url);

/* An observation by id, or NULL. */
extern TsObservation *observed(TsConversation *conv, const char *id);

/* Building blocks of answers. */
#define MULTISTATUS(content) \
	"<?xml version=\"1.0\" encoding=\"utf-8\"?>\n" \
	"<d:multistatus xmlns:d=\"DAV:\" xmlns:cal=\"urn:ietf:params:xml:ns:caldav\"" \
	" xmlns:cs=\"http://calendarserver.org/ns/\" xmlns:ical=\"http://apple.com/ns/ical/\">" \
	content "</d:multistatus>"
#define RESPONSE(href, content) "<d:response><d:href>" href "</d:href>" content "</d:response>"
#define PROPSTAT(status, props) \
	"<d:propstat><d:prop>" props "</d:prop><d:status>HTTP/1.1 " status "</d:status></d:propstat>"
#define STATUS(status) "<d:status>HTTP/1.1 " status "</d:status>"
#define MEMBER(href, etag) \
	RESPONSE(href, PROPSTAT("200 OK", "<d:getetag>&quot;" etag "&quot;</d:getetag>"))
#define OBJECT(href, etag, data) \
	RESPONSE(href, PROPSTAT("200 OK", "<d:getetag>&quot;" etag "&quot;</d:getetag>" \
							"<cal:calendar-data>" data "</cal:calendar-data>"))
#define MISSING(href) RESPONSE(href, STATUS("404 Not Found"))
#define TOKEN(token) "<d:sync-token>" token "</d:sync-token>"
#define DAV_ERROR(content) \
	"<?xml version=\"1.0\"?><d:error xmlns:d=\"DAV:\" xmlns:s=\"http://sabredav.org/ns\"" \
	" xmlns:cal=\"urn:ietf:params:xml:ns:caldav\">" content "</d:error>"
#define XML_TYPE "content-type: application/xml; charset=utf-8\n"

#endif							/* DAV_REPLAY_H */
