/*-------------------------------------------------------------------------
 *
 * davxml.h
 *	  Reading the XML of WebDAV answers, in pieces, as they come.
 *
 * A multistatus may be as long as the list it speaks of, so it is never held
 * as a whole: every completed <response> is handed to a callback and forgotten.
 * The same reader takes what else servers answer with: <error> bodies, and
 * the mkcol-response and mkcalendar-response of extended MKCOL.
 *
 *		xml = dav_xml_begin(parent, found, arg);
 *		dav_xml_feed(xml, chunk, len); …
 *		dav_xml_finish(xml, &err);		xml->sync_token, xml->top
 *		dav_xml_end(xml);				or delete the parent context
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_CALDAV_DAVXML_H
#define TASKSYNC_CALDAV_DAVXML_H

#include "task/task.h"

/* The properties we ask for. */
typedef enum DavProp
{
	DAV_ETAG,
	DAV_CONTENT_TYPE,
	DAV_CALENDAR_DATA,
	DAV_SYNC_TOKEN,
	DAV_CTAG,
	DAV_RESOURCETYPE,			/* marks */
	DAV_DISPLAYNAME,
	DAV_COLOR,
	DAV_DESCRIPTION,
	DAV_COMPONENTS,				/* marks */
	DAV_PRIVILEGES,				/* marks */
	DAV_REPORTS,				/* marks */
	DAV_PRINCIPAL,				/* an href */
	DAV_HOMES,					/* hrefs, each ended by a newline */
	DAV_NPROPS
} DavProp;

/* What stood inside the structured properties. */
#define DAV_IS_COLLECTION	0x0001
#define DAV_IS_CALENDAR		0x0002
#define DAV_IS_SPECIAL		0x0004	/* inbox, outbox, proxy, subscription, trash */
#define DAV_HAS_COMPONENTS	0x0008	/* the set of components is restricted … */
#define DAV_TAKES_VTODO		0x0010	/* … and tasks are among them */
#define DAV_HAS_PRIVILEGES	0x0020
#define DAV_MAY_WRITE		0x0040
#define DAV_HAS_REPORTS		0x0080
#define DAV_SYNCS			0x0100
#define DAV_MULTIGETS		0x0200
#define DAV_QUERIES			0x0400

/*
 * One <response>.  All strings are UTF-8 and live until the callback returns.
 */
typedef struct DavEntry
{
	char	   *href;			/* as sent, trimmed; NULL in mkcol-response */
	int			status;			/* of the response as a whole; 0: not said */
	char	   *value[DAV_NPROPS];	/* of propstats that succeeded */
	int			prop_status[DAV_NPROPS];	/* its propstat's; 0: not mentioned */
	uint32		marks;
	int			failure;		/* the worst status >= 400 anywhere inside, or 0 */
	char	   *condition;		/* first precondition in <error>, "no-uid-conflict" */
	char	   *condition_href; /* the href inside that */
	char	   *message;		/* words for people */
	bool		too_long;		/* a property was over the limit and left out */
} DavEntry;

typedef void (*DavFound) (void *arg, const DavEntry *entry);

typedef struct DavXml
{
	char	   *sync_token;		/* of the multistatus itself, or NULL */
	bool		is_multistatus; /* or one of the MKCOL answers */
	DavEntry	top;			/* condition, message: of a body that is an <error> */
	struct DavXmlParser *parser;
} DavXml;

extern DavXml *dav_xml_begin(MemoryContext parent, DavFound found, void *arg);
extern bool dav_xml_feed(DavXml *xml, const char *chunk, size_t len);
extern bool dav_xml_finish(DavXml *xml, TsError *err);
extern void dav_xml_end(DavXml *xml);

#endif							/* TASKSYNC_CALDAV_DAVXML_H */
