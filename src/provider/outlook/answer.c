/*-------------------------------------------------------------------------
 *
 * answer.c
 *	  What an answer says about what went wrong, and what every step does
 *	  about it in the same way.
 *
 * {"error": {"code": "…", "message": "…", "innerError": {"code": "…",
 * "request-id": "…", "innerError": …}}}: the codes are the part that is made
 * to be understood, the innermost is the most exact.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

#define MAX_RETRY_AFTER 7200	/* seconds */
#define MAX_INNER		8

/*
 * graph_is_busy
 *		Whether the service says that it did not even begin, and to come back
 *		later.  A 503 of a load balancer, which does not tell when, may be about a
 *		request that was begun.
 */
bool
graph_is_busy(const GraphAnswer *a)
{
	return a->status == 423 || a->status == 429 || (a->status == 503 && a->retry_after >= 0);
}

bool
graph_is_missing(const GraphAnswer *a)
{
	return a->status == 404 || a->status == 410;
}

/* Whether the service understood, and said no. */
bool
graph_is_refused(const GraphAnswer *a)
{
	return (a->status / 100 == 4 && a->status != 401 && a->status != 408 && !graph_is_busy(a)) ||
		a->status == 501 || a->status == 505 || a->status == 507;
}

static char *
words(const GraphAnswer *a, const char *text)
{
	return text != NULL ? ts_response_words(a->whole, text, strlen(text)) : pstrdup("");
}

/* "code/innercode: message" */
static char *
error_text(const GraphAnswer *a, const TsJson *error, const char **request_id)
{
	StringInfoData out;
	const TsJson *inner = error;
	char	   *message;

	initStringInfo(&out);
	for (int i = 0; i < MAX_INNER && inner != NULL; i++)
	{
		char	   *code = words(a, ts_json_get_string(inner, "code"));

		if (code[0] != '\0' && strstr(out.data, code) == NULL)
			appendStringInfo(&out, "%s%s", out.len > 0 ? "/" : "", code);
		if (ts_json_get_string(inner, "request-id") != NULL)
			*request_id = ts_json_get_string(inner, "request-id");
		inner = ts_json_get(inner, ts_json_get(inner, "innerError") ? "innerError" : "innererror");
	}
	message = words(a, ts_json_get_string(error, "message"));
	if (message[0] != '\0')
		appendStringInfo(&out, "%s%s", out.len > 0 ? ": " : "", message);
	return out.data;
}

static void
describe_words(const GraphAnswer *a, TsError *err)
{
	const TsJson *error = ts_json_get(a->json, "error");
	const char *request_id = a->request_id;
	char	   *text;

	if (error != NULL && error->kind == TS_JSON_OBJECT)
		text = error_text(a, error, &request_id);
	else if (a->json != NULL || a->resp == NULL)
		text = pstrdup("");
	else
		text = ts_response_words(a->resp, a->resp->body, a->resp->body_len);
	if (text[0] != '\0' && request_id != NULL)
		ts_error_detail(err, "The service said: %s (request-id %s)", text, words(a, request_id));
	else if (text[0] != '\0')
		ts_error_detail(err, "The service said: %s", text);
	else if (request_id != NULL)
		ts_error_detail(err, "The request-id is %s.", words(a, request_id));
}

/* A redirect that net did not follow leads to another host. */
static void
describe_redirect(const GraphAnswer *a, TsError *err)
{
	const char *location = a->resp != NULL ? ts_response_header(a->resp, "location") : NULL;
	char	   *origin = location != NULL ? ts_link_origin(location) : NULL;

	if (origin == NULL)
		return;
	ts_error_detail(err, "The service redirects to %s.", origin);
	ts_error_hint(err, "If you trust that host, set the provider's base_url to it.");
}

static const char *
sqlstate_of(const GraphAnswer *a)
{
	if (a->status == 401)
		return "TS401";
	if (a->status / 100 == 3)
		return "42501";
	return graph_is_busy(a) || a->status == 408 || (a->status >= 500 && !graph_is_refused(a))
		? "TS503" : "TS502";
}

/*
 * graph_describe
 *		The error that an answer amounts to, in *err.
 *
 * failed: "could not …"; object: what it was about, with a blank before it.
 */
void
graph_describe(const GraphAnswer *a, TsError *err, const char *failed, const char *object)
{
	if (a->status == 0 && a->resp != NULL)
	{
		/* the net's error lives no longer than its response */
		ts_error_copy(err, &a->resp->error, CurrentMemoryContext);
		return;
	}
	if (a->status == 0 || a->status / 100 == 2)
	{
		ts_error(err, "TS502", "%s%s: %s", failed, object,
				 ts_failed(&a->problem) ? a->problem.message
				 : "the service's answer says nothing about it");
		return;
	}
	ts_error(err, sqlstate_of(a), "%s%s: HTTP status %d", failed, object, a->status);
	if (a->status / 100 == 3)
		describe_redirect(a, err);
	else
		describe_words(a, err);
	if (a->status == 401)
		ts_error_hint(err, "Log in again with begin_oauth(), or use set_credentials().");
	else if (a->status == 403)
		ts_error_hint(err, "The account's consent may not cover this: Tasks.ReadWrite is needed.");
}

/*
 * graph_fail
 *		Ends the conversation with what the answer amounts to.
 */
void
graph_fail(GraphConversation *c, const GraphAnswer *a, const char *object)
{
	graph_describe(a, &c->base.error, c->step->failed, object);
	if (a->status == 401)
		c->base.auth_failed = true;
	c->base.only_here = c->base.op->list_id != NULL && !graph_is_busy(a) &&
		(a->status >= 500 || a->status == 408);
	if ((graph_is_busy(a) || a->status >= 500) && a->retry_after >= 0)
		c->base.retry_after = Max(c->base.retry_after,
								  Min(Max(a->retry_after, 1), MAX_RETRY_AFTER));
	c->step = NULL;
}

/*
 * graph_renew
 *		A part says that the token is refused, which the service itself did not: it is
 *		asked again with another, once.  True when that is so.
 */
bool
graph_renew(GraphConversation *c, const GraphAnswer *a)
{
	if (a->status != 401 || a->resp != NULL || c->renewed)
		return false;
	return c->renews = c->renewed = true;
}

/*
 * graph_common_trouble
 *		True when the answer ends any conversation, whatever it was about.
 */
bool
graph_common_trouble(GraphConversation *c, const GraphAnswer *a)
{
	if (a->status / 100 == 2 || graph_is_refused(a))
		return false;
	graph_fail(c, a, graph_object(c));
	return true;
}

/* What the conversation is about, as an error message names it. */
const char *
graph_object(const GraphConversation *c)
{
	const TsOp *op = c->base.op;

	return op->list_id != NULL ? psprintf(" \"%s\"", op->list_id) : "";
}
