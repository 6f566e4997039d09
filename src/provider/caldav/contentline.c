/*-------------------------------------------------------------------------
 *
 * contentline.c
 *	  iCalendar text <-> a ring of content lines and a tree of components.
 *
 * Folds are undone on bytes, before anything looks at characters, because
 * writers do fold inside a UTF-8 character.  What cannot be understood stays a
 * line like any other, only without a name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/contentline.h"

#define FOLD_OCTETS		75

static const char utf8_bom[] = "\xEF\xBB\xBF";

/* ---------- reading ---------- */

/* End (exclusive) of the physical line at "pos", its LF included. */
static size_t
physical_end(const char *text, size_t len, size_t pos)
{
	const char *lf = memchr(text + pos, '\n', len - pos);

	return lf == NULL ? len : (size_t) (lf - text) + 1;
}

/* Copies a physical line without its end; returns where it stopped. */
static char *
copy_physical(char *to, const char *s, size_t len)
{
	while (len > 0 && (s[len - 1] == '\n' || s[len - 1] == '\r'))
		len--;
	memcpy(to, s, len);
	return to + len;
}

static bool
is_name_char(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		(c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

static void
add_param(TsIcalLine *line, const TsIcalParam *param)
{
	if (line->params == NULL)
		line->params = palloc(4 * sizeof(TsIcalParam));
	else if (line->nparams >= 4 && (line->nparams & (line->nparams - 1)) == 0)
		line->params = repalloc(line->params, 2 * line->nparams * sizeof(TsIcalParam));
	line->params[line->nparams++] = *param;
}

/* Scans one parameter at the ';' at *pos; leaves *pos at what ends it. */
static void
scan_param(TsIcalLine *line, int *pos, bool honour_quotes)
{
	const char *text = line->text;
	TsIcalParam param = {.start = *pos,.name = *pos + 1,.value = -1};
	bool		quoted = false;
	int			i = *pos + 1;

	i += strcspn(text + i, "=;:");
	param.name_len = i - param.name;
	if (text[i] == '=')
	{
		param.value = ++i;
		for (; text[i] != '\0'; i++)
		{
			if (text[i] == '"' && honour_quotes)
				quoted = !quoted;
			else if (!quoted && (text[i] == ';' || text[i] == ':'))
				break;
		}
	}
	param.end = i;
	add_param(line, &param);
	*pos = i;
}

/* Finds name, parameters and value; false when it is not a content line. */
static bool
scan_line(TsIcalLine *line, bool honour_quotes)
{
	int			pos = 0;

	line->nparams = 0;
	while (is_name_char(line->text[pos]))
		pos++;
	line->name_len = pos;
	while (pos > 0 && line->text[pos] == ';')
		scan_param(line, &pos, honour_quotes);
	line->value = pos + 1;
	if (pos > 0 && line->text[pos] == ':')
		return true;
	line->name_len = 0;
	return false;
}

/* Sets the logical text of a line; a quote that never closes is no quote. */
static void
set_logical(TsIcalLine *line, char *text, int len)
{
	line->text = text;
	line->len = len;
	if (!scan_line(line, true))
		scan_line(line, false);
}

static void
link_before(TsIcalLine *where, TsIcalLine *line)
{
	line->prev = where->prev;
	line->next = where;
	where->prev->next = line;
	where->prev = line;
}

/* End (exclusive) of the logical line at "pos", its folded rest included. */
static size_t
logical_end(const char *text, size_t len, size_t pos)
{
	size_t		end = physical_end(text, len, pos);

	while (end < len && (text[end] == ' ' || text[end] == '\t'))
		end = physical_end(text, len, end);
	return end;
}

/* Reads one logical line at *pos. */
static TsIcalLine *
read_line(TsIcalDoc *doc, const char *text, size_t len, size_t *pos)
{
	TsIcalLine *line = palloc0(sizeof(TsIcalLine));
	size_t		start = *pos;
	size_t		end = logical_end(text, len, start);
	size_t		from = start;
	char	   *logical = palloc(end - start + 1);
	char	   *to = logical;

	if (start == 0 && len >= 3 && memcmp(text, utf8_bom, 3) == 0)
		from += 3;
	while (from < end)
	{
		size_t		stop = physical_end(text, end, from);

		to = copy_physical(to, text + from, stop - from);
		from = stop + 1;		/* past the blank that marks a fold */
	}
	*to = '\0';
	line->raw = text + start;
	line->raw_len = end - start;
	set_logical(line, logical, to - logical);
	link_before(&doc->head, line);
	*pos = end;
	return line;
}

static bool
line_is(const TsIcalLine *line, const char *name)
{
	return line->name_len > 0 && strlen(name) == (size_t) line->name_len &&
		pg_strncasecmp(line->text, name, line->name_len) == 0;
}

/* A component's name as BEGIN and END give it, in capitals. */
static char *
component_name(const TsIcalLine *line)
{
	char	   *name = pstrdup(line->text + line->value);
	size_t		len = strlen(name);

	while (len > 0 && (name[len - 1] == ' ' || name[len - 1] == '\t'))
		name[--len] = '\0';
	for (char *p = name; *p; p++)
		*p = pg_ascii_toupper((unsigned char) *p);
	return name;
}

static TsIcalComponent *
open_component(TsIcalComponent *parent, TsIcalLine *line)
{
	TsIcalComponent *comp = palloc0(sizeof(TsIcalComponent));

	if (parent->last_child == NULL)
		parent->first_child = comp;
	else
		parent->last_child->next_sibling = comp;
	parent->last_child = comp;
	comp->parent = parent;
	comp->name = component_name(line);
	comp->begin = line;
	return comp;
}

/*
 * Follows BEGIN and END; returns the component that is open after this line,
 * or NULL with err set.
 */
static TsIcalComponent *
track_component(TsIcalComponent *current, TsIcalLine *line, int *depth, TsError *err)
{
	if (line_is(line, "BEGIN"))
	{
		if (++*depth <= TS_ICAL_MAX_NESTING)
			return open_component(current, line);
		ts_error(err, "TS502", "iCalendar text is nested more than %d levels deep",
				 TS_ICAL_MAX_NESTING);
		return NULL;
	}
	if (line_is(line, "END"))
	{
		if (current->parent == NULL || strcmp(current->name, component_name(line)) != 0)
		{
			ts_error(err, "TS502", "iCalendar text has an END:%.40s without its BEGIN",
					 component_name(line));
			return NULL;
		}
		current->end = line;
		--*depth;
		return current->parent;
	}
	return current;
}

/* The line end of the first line decides for the lines we add. */
static const char *
detect_eol(const char *text, size_t len)
{
	const char *lf = memchr(text, '\n', len);

	return lf != NULL && (lf == text || lf[-1] != '\r') ? "\n" : "\r\n";
}

/* A text without its NUL bytes: they would end it for whoever reads it next. */
static const char *
without_nuls(const char *text, size_t *len)
{
	char	   *clean;
	size_t		kept = 0;

	if (*len == 0 || memchr(text, '\0', *len) == NULL)
		return text;
	clean = palloc(*len);
	for (size_t i = 0; i < *len; i++)
	{
		if (text[i] != '\0')
			clean[kept++] = text[i];
	}
	*len = kept;
	return clean;
}

TsIcalDoc *
ts_ical_parse(const char *text, size_t len, TsError *err)
{
	TsIcalDoc  *doc = palloc0(sizeof(TsIcalDoc));
	TsIcalComponent *current = &doc->root;
	size_t		pos = 0;
	int			nlines = 0;
	int			depth = 0;

	if (len > TS_ICAL_MAX_BYTES)
	{
		ts_error(err, "TS502", "iCalendar text is larger than %d bytes", TS_ICAL_MAX_BYTES);
		return NULL;
	}
	text = without_nuls(text, &len);
	doc->head.prev = doc->head.next = &doc->head;
	doc->root.name = "";
	doc->eol = detect_eol(text, len);
	doc->zones = palloc0(sizeof(TsIcalZoneMemo));
	while (pos < len)
	{
		TsIcalLine *line = read_line(doc, text, len, &pos);

		if (++nlines > TS_ICAL_MAX_LINES)
		{
			ts_error(err, "TS502", "iCalendar text has more than %d lines", TS_ICAL_MAX_LINES);
			return NULL;
		}
		current = track_component(current, line, &depth, err);
		if (current == NULL)
			return NULL;
	}
	if (current != &doc->root)
	{
		ts_error(err, "TS502", "iCalendar text ends inside a %.40s", current->name);
		return NULL;
	}
	if (doc->root.first_child == NULL)
	{
		ts_error(err, "TS502", "text is not an iCalendar object");
		return NULL;
	}
	return doc;
}

char *
ts_ical_print(const TsIcalDoc *doc)
{
	StringInfoData out;

	initStringInfo(&out);
	for (const TsIcalLine *line = doc->head.next; line != &doc->head; line = line->next)
		appendBinaryStringInfo(&out, line->raw, line->raw_len);
	return out.data;
}

/* ---------- finding ---------- */

TsIcalLine *
ts_ical_line(const TsIcalComponent *comp, const char *name, const TsIcalLine *after)
{
	TsIcalLine *line = after ? after->next : comp->begin->next;
	int			depth = 0;

	for (; line != comp->end; line = line->next)
	{
		if (line_is(line, "BEGIN"))
			depth++;
		else if (line_is(line, "END"))
			depth--;
		else if (depth == 0 && line_is(line, name))
			return line;
	}
	return NULL;
}

static bool
param_is(const TsIcalLine *line, const TsIcalParam *param, const char *name)
{
	return strlen(name) == (size_t) param->name_len &&
		pg_strncasecmp(line->text + param->name, name, param->name_len) == 0;
}

static const TsIcalParam *
find_param(const TsIcalLine *line, const char *name)
{
	for (int i = 0; i < line->nparams; i++)
	{
		if (param_is(line, &line->params[i], name))
			return &line->params[i];
	}
	return NULL;
}

char *
ts_ical_param(const TsIcalLine *line, const char *name)
{
	const TsIcalParam *param = find_param(line, name);
	StringInfoData out;

	if (param == NULL || param->value < 0)
		return NULL;
	initStringInfo(&out);
	for (int i = param->value; i < param->end; i++)
	{
		char		c = line->text[i];
		char		next = line->text[i + 1];

		if (c == '^' && i + 1 < param->end && strchr("n^'", next) != NULL)
		{
			appendStringInfoChar(&out, next == 'n' ? '\n' : next == '^' ? '^' : '"');
			i++;
		}
		else if (c != '"')
			appendStringInfoCharMacro(&out, c);
	}
	return out.data;
}

const char *
ts_ical_value(const TsIcalLine *line)
{
	return line->text + line->value;
}

/* ---------- editing ---------- */

/* The bytes to send for a logical line: folded between characters. */
static char *
fold_line(const char *text, int len, const char *eol, size_t *out_len)
{
	StringInfoData out;
	int			room = FOLD_OCTETS;

	initStringInfo(&out);
	while (len > room)
	{
		int			take = room;

		while (take > room - 3 && ((unsigned char) text[take] & 0xC0) == 0x80)
			take--;
		appendBinaryStringInfo(&out, text, take);
		appendStringInfo(&out, "%s ", eol);
		text += take;
		len -= take;
		room = FOLD_OCTETS - 1; /* the blank that marks the fold counts */
	}
	appendBinaryStringInfo(&out, text, len);
	appendStringInfoString(&out, eol);
	*out_len = out.len;
	return out.data;
}

void
ts_ical_set_text(TsIcalDoc *doc, TsIcalLine *line, const char *text)
{
	set_logical(line, pstrdup(text), strlen(text));
	line->raw = fold_line(line->text, line->len, doc->eol, &line->raw_len);
	doc->changed = true;
}

static bool
is_dropped(const TsIcalLine *line, const TsIcalParam *param, const char *const *drop)
{
	for (; drop != NULL && *drop != NULL; drop++)
	{
		if (param_is(line, param, *drop))
			return true;
	}
	return false;
}

/*
 * A parameter as it is, but for a quote that never closed: a quote in the value
 * that is put behind it would close it.
 */
static void
append_param(StringInfo out, const TsIcalLine *line, const TsIcalParam *param)
{
	bool		open = false;

	for (int i = param->value; param->value >= 0 && i < param->end; i++)
		open ^= line->text[i] == '"';
	for (int i = param->start; i < param->end; i++)
	{
		if (!open || i < param->value || line->text[i] != '"')
			appendStringInfoCharMacro(out, line->text[i]);
	}
}

char *
ts_ical_header(const TsIcalLine *line, const char *const *drop)
{
	StringInfoData text;

	initStringInfo(&text);
	appendBinaryStringInfo(&text, line->text, line->name_len);
	for (int i = 0; i < line->nparams; i++)
	{
		const TsIcalParam *param = &line->params[i];

		if (!is_dropped(line, param, drop))
			append_param(&text, line, param);
	}
	return text.data;
}

void
ts_ical_set_value(TsIcalDoc *doc, TsIcalLine *line, const char *value,
				  const char *const *drop)
{
	ts_ical_set_text(doc, line, psprintf("%s:%s", ts_ical_header(line, drop), value));
}

/* A text may end without a line end; what comes behind it needs one. */
static void
end_line(TsIcalDoc *doc, TsIcalLine *line)
{
	if (line == &doc->head || (line->raw_len > 0 && line->raw[line->raw_len - 1] == '\n'))
		return;
	line->raw = psprintf("%.*s%s", (int) line->raw_len, line->raw, doc->eol);
	line->raw_len = strlen(line->raw);
}

TsIcalLine *
ts_ical_add_before(TsIcalDoc *doc, TsIcalLine *where, const char *text)
{
	TsIcalLine *line = palloc0(sizeof(TsIcalLine));

	end_line(doc, where->prev);
	ts_ical_set_text(doc, line, text);
	link_before(where, line);
	return line;
}

TsIcalLine *
ts_ical_add(TsIcalDoc *doc, TsIcalComponent *comp, const char *text)
{
	TsIcalLine *where = comp->begin->next;

	while (where != comp->end && !line_is(where, "BEGIN"))
		where = where->next;
	return ts_ical_add_before(doc, where, text);
}

void
ts_ical_remove(TsIcalDoc *doc, TsIcalLine *line)
{
	line->prev->next = line->next;
	line->next->prev = line->prev;
	doc->changed = true;
}

void
ts_ical_remove_component(TsIcalDoc *doc, TsIcalComponent *comp)
{
	TsIcalComponent *parent = comp->parent;
	TsIcalComponent *before = NULL;

	comp->begin->prev->next = comp->end->next;
	comp->end->next->prev = comp->begin->prev;
	for (TsIcalComponent *c = parent->first_child; c != comp; c = c->next_sibling)
		before = c;
	if (before == NULL)
		parent->first_child = comp->next_sibling;
	else
		before->next_sibling = comp->next_sibling;
	if (parent->last_child == comp)
		parent->last_child = before;
	doc->changed = true;
}
