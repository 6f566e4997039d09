/*-------------------------------------------------------------------------
 *
 * davxml.c
 *	  Reading the XML of WebDAV answers, in pieces, as they come.
 *
 * RFC 4918 14 (multistatus), RFC 6578 6.4 (its sync-token), RFC 5689 (the
 * answers to extended MKCOL).  Elements are known by namespace and name, never
 * by prefix; what is not known is passed over.  A document type declaration is
 * refused at once, so there are no entities to expand and nothing to fetch.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <expat.h>

#include "lib/stringinfo.h"
#include "provider/caldav/davxml.h"
#include "utils/memutils.h"

#define MAX_DEPTH		48
#define MAX_TEXT		(8 * 1024 * 1024)	/* one property, bytes */
#define MAX_OPENING		200		/* of what came, kept to be shown */
#define NS_SEPARATOR	'|'

/* What an element is to us. */
typedef enum Tag
{
	TAG_OTHER,
	TAG_MULTISTATUS,
	TAG_RESPONSE,
	TAG_PROPSTAT,
	TAG_PROP,
	TAG_HREF,
	TAG_STATUS,
	TAG_ERROR,
	TAG_CONDITION,				/* any child of ERROR */
	TAG_MESSAGE,
	TAG_TOKEN,					/* the multistatus's own sync-token */
	TAG_PROPERTY				/* + DavProp */
} Tag;

typedef struct KnownName
{
	const char *name;			/* namespace, separator, local name */
	int			tag;
} KnownName;

#define DAV_NS	"DAV:|"
#define CAL_NS	"urn:ietf:params:xml:ns:caldav|"
#define CS_NS	"http://calendarserver.org/ns/|"
#define ICAL_NS "http://apple.com/ns/ical/|"

static const KnownName names[] = {
	{DAV_NS "multistatus", TAG_MULTISTATUS},
	{DAV_NS "response", TAG_RESPONSE},
	{DAV_NS "mkcol-response", TAG_RESPONSE},
	{CAL_NS "mkcalendar-response", TAG_RESPONSE},
	{DAV_NS "propstat", TAG_PROPSTAT},
	{DAV_NS "prop", TAG_PROP},
	{DAV_NS "href", TAG_HREF},
	{DAV_NS "status", TAG_STATUS},
	{DAV_NS "error", TAG_ERROR},
	{DAV_NS "responsedescription", TAG_MESSAGE},
	{"http://sabredav.org/ns|message", TAG_MESSAGE},
};

static const KnownName properties[] = {
	{DAV_NS "getetag", DAV_ETAG},
	{DAV_NS "getcontenttype", DAV_CONTENT_TYPE},
	{CAL_NS "calendar-data", DAV_CALENDAR_DATA},
	{DAV_NS "sync-token", DAV_SYNC_TOKEN},
	{CS_NS "getctag", DAV_CTAG},
	{DAV_NS "resourcetype", DAV_RESOURCETYPE},
	{DAV_NS "displayname", DAV_DISPLAYNAME},
	{ICAL_NS "calendar-color", DAV_COLOR},
	{CAL_NS "calendar-description", DAV_DESCRIPTION},
	{CAL_NS "supported-calendar-component-set", DAV_COMPONENTS},
	{DAV_NS "current-user-privilege-set", DAV_PRIVILEGES},
	{DAV_NS "supported-report-set", DAV_REPORTS},
	{DAV_NS "current-user-principal", DAV_PRINCIPAL},
	{CAL_NS "calendar-home-set", DAV_HOMES},
};

