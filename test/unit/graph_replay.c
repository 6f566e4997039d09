/*-------------------------------------------------------------------------
 *
 * graph_replay.c
 *	  For the Outlook provider's test programs (see graph_replay.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "graph_replay.h"
#include "provider/outlook/provider.h"

static const TsSite site = {.url = GRAPH,.user_agent = "tasksync-test"};

TsObservation *
graph_observed(TsConversation *conv, const char *id)
{
	for (int i = conv->nobs - 1; i >= 0; i--)
	{
		if (strcmp(conv->obs[i].external_id, id) == 0)
			return &conv->obs[i];
	}
	return NULL;
}

/*
 * The API's schemas, as far as they concern what is sent: a word for each
 * member, after which "," and the next.
 */

typedef struct Schema
{
	const char *name;
	const char *members;		/* name:kind, … */
	const char *required;
} Schema;

static const Schema schemas[] = {
	{"task", "title:s,body:{body,status:=notStarted|inProgress|completed|waitingOnOthers|deferred,"
	"importance:=low|normal|high,startDateTime:?{date,dueDateTime:?{date,completedDateTime:?{date,"
	"isReminderOn:b,reminderDateTime:?{date,recurrence:?{recurrence,categories:[s", ""},
	{"new", "title:s,body:{body,status:=notStarted|inProgress|completed|waitingOnOthers|deferred,"
	"importance:=low|normal|high,startDateTime:?{date,dueDateTime:?{date,completedDateTime:?{date,"
	"isReminderOn:b,reminderDateTime:?{date,recurrence:?{recurrence,categories:[s,linkedResources:[resource", "title"},
	{"body", "content:s,contentType:=text|html", ""},
	{"date", "dateTime:s,timeZone:s", "dateTime,timeZone"},
	{"recurrence", "pattern:{pattern,range:{range", ""},
	{"pattern", "type:=daily|weekly|absoluteMonthly|relativeMonthly|absoluteYearly|relativeYearly,interval:n,"
	"month:n,dayOfMonth:n,daysOfWeek:[=sunday|monday|tuesday|wednesday|thursday|friday|saturday,"
	"firstDayOfWeek:=sunday|monday|tuesday|wednesday|thursday|friday|saturday,index:=first|second|third|fourth|last", "type,interval"},
	{"range", "type:=endDate|noEnd|numbered,startDate:s,endDate:s,numberOfOccurrences:n,recurrenceTimeZone:s", "type,startDate"},
	{"resource", "applicationName:s,displayName:s,externalId:s,webUrl:s", "applicationName"},
	{"list", "displayName:s", "displayName"},
};

static bool is_valid(const char *name, const TsJson *value);

static bool
wrong(const char *where, const TsJson *value)
{
	tap_note("%s is wrong: %s", where, value != NULL ? ts_json_raw(value) : "missing");
	return false;
}

/* One of the words of "a|b|c" up to its end. */
static bool
is_word(const char *words, size_t len, const TsJson *value)
{
	char	   *all = psprintf("|%s|", pnstrdup(words, len));

	return value->kind == TS_JSON_STRING && strstr(all, psprintf("|%s|", value->text)) != NULL;
}

static bool
is_of_kind(const char *kind, size_t len, const TsJson *value)
{
	if (kind[0] == '?')
		return value->kind == TS_JSON_NULL || is_of_kind(kind + 1, len - 1, value);
	switch (kind[0])
	{
		case 's':
			return value->kind == TS_JSON_STRING;
		case 'b':
			return value->kind == TS_JSON_BOOL;
		case 'n':
			return ts_json_int(value, -99999) != -99999;
		case '=':
			return is_word(kind + 1, len - 1, value);
		case '{':
			return is_valid(pnstrdup(kind + 1, len - 1), value);
		case '[':
			if (value->kind != TS_JSON_ARRAY)
				return false;
			for (const TsJson *e = value->first; e != NULL; e = e->next)
			{
				bool		simple = kind[1] == '=' || len == 2;

				if (!(simple ? is_of_kind(kind + 1, len - 1, e) : is_valid(pnstrdup(kind + 1, len - 1), e)))
					return false;
			}
			return true;
	}
	return false;
}

static bool
member_is_valid(const Schema *schema, const TsJson *member)
{
	const char *p = schema->members;

	while (p != NULL)
	{
		const char *colon = strchr(p, ':');
		size_t		len = strcspn(colon + 1, ",");

		if (strlen(member->name) == colon - p && strncmp(member->name, p, colon - p) == 0)
			return is_of_kind(colon + 1, len, member);
		p = colon[1 + len] == ',' ? colon + len + 2 : NULL;
	}
	return false;
}

