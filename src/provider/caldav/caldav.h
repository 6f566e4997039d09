/*-------------------------------------------------------------------------
 *
 * caldav.h
 *	  The CalDAV protocol, without I/O: which request next, what an answer means.
 *
 * A conversation is a chain of steps.  A step knows how to ask (one request),
 * what to do with each <response> of a multistatus as it streams in, and what
 * the finished answer means, which is to choose the next step or none.  What
 * every step would do the same way about trouble (no answer, refused
 * credentials, busy servers, redirects) is done once, in caldav.c.
 *
 *		discover.c	finding the home and the lists	(RFC 6764, 5397, 4791 6.2.1)
 *		pull.c		what changed in a list			(RFC 6578, 4791 7.8)
 *		fetch.c		these objects, whole			(RFC 4791 7.9)
 *		push.c		one object created, changed …	(RFC 4918, 9110 13)
 *		lists.c		lists created, renamed, deleted	(RFC 4791 5.3.1, 5689)
 *
 * Servers differ in what they do rather than in what they say, so behaviour is
 * tried and remembered (DavCaps), never guessed from a server's name.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_CALDAV_H
#define TASKSYNC_CALDAV_H

#include "provider/caldav/davxml.h"
#include "provider/caldav/href.h"
#include "provider/provider.h"

typedef struct DavConversation DavConversation;

/*
 * What is known of an answer once it is over, beside the body.
 *
 * A write that was answered by a 207 has here the status that was inside.
 */
typedef struct DavAnswer
{
	const TsResponse *resp;
	int			status;			/* 0: no answer came */
	bool		understood;		/* success, and a complete multistatus */
	TsError		problem;		/* else: why it is none (TS502) */
	char	   *sync_token;		/* of the multistatus */
	int			failure;		/* the worst status >= 400 inside, or 0 */
	char	   *condition;		/* the precondition that failed, or NULL */
	char	   *condition_href;
	char	   *message;		/* the server's own words, or NULL */
} DavAnswer;

typedef struct DavStep
{
	const char *doing;			/* for progress */
	const char *failed;			/* "could not …", begins its error messages */
	void		(*ask) (DavConversation *c, TsRequest *req);
	void		(*entry) (DavConversation *c, const DavEntry *entry);	/* NULL: none expected */
	void		(*answer) (DavConversation *c, const DavAnswer *a);
	/* sees every answer first; false: let the common rules end the conversation */
	bool		(*trouble) (DavConversation *c, const DavAnswer *a);
} DavStep;

/* What was learned about a server the hard way; all false in the beginning. */
typedef struct DavCaps
{
	bool		no_sync;		/* REPORT sync-collection refused */
	bool		no_query;		/* REPORT calendar-query refused, or blind */
	bool		no_multiget;	/* REPORT calendar-multiget refused */
	bool		strict_multiget;	/* one missing object fails the whole report */
	bool		lax_conditions; /* If-None-Match and If-Match ignored at times */
} DavCaps;

/* A PULL's state. */
typedef struct DavPull
{
	char	   *token;			/* sync-token to go on from, or NULL */
	char	   *ctag;
	bool		same;			/* the list's markers are the cursor's */
	char	   *cursor;			/* of the markers, for when all has been listed */
	bool		more;			/* 507: this was a part */
	bool		cut;			/* 507: this listing is not all of it */
	bool		payloads;		/* ask for the objects' text */
	bool		query_was_empty;
	bool		saw_list;		/* the list named itself */
	bool		from_scratch;	/* sync-collection without a token: lists everything */
	bool		list_missing;
	int			pages;
	int			named;			/* objects named, this answer */
	int			named_tasks;	/* … that may be tasks */
	int			total;			/* objects named, all answers */
} DavPull;

/* A FETCH's state. */
typedef struct DavFetch
{
	char	  **id;				/* canonical, as op->ids */
	bool	   *done;			/* observed, or given up with an error */
	int			from;			/* the ids under way: [from, to) */
	int			to;
	int			size;			/* how many to ask for at once */
	bool		singly;			/* the last pass: GETs for what is left */
	bool		was_missing;	/* a whole report was answered by 404 */
	bool		list_is_there;	/* asked and answered */
	bool		list_missing;	/* ... and answered that it is not */
} DavFetch;

/* A PUSH's state. */
typedef struct DavPush
{
	int			i;				/* op->push[i] is under way */
	char	   *id;				/* of the object; CREATE, MOVE: the new one's */
	char	   *look_at;		/* what a PROPFIND asks about */
	bool		found;
	char	   *found_etag;
	bool		vanished;		/* answered by 404 or 410 inside a 207 */
} DavPush;