/* Elements that mean something inside a certain property. */
static const struct
{
	DavProp		prop;
	const char *name;
	uint32		marks;
}			marks[] = {
	{DAV_RESOURCETYPE, DAV_NS "collection", DAV_IS_COLLECTION},
	{DAV_RESOURCETYPE, CAL_NS "calendar", DAV_IS_CALENDAR},
	{DAV_RESOURCETYPE, CAL_NS "schedule-inbox", DAV_IS_SPECIAL},
	{DAV_RESOURCETYPE, CAL_NS "schedule-outbox", DAV_IS_SPECIAL},
	{DAV_RESOURCETYPE, CS_NS "calendar-proxy-read", DAV_IS_SPECIAL},
	{DAV_RESOURCETYPE, CS_NS "calendar-proxy-write", DAV_IS_SPECIAL},
	{DAV_RESOURCETYPE, CS_NS "subscribed", DAV_IS_SPECIAL},
	{DAV_RESOURCETYPE, CS_NS "notification", DAV_IS_SPECIAL},
	{DAV_RESOURCETYPE, "http://nextcloud.com/ns|deleted-calendar", DAV_IS_SPECIAL},
	{DAV_RESOURCETYPE, "http://nextcloud.com/ns|trash-bin", DAV_IS_SPECIAL},
	{DAV_COMPONENTS, CAL_NS "comp", DAV_HAS_COMPONENTS},
	{DAV_PRIVILEGES, DAV_NS "privilege", DAV_HAS_PRIVILEGES},
	{DAV_PRIVILEGES, DAV_NS "all", DAV_MAY_WRITE},
	{DAV_PRIVILEGES, DAV_NS "write", DAV_MAY_WRITE},
	{DAV_PRIVILEGES, DAV_NS "write-content", DAV_MAY_WRITE},
	{DAV_PRIVILEGES, DAV_NS "bind", DAV_MAY_WRITE},
	{DAV_REPORTS, DAV_NS "report", DAV_HAS_REPORTS},
	{DAV_REPORTS, DAV_NS "sync-collection", DAV_SYNCS},
	{DAV_REPORTS, CAL_NS "calendar-multiget", DAV_MULTIGETS},
	{DAV_REPORTS, CAL_NS "calendar-query", DAV_QUERIES},
};

typedef struct DavXmlParser
{
	DavXml		xml;			/* the public face */
	MemoryContext cxt;			/* all of this */
	MemoryContext entry_cxt;	/* the response being read */
	XML_Parser	expat;
	MemoryContextCallback at_reset;
	DavFound	found;
	void	   *arg;

	int			tags[MAX_DEPTH];	/* the open elements, the root first */
	int			depth;
	StringInfoData text;		/* of the innermost element that has some */
	bool		text_too_long;

	DavEntry	entry;			/* the response being read */
	DavEntry	propstat;		/* its propstat: value, marks, status, and in
								 * prop_status what was mentioned */

	StringInfoData clean;		/* a chunk without what XML forbids */
	char		reference[12];	/* "&…" not yet complete */
	int			reference_len;
	char		opening[MAX_OPENING + 1];
	int			opening_len;
	const char *refusal;		/* why reading stopped, or NULL */
} DavXmlParser;

static void
free_expat(void *arg)
{
	XML_ParserFree(((DavXmlParser *) arg)->expat);
}

static void
refuse(DavXmlParser *p, const char *why)
{
	if (p->refusal == NULL)
		p->refusal = why;
	XML_StopParser(p->expat, XML_FALSE);
}

static void
refuse_doctype(void *arg, const char *name, const char *sysid,
			   const char *pubid, int has_internal_subset)
{
	refuse(arg, "a document type declaration");
}

/* The tag of the element "up" levels above the innermost one. */
static int
tag_above(const DavXmlParser *p, int up)
{
	return p->depth > up ? p->tags[p->depth - 1 - up] : TAG_OTHER;
}

/* The property that is open, at whatever depth inside it we are; -1: none. */
static int
open_property(const DavXmlParser *p)
{
	for (int i = 0; i < p->depth; i++)
	{
		if (p->tags[i] >= TAG_PROPERTY)
			return p->tags[i] - TAG_PROPERTY;
	}
	return -1;
}

/* The <error>, <response> or body that a condition or message speaks of. */
static DavEntry *
spoken_of(DavXmlParser *p)
{
	return p->depth > 0 && p->tags[0] == TAG_ERROR ? &p->xml.top : &p->entry;
}

/* What the element "name" is, where it stands. */
static int
classify(const DavXmlParser *p, const char *name)
{
	int			parent = tag_above(p, 0);

	if (parent == TAG_PROP)
	{
		for (int i = 0; i < lengthof(properties); i++)
		{
			if (strcmp(name, properties[i].name) == 0)
				return TAG_PROPERTY + properties[i].tag;
		}
		return TAG_OTHER;
	}
	if (parent == TAG_OTHER && p->depth > 0)
		return TAG_OTHER;
	if (parent == TAG_MULTISTATUS && strcmp(name, DAV_NS "sync-token") == 0)
		return TAG_TOKEN;
	for (int i = 0; i < lengthof(names); i++)
	{
		if (strcmp(name, names[i].name) == 0)
			return names[i].tag;
	}
	return parent == TAG_ERROR ? TAG_CONDITION : TAG_OTHER;
}

