/*-------------------------------------------------------------------------
 *
 * contentline.h
 *	  iCalendar text as a list of content lines that can be edited without
 *	  disturbing the lines beside them (RFC 5545, 3.1; RFC 6868).
 *
 * A document is its lines, in order, each with the very bytes it came in, and
 * a tree of components laid over them.  Printing gives every line that was not
 * touched back byte for byte: odd folding, bare LFs, trailing blanks, lines
 * that make no sense.  A line that is set anew is folded at 75 octets between
 * characters and ends as the document's first line does.
 *
 * Values are handed out unfolded but still escaped; ts_ical_unescape and its
 * kin turn a TEXT value into clean UTF-8 and back.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_CONTENTLINE_H
#define TASKSYNC_CONTENTLINE_H

#include "task/task.h"

#define TS_ICAL_MAX_BYTES		(16 * 1024 * 1024)
#define TS_ICAL_MAX_LINES		200000
#define TS_ICAL_MAX_NESTING		16

typedef struct TsIcalParam
{
	int			start;			/* of its ';' in the line's text */
	int			end;			/* just after it */
	int			name;
	int			name_len;
	int			value;			/* with quotes, if any; -1: no '=' */
} TsIcalParam;

typedef struct TsIcalLine
{
	struct TsIcalLine *prev;
	struct TsIcalLine *next;
	const char *raw;			/* the bytes as they came or will be sent */
	size_t		raw_len;
	char	   *text;			/* unfolded, without the line's end, NUL-terminated */
	int			len;
	int			name_len;		/* 0: not a content line */
	int			value;			/* offset in text of what follows the ':' */
	TsIcalParam *params;
	int			nparams;
} TsIcalLine;

/* A line between BEGIN and END belongs to the innermost component around it. */
typedef struct TsIcalComponent
{
	struct TsIcalComponent *parent;
	struct TsIcalComponent *first_child;
	struct TsIcalComponent *last_child;
	struct TsIcalComponent *next_sibling;
	const char *name;			/* upper case */
	TsIcalLine *begin;
	TsIcalLine *end;
} TsIcalComponent;

/* The zone that was looked up last (tzid.c); a document has mostly one. */
typedef struct TsIcalZoneMemo
{
	int			lookups;		/* so far */
	char	   *tzid;
	char	   *name;			/* NULL: its name does not tell */
	struct TsVtimezone *vtimezone;	/* what explains it then; NULL: nothing */
	int			year;			/* found in this year (0: not yet) ... */
	const char *agreeing;		/* ... to agree with this zone, or NULL */
} TsIcalZoneMemo;

typedef struct TsIcalDoc
{
	TsIcalLine	head;			/* sentinel of the ring of lines */
	TsIcalComponent root;		/* holds the VCALENDARs; has no lines of its own */
	const char *eol;			/* "\r\n" or "\n" */
	bool		changed;
	TsIcalZoneMemo *zones;
} TsIcalDoc;

/*
 * ts_ical_parse: NULL with *err (TS502) for what is not iCalendar: no
 *		component at all, BEGIN and END that do not match (a truncated text
 *		among them), more bytes, lines or nesting than above.  The document
 *		points into "text", which must stay.
 * ts_ical_print: the whole text, palloc'd; NUL bytes are lost in between.
 */
extern TsIcalDoc *ts_ical_parse(const char *text, size_t len, TsError *err);
extern char *ts_ical_print(const TsIcalDoc *doc);

/*
 * Finding.
 *
 * ts_ical_line: the component's own next line of that name after "after"
 *		(NULL: its first one), children's lines left out; NULL if none.
 * ts_ical_param: a parameter's value, unquoted and RFC 6868-decoded; NULL.
 * ts_ical_value: the value, still escaped; never NULL.
 */
extern TsIcalLine *ts_ical_line(const TsIcalComponent *comp, const char *name,
								const TsIcalLine *after);
extern char *ts_ical_param(const TsIcalLine *line, const char *name);
extern const char *ts_ical_value(const TsIcalLine *line);

/*
 * Editing.  Texts are logical lines without line end ("SUMMARY:Buy milk").
 *
 * ts_ical_header: a line's name and parameters as they are, but for the
 *		parameters named in "drop" (a NULL-terminated list or NULL), and for
 *		quotes that never close.
 * ts_ical_set_value: a new value behind that.
 * ts_ical_set_text: a whole new line in its place.
 * ts_ical_add: a new line after the component's own last one.
 * ts_ical_add_before: a new line before another one.
 * ts_ical_remove, ts_ical_remove_component: what it says.
 */
extern char *ts_ical_header(const TsIcalLine *line, const char *const *drop);
extern void ts_ical_set_value(TsIcalDoc *doc, TsIcalLine *line,
							  const char *value, const char *const *drop);
extern void ts_ical_set_text(TsIcalDoc *doc, TsIcalLine *line, const char *text);
extern TsIcalLine *ts_ical_add(TsIcalDoc *doc, TsIcalComponent *comp, const char *text);
extern TsIcalLine *ts_ical_add_before(TsIcalDoc *doc, TsIcalLine *where, const char *text);
extern void ts_ical_remove(TsIcalDoc *doc, TsIcalLine *line);
extern void ts_ical_remove_component(TsIcalDoc *doc, TsIcalComponent *comp);

/*
 * TEXT values (RFC 5545, 3.3.11).
 *
 * ts_ical_unescape: to UTF-8 text with LF for line ends; control characters
 *		are dropped and bytes that are no UTF-8 become U+FFFD, so that the
 *		result can be stored.
 * ts_ical_unescape_list: a comma-separated list of them; returns how many.
 * ts_ical_clean: the same cleaning for values that are not escaped (URI).
 * ts_ical_escape, ts_ical_param_quote: the way out.
 */
extern char *ts_ical_unescape(const char *value, size_t len);
extern int	ts_ical_unescape_list(const char *value, size_t len, char ***items);
extern char *ts_ical_clean(const char *value, size_t len);
extern char *ts_ical_escape(const char *text);
extern char *ts_ical_param_quote(const char *value);

#endif							/* TASKSYNC_CONTENTLINE_H */