/* Discovery's state: LISTS, LIST_CREATE */
typedef struct DavDiscover
{
	char	   *at;				/* id of what is asked now */
	bool		spoke_dav;		/* the configured URL answered PROPFIND */
	bool		asked_well_known;
	bool		is_calendar;	/* the configured URL is a list itself */
	bool		is_guess;		/* that it is a home is only assumed */
	char	   *principal;
	char	  **home;
	int			nhomes;
	int			next_home;
	int			answered_homes;
	TsError		first_error;	/* of what could not be read, if all else fails */
	int			maxlists;
} DavDiscover;

/* A LIST_CREATE's or LIST_UPDATE's state. */
typedef struct DavTarget
{
	char	   *id;
	bool		extended_mkcol; /* MKCALENDAR was refused */
	bool		found;			/* it is there, and takes tasks */
	char	   *name;			/* to write, or NULL: it is so already */
	char	   *color;
	int			name_status;	/* the PROPPATCH's, 0: not said */
	int			color_status;
	TsError		refusal;		/* why it could not be made */
} DavTarget;

struct DavConversation
{
	TsConversation base;
	const DavStep *step;		/* what to do next; NULL: over */
	MemoryContext scratch;		/* one request and its answer */
	DavXml	   *xml;			/* the answer being read, or NULL */
	DavAnswer	answer;
	char	   *origin;			/* of the configured URL */
	char	   *root;			/* its path */
	char	   *list;			/* the op's list, an id, or NULL */
	DavCaps		caps;
	DavPull		pull;
	DavFetch	fetch;
	DavPush		push;
	DavDiscover discover;
	DavTarget	target;
};

/* caldav.c: the driver, and what several operations end with */
extern void dav_list_gone(DavConversation *c);
extern TsConversation *dav_begin(const TsSite *site, const TsOp *op);
extern bool dav_next(TsConversation *conv, TsRequest *req);
extern void dav_data(TsConversation *conv, const char *chunk, size_t len);
extern void dav_response(TsConversation *conv, const TsResponse *resp);

/* answer.c: what went wrong, in words; what a server wrote, in one form */
extern void dav_describe(const DavAnswer *a, TsError *err, const char *failed, const char *object);
extern void dav_fail(DavConversation *c, const DavAnswer *a, const char *object);
extern bool dav_common_trouble(DavConversation *c, const DavAnswer *a);
extern bool dav_is_busy(int status);
extern bool dav_is_missing(int status);
extern char *dav_etag(const char *raw);
extern bool dav_etag_is_strong(const char *etag);

/* request.c */
extern void dav_request(DavConversation *c, TsRequest *req, const char *method, const char *id);
extern void dav_xml_request(DavConversation *c, TsRequest *req, const char *method,
							const char *id, const char *depth, char *body);
extern void dav_propfind(DavConversation *c, TsRequest *req, const char *id,
						 const char *depth, const char *props);
extern void dav_append_xml(StringInfo out, const char *text);

/* Names of properties, with the prefixes that every body of ours declares. */
#define DAV_NAMESPACES \
	" xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"" \
	" xmlns:S=\"http://calendarserver.org/ns/\" xmlns:A=\"http://apple.com/ns/ical/\""
#define DAV_XML_HEAD "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"
#define DAV_LIST_LOOKS \
	"<D:resourcetype/><D:displayname/><A:calendar-color/><C:calendar-description/>"
#define DAV_LIST_PROPS DAV_LIST_LOOKS \
	"<C:supported-calendar-component-set/><D:current-user-privilege-set/>" \
	"<S:getctag/><D:sync-token/>"

/* state.c: what is kept from one conversation to the next */
extern void dav_caps_load(DavCaps *caps, const char *json);
extern void dav_caps_learn(DavConversation *c, bool *fact, bool value);
extern void dav_cursor_load(DavConversation *c, const char *json);
extern char *dav_cursor_text(const char *token, const char *ctag);

/* observe.c: objects and lists as they are seen */
extern TsObservation *dav_observe(DavConversation *c, const DavEntry *entry);
extern bool dav_entry_is_list(DavConversation *c, const DavEntry *entry);
extern void dav_add_list(DavConversation *c, const char *id, const DavEntry *entry);
extern bool dav_entry_is_task_list(const DavEntry *entry);

/* color.c */
extern char *dav_color(const char *raw);

/* The operations. */
extern void dav_discover(DavConversation *c);
extern void dav_pull_begin(DavConversation *c);
extern void dav_fetch_begin(DavConversation *c);
extern void dav_push_begin(DavConversation *c);
extern void dav_list_create_at(DavConversation *c, const char *home);
extern void dav_list_update_begin(DavConversation *c);
extern void dav_list_delete_begin(DavConversation *c);

#endif							/* TASKSYNC_CALDAV_H */
