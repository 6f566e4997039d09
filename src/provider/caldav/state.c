/*-------------------------------------------------------------------------
 *
 * state.c
 *	  What is kept from one conversation to the next: the cursor of a list and
 *	  what was learned about its server, both small flat JSON objects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "provider/caldav/caldav.h"

typedef void (*MemberFound) (void *arg, const char *name, const char *value,
							 JsonTokenType type);

typedef struct FlatReader
{
	int			depth;
	char	   *name;			/* of the member being read, at depth 1 */
	MemberFound found;
	void	   *arg;
} FlatReader;

static void
enter(void *state)
{
	((FlatReader *) state)->depth++;
}

static void
leave(void *state)
{
	((FlatReader *) state)->depth--;
}

static void
member(void *state, char *name, bool is_null)
{
	FlatReader *reader = state;

	if (reader->depth == 1)
		reader->name = name;
}

static void
scalar(void *state, char *token, JsonTokenType type)
{
	FlatReader *reader = state;

	if (reader->depth == 1 && reader->name != NULL)
		reader->found(reader->arg, reader->name, token, type);
}

/* Calls found for every scalar member of the object; false: not JSON. */
static bool
read_flat(const char *json, MemberFound found, void *arg)
{
	FlatReader	reader = {.found = found, .arg = arg};
	JsonSemAction actions = {
		.semstate = &reader,
		.object_start = enter,
		.object_end = leave,
		.array_start = enter,
		.array_end = leave,
		.object_field_start = member,
		.scalar = scalar,
	};
	JsonLexContext *lex = makeJsonLexContextCstringLen(unconstify(char *, json),
													   strlen(json), PG_UTF8, true);

	return pg_parse_json(lex, &actions) == JSON_SUCCESS;
}

/* The facts and their names in the JSON. */
static const struct
{
	const char *name;
	size_t		offset;
}			facts[] = {
	{"no_sync", offsetof(DavCaps, no_sync)},
	{"no_query", offsetof(DavCaps, no_query)},
	{"no_multiget", offsetof(DavCaps, no_multiget)},
	{"strict_multiget", offsetof(DavCaps, strict_multiget)},
	{"lax_conditions", offsetof(DavCaps, lax_conditions)},
};

static bool *
fact_at(DavCaps *caps, int i)
{
	return (bool *) ((char *) caps + facts[i].offset);
}

static void
load_fact(void *arg, const char *name, const char *value, JsonTokenType type)
{
	for (int i = 0; i < lengthof(facts); i++)
	{
		if (strcmp(name, facts[i].name) == 0)
			*fact_at(arg, i) = type == JSON_TOKEN_TRUE;
	}
}

/*
 * dav_caps_load
 *		What earlier conversations learned.  Anything unreadable is forgotten:
 *		it will be learned again.
 */
void
dav_caps_load(DavCaps *caps, const char *json)
{
	memset(caps, 0, sizeof(*caps));
	if (json != NULL && !read_flat(json, load_fact, caps))
		memset(caps, 0, sizeof(*caps));
}

/*
 * dav_caps_learn
 *		Sets a fact of c->caps, and has it remembered if it is news.
 */
void
dav_caps_learn(DavConversation *c, bool *fact, bool value)
{
	StringInfoData json;
	const char *separator = "";

	if (*fact == value)
		return;
	*fact = value;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	for (int i = 0; i < lengthof(facts); i++)
	{
		if (!*fact_at(&c->caps, i))
			continue;
		appendStringInfo(&json, "%s\"%s\": true", separator, facts[i].name);
		separator = ", ";
	}
	appendStringInfoChar(&json, '}');
	c->base.caps = MemoryContextStrdup(c->base.cxt, json.data);
	pfree(json.data);
}

static void
load_marker(void *arg, const char *name, const char *value, JsonTokenType type)
{
	DavPull    *pull = arg;

	if (type != JSON_TOKEN_STRING)
		return;
	if (strcmp(name, "token") == 0)
		pull->token = pstrdup(value);
	else if (strcmp(name, "ctag") == 0)
		pull->ctag = pstrdup(value);
}

/*
 * dav_cursor_load
 *		Sets c->pull's markers from a cursor; an unreadable one has none.
 */
void
dav_cursor_load(DavConversation *c, const char *json)
{
	if (json != NULL && !read_flat(json, load_marker, &c->pull))
		c->pull.token = c->pull.ctag = NULL;
}

/*
 * dav_cursor_text
 *		A cursor of these markers, each may be NULL.
 */
char *
dav_cursor_text(const char *token, const char *ctag)
{
	StringInfoData json;

	initStringInfo(&json);
	appendStringInfoChar(&json, '{');
	if (token != NULL)
	{
		appendStringInfoString(&json, "\"token\": ");
		ts_json_string(&json, token);
	}
	if (ctag != NULL)
	{
		appendStringInfo(&json, "%s\"ctag\": ", token != NULL ? ", " : "");
		ts_json_string(&json, ctag);
	}
	appendStringInfoChar(&json, '}');
	return json.data;
}

typedef struct Wanted
{
	const char *name;
	char	   *value;
} Wanted;

static void
find_setting(void *arg, const char *name, const char *value, JsonTokenType type)
{
	Wanted	   *wanted = arg;

	if (type == JSON_TOKEN_STRING && strcmp(name, wanted->name) == 0)
		wanted->value = pstrdup(value);
}

/*
 * dav_setting
 *		A string among the settings; NULL when there is none, with err set
 *		(22023) when the settings are no JSON.
 */
char *
dav_setting(const char *json, const char *name, TsError *err)
{
	Wanted		wanted = {.name = name};

	if (json != NULL && !read_flat(json, find_setting, &wanted))
		ts_error(err, "22023", "the provider's settings are not valid JSON");
	return wanted.value;
}
