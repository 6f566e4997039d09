/*-------------------------------------------------------------------------
 *
 * state.c
 *	  What is kept from one conversation to the next: the cursor of a list and
 *	  what was learned about its server, both small flat JSON objects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

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
load_fact(void *arg, const char *name, const char *value, bool is_string)
{
	for (int i = 0; i < lengthof(facts); i++)
	{
		if (strcmp(name, facts[i].name) == 0)
			*fact_at(arg, i) = !is_string && strcmp(value, "true") == 0;
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
	if (json != NULL && !ts_json_members(json, strlen(json), load_fact, caps))
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
load_marker(void *arg, const char *name, const char *value, bool is_string)
{
	DavPull    *pull = arg;

	if (!is_string)
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
	if (json != NULL && !ts_json_members(json, strlen(json), load_marker, &c->pull))
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