/* (A <response> may stand within a property of another one: that is over, too.) */
static void
begin_entry(DavXmlParser *p)
{
	MemoryContextReset(p->entry_cxt);
	memset(&p->entry, 0, sizeof(p->entry));
	memset(&p->propstat, 0, sizeof(p->propstat));
}

/* A precondition that failed: RFC 4918 16, the child of <error>. */
static void
note_condition(DavXmlParser *p, const char *name)
{
	DavEntry   *entry = spoken_of(p);
	const char *local = strrchr(name, NS_SEPARATOR);

	/* sabre/dav's own elements are words, not conditions */
	if (strncmp(name, "http://sabredav.org/", 20) == 0 || entry->condition != NULL)
		return;
	entry->condition = MemoryContextStrdup(entry == &p->entry ? p->entry_cxt : p->cxt,
										   local != NULL ? local + 1 : name);
}

/* Marks that this element sets, standing inside "prop". */
static uint32
marks_of(DavProp prop, const char *name, const char **attributes)
{
	uint32		found = 0;

	for (int i = 0; i < lengthof(marks); i++)
	{
		if (marks[i].prop == prop && strcmp(marks[i].name, name) == 0)
			found |= marks[i].marks;
	}
	if (found & DAV_HAS_COMPONENTS)
	{
		for (int i = 0; attributes[i] != NULL; i += 2)
		{
			if (strcmp(attributes[i], "name") == 0 &&
				pg_strcasecmp(attributes[i + 1], "VTODO") == 0)
				found |= DAV_TAKES_VTODO;
		}
	}
	return found;
}

static void
start_element(void *arg, const char *name, const char **attributes)
{
	DavXmlParser *p = arg;
	int			prop = open_property(p);
	int			tag;

	if (p->depth == MAX_DEPTH)
	{
		refuse(p, "elements nested too deeply");
		return;
	}
	tag = classify(p, name);

	/* inside a property only hrefs and what carries a mark are of interest */
	if (prop >= 0)
	{
		p->propstat.marks |= marks_of(prop, name, attributes);
		if (tag != TAG_HREF)
			tag = TAG_OTHER;
	}

	if (p->depth == 0 && (tag == TAG_MULTISTATUS || tag == TAG_RESPONSE))
		p->xml.is_multistatus = true;
	if (tag == TAG_RESPONSE)
		begin_entry(p);
	else if (tag == TAG_PROPSTAT)
		memset(&p->propstat, 0, sizeof(p->propstat));
	else if (tag == TAG_CONDITION)
		note_condition(p, name);

	p->tags[p->depth++] = tag;
	if (tag != TAG_OTHER)
	{
		resetStringInfo(&p->text);
		p->text_too_long = false;
	}
}

static void
character_data(void *arg, const char *s, int len)
{
	DavXmlParser *p = arg;

	if (tag_above(p, 0) == TAG_OTHER)
		return;
	if (p->text.len + len > MAX_TEXT)
		p->text_too_long = true;
	else
		appendBinaryStringInfo(&p->text, s, len);
}

/* The gathered text without white space around it. */
static char *
trimmed_text(DavXmlParser *p)
{
	char	   *s = p->text.data;
	int			len = p->text.len;

	while (len > 0 && isspace((unsigned char) *s))
	{
		s++;
		len--;
	}
	while (len > 0 && isspace((unsigned char) s[len - 1]))
		len--;
	return pnstrdup(s, len);
}

/* "HTTP/1.1 404 Not Found"; 0 when it says nothing of the kind. */
static int
parse_status(const char *s)
{
	const char *space = strchr(s, ' ');
	int			status = space != NULL ? atoi(space) : 0;

	return status >= 100 && status <= 599 ? status : 0;
}

static void
end_href(DavXmlParser *p)
{
	int			parent = tag_above(p, 1);
	DavEntry   *entry = spoken_of(p);

	if (parent == TAG_RESPONSE && p->entry.href == NULL)
		p->entry.href = trimmed_text(p);
	else if (parent >= TAG_PROPERTY)
	{
		char	  **value = &p->propstat.value[parent - TAG_PROPERTY];

		*value = psprintf("%s%s\n", *value != NULL ? *value : "", trimmed_text(p));
	}
	else if (parent == TAG_CONDITION && entry->condition_href == NULL)
		entry->condition_href = MemoryContextStrdup(entry == &p->entry ? p->entry_cxt : p->cxt,
													trimmed_text(p));
}