static bool
is_valid(const char *name, const TsJson *value)
{
	const Schema *schema = schemas;
	char	   *required;

	while (strcmp(schema->name, name) != 0)
		schema++;
	if (value == NULL || value->kind != TS_JSON_OBJECT)
		return wrong(name, value);
	for (const TsJson *m = value->first; m != NULL; m = m->next)
	{
		if (!member_is_valid(schema, m))
			return wrong(psprintf("%s.%s", name, m->name), m);
	}
	required = pstrdup(schema->required);
	for (char *word = strtok(required, ","); word != NULL; word = strtok(NULL, ","))
	{
		if (ts_json_get(value, word) == NULL)
			return wrong(psprintf("%s.%s", name, word), NULL);
	}
	return true;
}

bool
graph_valid_task(const char *body, bool creating)
{
	TsError		err = {0};

	return is_valid(creating ? "new" : "task", ts_json_parse(body, strlen(body), &err));
}

/* A body to this path, by this method, as one of a batch or alone. */
static bool
body_is_valid(const char *method, const char *path, const TsJson *body)
{
	bool		write = strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0;

	if (!write)
		return body == NULL;
	if (strstr(path, "/tasks") == NULL)
		return is_valid("list", body);
	return is_valid(strcmp(method, "POST") == 0 ? "new" : "task", body);
}

static bool
batch_is_valid(const TsJson *batch)
{
	const TsJson *requests = ts_json_get_kind(batch, "requests", TS_JSON_ARRAY);
	int			n = 0;

	for (const TsJson *r = requests ? requests->first : NULL; r != NULL; r = r->next)
	{
		const char *method = ts_json_get_string(r, "method");
		const char *url = ts_json_get_string(r, "url");

		n++;
		if (method == NULL || url == NULL || url[0] != '/' || ts_json_get_string(r, "id") == NULL ||
			!body_is_valid(method, url, ts_json_get(r, "body")))
			return wrong("a part", r);
	}
	return n >= 1 && n <= 20;
}

static bool
is_well_formed(const TsRequest *req)
{
	TsError		err = {0};
	const TsJson *body = req->body != NULL ? ts_json_parse(req->body, req->body_len, &err) : NULL;

	if (req->body != NULL && body == NULL)
		return false;
	return strstr(req->url, "/$batch") != NULL ? batch_is_valid(body)
		: body_is_valid(req->method, req->url, body);
}

/* Whether a request is the one the script expects; says so if not. */
static bool
is_expected(const TsRequest *req, const GraphReply *reply)
{
	bool		ours = strncmp(req->url, GRAPH, strlen(GRAPH)) == 0;
	char	   *got = psprintf("%s %s", req->method, ours ? req->url + strlen(GRAPH) : req->url);
	StringInfoData all;

	if (reply->request == NULL || strcmp(got, reply->request) != 0)
	{
		tap_note("got      %s", got);
		tap_note("expected %s", reply->request ? reply->request : "no request");
		return false;
	}
	initStringInfo(&all);
	for (int i = 0; i < req->nheaders; i++)
		appendStringInfo(&all, "%s: %s\n", req->headers[i].name, req->headers[i].value);
	if (req->body != NULL)
		appendBinaryStringInfo(&all, req->body, req->body_len);
	if (reply->contains != NULL && strstr(all.data, reply->contains) == NULL)
	{
		tap_note("%s lacks %s, it is", got, reply->contains);
		printf("# %s\n", all.data);
		return false;
	}
	return is_well_formed(req);
}

static void
answer(TsConversation *conv, const TsRequest *req, const GraphReply *reply)
{
	TsResponse	resp = {.status = reply->status,.url = req->url};

	ts_response_headers(&resp, reply->headers != NULL ? reply->headers : "");
	resp.body = pstrdup(reply->body != NULL ? reply->body : "");
	resp.body_len = strlen(resp.body);
	resp.retry_after = reply->retry_after != 0 ? reply->retry_after : -1;
	resp.maybe_applied = reply->maybe_applied;
	if (reply->status == 0)
		ts_error(&resp.error, "TS503", "no answer from graph.test");
	conv->provider->response(conv, &resp);
}

TsConversation *
graph_replay(const char *name, const TsOp *op, const GraphReply *script)
{
	TsConversation *conv = ts_outlook_provider.begin(&site, op);
	bool		good = true;
	TsRequest	req;

	while (good && ts_outlook_provider.next(conv, &req))
	{
		good = is_expected(&req, script);
		if (good)
			answer(conv, &req, script++);
	}
	if (good && script->request != NULL)
	{
		tap_note("not asked: %s", script->request);
		good = false;
	}
	tap_ok(good, "%s", name);
	if (!good && ts_failed(&conv->error))
		tap_note("%s %s", conv->error.sqlstate, conv->error.message);
	return conv;
}
