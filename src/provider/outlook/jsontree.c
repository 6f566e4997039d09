/*-------------------------------------------------------------------------
 *
 * jsontree.c
 *	  JSON as a tree, and written (see jsontree.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "provider/outlook/jsontree.h"
#include "utils/memutils.h"

#define MAX_NESTING		64
#define REPLACEMENT		"\\ufffd"

typedef struct TreeBuilder
{
	JsonLexContext *lex;
	TsJson	   *root;
	TsJson	   *open[MAX_NESTING + 1];
	int			depth;
	char	   *name;			/* of the member whose value comes next */
	const char *start;			/* where that value begins */
} TreeBuilder;

/*
 * Making it readable
 */

/* The number of a \uXXXX at p, or -1. */
static int
escaped_unit(const char *p, const char *end)
{
	int			unit = 0;

	if (end - p < 6 || p[0] != '\\' || p[1] != 'u')
		return -1;
	for (int i = 2; i < 6; i++)
	{
		if (!isxdigit((unsigned char) p[i]))
			return -1;
		unit = unit * 16 + (isdigit((unsigned char) p[i]) ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
	}
	return unit;
}

/* Takes over an escape; how many bytes it is long. */
static size_t
mend_escape(StringInfo out, const char *p, const char *end)
{
	int			unit = escaped_unit(p, end);
	int			next;

	if (unit < 0)
	{
		size_t		len = Min(2, end - p);

		appendBinaryStringInfo(out, p, len);
		return len;
	}
	next = escaped_unit(p + 6, end);
	if (unit >= 0xD800 && unit < 0xDC00 && next >= 0xDC00 && next < 0xE000)
	{
		appendBinaryStringInfo(out, p, 12);
		return 12;
	}
	if (unit == 0 || (unit >= 0xD800 && unit < 0xE000))
		appendStringInfoString(out, REPLACEMENT);
	else
		appendBinaryStringInfo(out, p, 6);
	return 6;
}

/* Takes over a character of a string that is not ASCII. */
static size_t
mend_character(StringInfo out, const char *p, const char *end)
{
	size_t		len = pg_utf_mblen((const unsigned char *) p);

	if (len > end - p || !pg_utf8_islegal((const unsigned char *) p, len))
	{
		appendStringInfoString(out, REPLACEMENT);
		return 1;
	}
	appendBinaryStringInfo(out, p, len);
	return len;
}

/* The text with all strings storable; false: nested too deeply. */
static bool
mend(StringInfo out, const char *p, const char *end)
{
	bool		in_string = false;
	int			depth = 0;

	if (end - p >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
		p += 3;
	while (p < end)
	{
		if (in_string && *p == '\\')
			p += mend_escape(out, p, end);
		else if (in_string && IS_HIGHBIT_SET(*p))
			p += mend_character(out, p, end);
		else
		{
			if (*p == '"')
				in_string = !in_string;
			else if (!in_string && (*p == '[' || *p == '{') && ++depth > MAX_NESTING)
				return false;
			else if (!in_string && (*p == ']' || *p == '}'))
				depth--;
			appendStringInfoCharMacro(out, *p++);
		}
	}
	return true;
}

/*
 * Building the tree
 */

static TsJson *
add(TreeBuilder *b, TsJsonKind kind)
{
	TsJson	   *value = palloc0(sizeof(TsJson));
	TsJson	   *parent = b->depth > 0 ? b->open[b->depth - 1] : NULL;

	value->kind = kind;
	if (parent == NULL)
		b->root = value;
	else if (parent->first == NULL)
		parent->first = parent->last = value;
	else
		parent->last = parent->last->next = value;
	if (parent != NULL && parent->kind == TS_JSON_OBJECT)
		value->name = b->name;
	value->raw = b->start != NULL ? b->start : b->lex->input;
	return value;
}

static void
open_value(TreeBuilder *b, TsJsonKind kind)
{
	TsJson	   *value = add(b, kind);

	value->raw = b->lex->token_start;
	b->open[b->depth++] = value;
}

static void
close_value(TreeBuilder *b)
{
	TsJson	   *value = b->open[--b->depth];

	value->raw_len = b->lex->prev_token_terminator - value->raw;
}

static void
object_start(void *state)
{
	open_value(state, TS_JSON_OBJECT);
}

static void
array_start(void *state)
{
	open_value(state, TS_JSON_ARRAY);
}

static void
value_end(void *state)
{
	close_value(state);
}

static void
member_start(void *state, char *name, bool isnull)
{
	TreeBuilder *b = state;

	b->name = name;
	b->start = b->lex->token_start;
}

static void
element_start(void *state, bool isnull)
{
	TreeBuilder *b = state;

	b->start = b->lex->token_start;
}

static void
scalar(void *state, char *token, JsonTokenType type)
{
	TreeBuilder *b = state;
	TsJsonKind	kind = type == JSON_TOKEN_STRING ? TS_JSON_STRING
		: type == JSON_TOKEN_NUMBER ? TS_JSON_NUMBER
		: type == JSON_TOKEN_NULL ? TS_JSON_NULL : TS_JSON_BOOL;
	TsJson	   *value = add(b, kind);

	if (kind == TS_JSON_STRING || kind == TS_JSON_NUMBER)
		value->text = token;
	value->boolean = type == JSON_TOKEN_TRUE;
	value->raw_len = b->lex->prev_token_terminator - value->raw;
}

TsJson *
ts_json_parse(const char *text, size_t len, TsError *err)
{
	TreeBuilder b = {0};
	JsonSemAction actions = {
		.semstate = &b,
		.object_start = object_start,.object_end = value_end,
		.array_start = array_start,.array_end = value_end,
		.object_field_start = member_start,.array_element_start = element_start,
		.scalar = scalar,
	};
	StringInfoData mended;

	initStringInfo(&mended);
	if (len >= MaxAllocSize / 6 || !mend(&mended, text, text + len))
	{
		ts_error(err, "TS502", "JSON is nested too deeply or too large");
		return NULL;
	}
	b.lex = makeJsonLexContextCstringLen(mended.data, mended.len, PG_UTF8, true);
	if (pg_parse_json(b.lex, &actions) != JSON_SUCCESS)
	{
		ts_error(err, "TS502", "malformed JSON");
		return NULL;
	}
	return b.root;
}

/*
 * Reading the tree
 */

/* Of members of one name the last counts, as with jsonb. */
const TsJson *
ts_json_get(const TsJson *object, const char *name)
{
	const TsJson *found = NULL;

	if (object == NULL || object->kind != TS_JSON_OBJECT)
		return NULL;
	for (const TsJson *m = object->first; m != NULL; m = m->next)
	{
		if (strcmp(m->name, name) == 0)
			found = m;
	}
	return found;
}

const TsJson *
ts_json_get_kind(const TsJson *object, const char *name, TsJsonKind kind)
{
	const TsJson *value = ts_json_get(object, name);

	return value != NULL && value->kind == kind ? value : NULL;
}

const char *
ts_json_get_string(const TsJson *object, const char *name)
{
	const TsJson *value = ts_json_get_kind(object, name, TS_JSON_STRING);

	return value != NULL ? value->text : NULL;
}

bool
ts_json_get_bool(const TsJson *object, const char *name)
{
	const TsJson *value = ts_json_get_kind(object, name, TS_JSON_BOOL);

	return value != NULL && value->boolean;
}

/* A whole number of at most nine digits. */
int
ts_json_int(const TsJson *value, int otherwise)
{
	const char *digits;

	if (value == NULL || value->kind != TS_JSON_NUMBER)
		return otherwise;
	digits = value->text + (value->text[0] == '-');
	if (strlen(digits) > 9 || strspn(digits, "0123456789") != strlen(digits))
		return otherwise;
	return (int) strtol(value->text, NULL, 10);
}

int
ts_json_get_int(const TsJson *object, const char *name, int otherwise)
{
	return ts_json_int(ts_json_get(object, name), otherwise);
}

char *
ts_json_raw(const TsJson *value)
{
	return pnstrdup(value->raw, value->raw_len);
}

static int
count_children(const TsJson *value)
{
	int			n = 0;

	for (const TsJson *c = value->first; c != NULL; c = c->next)
		n++;
	return n;
}

/* Only for small values that we made ourselves, or their likes: objects are compared member by member. */
bool
ts_json_same(const TsJson *a, const TsJson *b)
{
	const TsJson *other;

	if (a == NULL || b == NULL || a->kind != b->kind)
		return a == b;
	switch (a->kind)
	{
		case TS_JSON_NULL:
			return true;
		case TS_JSON_BOOL:
			return a->boolean == b->boolean;
		case TS_JSON_NUMBER:
		case TS_JSON_STRING:
			return strcmp(a->text, b->text) == 0;
		case TS_JSON_ARRAY:
		case TS_JSON_OBJECT:
			break;
	}
	if (count_children(a) != count_children(b))
		return false;
	other = b->first;
	for (const TsJson *c = a->first; c != NULL; c = c->next)
	{
		if (!ts_json_same(c, a->kind == TS_JSON_OBJECT ? ts_json_get(b, c->name) : other))
			return false;
		other = other->next;
	}
	return true;
}

/*
 * Writing
 */

void
ts_json_open(StringInfo out)
{
	appendStringInfoCharMacro(out, '{');
}

void
ts_json_close(StringInfo out)
{
	appendStringInfoCharMacro(out, '}');
}

void
ts_json_put_raw(StringInfo out, const char *name, const char *raw, size_t len)
{
	if (out->data[out->len - 1] != '{')
		appendStringInfoCharMacro(out, ',');
	ts_json_string(out, name);
	appendStringInfoCharMacro(out, ':');
	appendBinaryStringInfo(out, raw, len);
}

void
ts_json_put_members(StringInfo out, const TsJson *object, const char *without)
{
	for (const TsJson *m = object->first; m != NULL; m = m->next)
	{
		if (without == NULL || strcmp(m->name, without) != 0)
			ts_json_put_raw(out, m->name, m->raw, m->raw_len);
	}
}

char *
ts_json_without(const TsJson *object, const char *name)
{
	StringInfoData out;

	initStringInfo(&out);
	ts_json_open(&out);
	ts_json_put_members(&out, object, name);
	ts_json_close(&out);
	return out.data;
}

void
ts_json_put_string(StringInfo out, const char *name, const char *value)
{
	StringInfoData quoted;

	initStringInfo(&quoted);
	ts_json_string(&quoted, value);
	ts_json_put_raw(out, name, quoted.data, quoted.len);
	pfree(quoted.data);
}