static void
end_status(DavXmlParser *p)
{
	char	   *text = trimmed_text(p);

	if (tag_above(p, 1) == TAG_PROPSTAT)
		p->propstat.status = parse_status(text);
	else if (tag_above(p, 1) == TAG_RESPONSE)
		p->entry.status = parse_status(text);
}

static void
end_property(DavXmlParser *p, DavProp prop)
{
	p->propstat.prop_status[prop] = 1;
	if (p->text_too_long)
		p->entry.too_long = true;
	else if (prop == DAV_CALENDAR_DATA)
		p->propstat.value[prop] = pnstrdup(p->text.data, p->text.len);
	else if (prop != DAV_PRINCIPAL && prop != DAV_HOMES)
		p->propstat.value[prop] = trimmed_text(p);
}

/* Only now is it known whether the properties were had or refused. */
static void
end_propstat(DavXmlParser *p)
{
	int			status = p->propstat.status != 0 ? p->propstat.status : 200;

	for (int i = 0; i < DAV_NPROPS; i++)
	{
		if (p->propstat.prop_status[i] == 0)
			continue;
		p->entry.prop_status[i] = status;
		if (status / 100 == 2)
			p->entry.value[i] = p->propstat.value[i];
	}
	if (status / 100 == 2)
		p->entry.marks |= p->propstat.marks;
	if (status >= 400)
		p->entry.failure = Max(p->entry.failure, status);
}

static void
end_response(DavXmlParser *p)
{
	if (p->entry.status >= 400)
		p->entry.failure = Max(p->entry.failure, p->entry.status);
	p->found(p->arg, &p->entry);
	begin_entry(p);
}

static void
end_element(void *arg, const char *name)
{
	DavXmlParser *p = arg;
	int			tag = tag_above(p, 0);
	DavEntry   *entry = spoken_of(p);

	if (tag == TAG_HREF)
		end_href(p);
	else if (tag == TAG_STATUS)
		end_status(p);
	else if (tag == TAG_MESSAGE && entry->message == NULL)
		entry->message = MemoryContextStrdup(entry == &p->entry ? p->entry_cxt : p->cxt,
											 trimmed_text(p));
	else if (tag == TAG_TOKEN)
		p->xml.sync_token = MemoryContextStrdup(p->cxt, trimmed_text(p));
	else if (tag >= TAG_PROPERTY)
		end_property(p, tag - TAG_PROPERTY);
	else if (tag == TAG_PROPSTAT)
		end_propstat(p);
	else if (tag == TAG_RESPONSE)
		end_response(p);
	p->depth--;
}

/*
 * dav_xml_begin
 *		A reader in a child context of "parent", which owns it: deleting either
 *		frees the foreign parser too.
 */
DavXml *
dav_xml_begin(MemoryContext parent, DavFound found, void *arg)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "tasksync XML",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	DavXmlParser *p = palloc0(sizeof(DavXmlParser));

	p->cxt = cxt;
	p->entry_cxt = AllocSetContextCreate(cxt, "tasksync XML response",
										 ALLOCSET_DEFAULT_SIZES);
	p->found = found;
	p->arg = arg;
	p->xml.parser = p;
	initStringInfo(&p->text);
	initStringInfo(&p->clean);

	p->expat = XML_ParserCreateNS(NULL, NS_SEPARATOR);
	if (p->expat == NULL)
		p->refusal = "out of memory";
	else
	{
		p->at_reset.func = free_expat;
		p->at_reset.arg = p;
		MemoryContextRegisterResetCallback(cxt, &p->at_reset);
		XML_SetUserData(p->expat, p);
		XML_SetElementHandler(p->expat, start_element, end_element);
		XML_SetCharacterDataHandler(p->expat, character_data);
		XML_SetStartDoctypeDeclHandler(p->expat, refuse_doctype);
	}
	MemoryContextSwitchTo(old);
	return &p->xml;
}

/* Whether "&#…;" names a character that no XML may hold (XML 1.0, 2.2). */
static bool
is_forbidden_reference(const char *reference)
{
	long		code;

	if (reference[1] != '#')
		return false;
	code = reference[2] == 'x' || reference[2] == 'X' ?
		strtol(reference + 3, NULL, 16) : strtol(reference + 2, NULL, 10);
	return code < 0x20 && code != '\t' && code != '\n' && code != '\r';
}

