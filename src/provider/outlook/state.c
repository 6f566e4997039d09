/*-------------------------------------------------------------------------
 *
 * state.c
 *	  What is kept from one conversation to the next: the cursor of a list and
 *	  what was learned about the service, both small JSON objects.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

/* The facts and their names in the JSON. */
static const struct
{
	const char *name;
	size_t		offset;
}			facts[] = {
	{"no_delta", offsetof(GraphCaps, no_delta)},
	{"no_delta_expand", offsetof(GraphCaps, no_delta_expand)},
	{"no_expand", offsetof(GraphCaps, no_expand)},
	{"no_batch", offsetof(GraphCaps, no_batch)},
	{"small_batches", offsetof(GraphCaps, small_batches)},
	{"single_parts", offsetof(GraphCaps, single_parts)},
	{"larger_again", offsetof(GraphCaps, larger_again)},
	{"no_steps", offsetof(GraphCaps, no_steps)},
};

static const char *const if_match_words[] = {
	[GRAPH_IF_MATCH_UNKNOWN] = "unknown",
	[GRAPH_IF_MATCH_HONOURED] = "honoured",
	[GRAPH_IF_MATCH_IGNORED] = "ignored",
	[GRAPH_IF_MATCH_USELESS] = "useless",
};

static bool *
fact_at(GraphCaps *caps, int i)
{
	return (bool *) ((char *) caps + facts[i].offset);
}

/*
 * graph_caps_load
 *		What earlier conversations learned.  Anything unreadable is forgotten:
 *		it will be learned again.
 */
void
graph_caps_load(GraphCaps *caps, const char *json)
{
	TsError		err = {0};
	const TsJson *kept = json != NULL ? ts_json_parse(json, strlen(json), &err) : NULL;
	const char *word = ts_json_get_string(kept, "if_match");

	memset(caps, 0, sizeof(*caps));
	for (int i = 0; i < lengthof(facts); i++)
		*fact_at(caps, i) = ts_json_get_bool(kept, facts[i].name);
	for (int i = 0; word != NULL && i < lengthof(if_match_words); i++)
	{
		if (strcmp(word, if_match_words[i]) == 0)
			caps->if_match = i;
	}
}

/* Has c->caps remembered as they are now. */
static void
remember(GraphConversation *c)
{
	MemoryContext old = MemoryContextSwitchTo(c->base.cxt);
	StringInfoData json;

	initStringInfo(&json);
	ts_json_open(&json);
	for (int i = 0; i < lengthof(facts); i++)
	{
		if (*fact_at(&c->caps, i))
			ts_json_put_raw(&json, facts[i].name, "true", 4);
	}
	if (c->caps.if_match != GRAPH_IF_MATCH_UNKNOWN)
		ts_json_put_string(&json, "if_match", if_match_words[c->caps.if_match]);
	ts_json_close(&json);
	c->base.caps = json.data;
	MemoryContextSwitchTo(old);
}

/*
 * graph_learn, graph_learn_if_match
 *		Sets a fact of c->caps, and has it remembered if it is news.
 */
void
graph_learn(GraphConversation *c, bool *fact, bool value)
{
	if (*fact == value)
		return;
	*fact = value;
	remember(c);
}

void
graph_learn_if_match(GraphConversation *c, GraphIfMatch value)
{
	if (c->caps.if_match == value)
		return;
	c->caps.if_match = value;
	remember(c);
}

/*
 * graph_cursor_text, graph_cursor_delta
 *		A cursor, and the path of the delta link in it; NULL when it has none.
 */
char *
graph_cursor_text(const char *delta)
{
	StringInfoData json;

	initStringInfo(&json);
	ts_json_open(&json);
	ts_json_put_string(&json, "delta", delta);
	ts_json_close(&json);
	return json.data;
}

char *
graph_cursor_delta(const char *cursor)
{
	TsError		err = {0};
	const TsJson *kept = ts_json_parse(cursor, strlen(cursor), &err);
	const char *delta = ts_json_get_string(kept, "delta");

	if (delta == NULL || delta[0] != '/')
		return NULL;
	for (const char *p = delta; *p; p++)
	{
		if ((unsigned char) *p <= ' ' || *p == 0x7f || IS_HIGHBIT_SET(*p))
			return NULL;
	}
	return pstrdup(delta);
}