static void
flush_reference(DavXmlParser *p)
{
	p->reference[p->reference_len] = '\0';
	if (p->reference_len > 0 && !is_forbidden_reference(p->reference))
		appendBinaryStringInfo(&p->clean, p->reference, p->reference_len);
	p->reference_len = 0;
}

static bool
is_control(unsigned char b)
{
	return b < 0x20 && b != '\t' && b != '\n' && b != '\r';
}

/* How much of a chunk there is nothing to look at in. */
static size_t
plain_length(const char *s, size_t len)
{
	size_t		n = 0;

	while (n < len && s[n] != '&' && !is_control(s[n]))
		n++;
	return n;
}

/*
 * Appends a chunk to p->clean without control characters, raw or as numeric
 * references.  Many servers pass on what some phone once put into a note;
 * without this one such task would make its whole list unreadable for ever.
 */
static void
clean_chunk(DavXmlParser *p, const char *chunk, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char b;

		if (p->reference_len == 0)
		{
			size_t		plain = plain_length(chunk + i, len - i);

			appendBinaryStringInfo(&p->clean, chunk + i, plain);
			i += plain;
			if (i == len)
				break;
		}
		b = chunk[i];
		if (b == '&')
		{
			flush_reference(p);
			p->reference[p->reference_len++] = b;
		}
		else if (!is_control(b))
		{
			p->reference[p->reference_len++] = b;
			if (b == ';')
				flush_reference(p);
			else if (p->reference_len == sizeof(p->reference) - 1)
			{
				/* no reference to a character is so long */
				appendBinaryStringInfo(&p->clean, p->reference, p->reference_len);
				p->reference_len = 0;
			}
		}
	}
}

static void
keep_opening(DavXmlParser *p, const char *chunk, size_t len)
{
	size_t		room = MAX_OPENING - p->opening_len;

	memcpy(p->opening + p->opening_len, chunk, Min(room, len));
	p->opening_len += Min(room, len);
}

static bool
parse_clean(DavXmlParser *p, bool is_final)
{
	MemoryContext old = MemoryContextSwitchTo(p->entry_cxt);

	if (p->refusal == NULL &&
		XML_Parse(p->expat, p->clean.data, p->clean.len, is_final) == XML_STATUS_ERROR &&
		p->refusal == NULL)
		p->refusal = XML_ErrorString(XML_GetErrorCode(p->expat));
	resetStringInfo(&p->clean);
	MemoryContextSwitchTo(old);
	return p->refusal == NULL;
}

/*
 * dav_xml_feed
 *		Takes the next piece.  False once it can't be understood; more pieces
 *		are then ignored, and dav_xml_finish says why.
 */
bool
dav_xml_feed(DavXml *xml, const char *chunk, size_t len)
{
	DavXmlParser *p = xml->parser;

	keep_opening(p, chunk, len);
	if (p->refusal != NULL)
		return false;
	clean_chunk(p, chunk, len);
	return parse_clean(p, false);
}

/* The first line of what came, fit for an error's detail. */
static char *
first_line(const DavXmlParser *p)
{
	StringInfoData line;
	const char *s = p->opening;

	initStringInfo(&line);
	s += strspn(s, " \t\r\n");
	for (; *s != '\0' && *s != '\n' && *s != '\r'; s++)
		appendStringInfoChar(&line, *s >= ' ' && *s <= '~' ? *s : '?');
	return line.data;
}

/*
 * dav_xml_finish
 *		The body is over.  False with TS502 when it was not a complete answer
 *		of WebDAV's: not XML, cut short, another kind of document.
 */
bool
dav_xml_finish(DavXml *xml, TsError *err)
{
	DavXmlParser *p = xml->parser;

	flush_reference(p);
	if (!parse_clean(p, true) && p->opening_len == 0)
	{
		ts_error(err, "TS502", "the CalDAV server's answer is empty where XML was expected");
		return false;
	}
	if (p->refusal != NULL)
		ts_error(err, "TS502", "the CalDAV server's answer cannot be read: %s", p->refusal);
	else if (!xml->is_multistatus)
		ts_error(err, "TS502", "the CalDAV server's answer is not a multistatus");
	else
		return true;
	ts_error_detail(err, "It begins: %s", first_line(p));
	return false;
}

/*
 * dav_xml_end
 *		Frees the reader.
 */
void
dav_xml_end(DavXml *xml)
{
	MemoryContextDelete(xml->parser->cxt);
}
