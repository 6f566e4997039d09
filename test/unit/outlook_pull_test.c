/*-------------------------------------------------------------------------
 *
 * outlook_pull_test.c
 *	  Reading from Microsoft Graph: lists, what changed in one, tasks by id.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "graph_replay.h"
#include "provider/outlook/provider.h"

#define LIST "/me/todo/lists/L%3D1"
#define DELTA "GET " LIST "/tasks/delta"
#define EXPANDED "?$expand=linkedResources,checklistItems"
#define LINK(name, rest) "\"@odata." name "\":\"" GRAPH LIST "/tasks/delta?" rest "\""
#define WHOLE(id, etag) \
	"{\"@odata.etag\":\"W/\\\"" etag "\\\"\",\"id\":\"" id "\",\"title\":\"t\",\"status\":\"notStarted\"," \
	"\"importance\":\"normal\",\"isReminderOn\":false,\"body\":{\"content\":\"\",\"contentType\":\"text\"},\"linkedResources\":[],\"checklistItems\":[]}"
#define PART(id, etag) "{\"@odata.etag\":\"W/\\\"" etag "\\\"\",\"id\":\"" id "\",\"importance\":\"high\"}"
#define REMOVED(id) "{\"id\":\"" id "\",\"@removed\":{\"reason\":\"deleted\"}}"
#define PAGE(items, link) "{\"@odata.context\":\"x\",\"value\":[" items "]," link "}"
#define CURSOR(token) "{\"delta\":\"" LIST "/tasks/delta?" token "\"}"
#define GRAPH_ERROR(code, message) \
	"{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\",\"innerError\":{\"date\":\"2026-01-01T00:00:00\"," \
	"\"request-id\":\"11-22\",\"client-request-id\":\"33\"}}}"

static TsConversation *
pull(const char *name, const char *cursor, bool full, bool payloads, const char *caps, const GraphReply *script)
{
	TsOp	   *op = palloc0(sizeof(TsOp));

	op->kind = TS_OP_PULL;
	op->list_id = "L=1";
	op->cursor = cursor;
	op->full = full;
	op->want_payloads = payloads;
	op->caps = caps;
	return graph_replay(name, op, script);
}

static void
failed_with(TsConversation *c, const char *state, const char *detail)
{
	tap_is(c->error.sqlstate, state, "fails with %s", state);
	if (detail != NULL)
		tap_is(c->error.detail, detail, "and says");
	tap_ok(!c->complete && !c->unchanged && c->cursor == NULL, "and claims nothing");
}

static void
test_first(void)
{
	TsConversation *c;

	c = pull("a first pull", NULL, false, true, NULL, (GraphReply[]) {
		{DELTA EXPANDED, "Prefer: odata.maxpagesize=500\n", 200, PAGE(WHOLE("a", "1") "," PART("b", "2"), LINK("nextLink", "$skiptoken=s1"))},
		{DELTA "?$skiptoken=s1", NULL, 200, PAGE("", LINK("nextLink", "$skiptoken=s2"))},
		{DELTA "?$skiptoken=s2", NULL, 200, PAGE(WHOLE("c", "3") "," REMOVED("gone"), LINK("deltaLink", "$deltatoken=d1"))},
		{NULL}
	});
	tap_ok(!ts_failed(&c->error) && c->complete && !c->unchanged, "is complete");
	tap_is(c->cursor, CURSOR("$deltatoken=d1"), "its cursor");
	tap_is_int(c->nobs, 3, "its tasks");
	tap_is(graph_observed(c, "a")->etag, "W/\"1\"", "an etag");
	tap_is(graph_observed(c, "a")->payload, WHOLE("a", "1"), "whole");
	tap_is(graph_observed(c, "b")->payload, NULL, "in part");

	c = pull("texts are not wanted", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 200, PAGE(WHOLE("a", "1"), LINK("deltaLink", "$deltatoken=d1"))}, {NULL}
	});
	tap_ok(c->complete && c->obs[0].payload == NULL && c->obs[0].etag != NULL, "only revisions");

	c = pull("a task that comes again", NULL, false, true, NULL, (GraphReply[]) {
		{DELTA EXPANDED, NULL, 200, PAGE(WHOLE("a", "1") "," WHOLE("a", "2"), LINK("nextLink", "$skiptoken=1"))},
		{DELTA "?$skiptoken=1", NULL, 200, PAGE(REMOVED("a"), LINK("deltaLink", "$deltatoken=d"))}, {NULL}
	});
	tap_is_int(c->nobs, 3, "is told again");
	tap_ok(c->obs[1].payload == NULL && c->obs[1].etag == NULL && c->obs[2].gone, "to be asked for");

	c = pull("no $expand in a delta query", NULL, false, true, NULL, (GraphReply[]) {
		{DELTA EXPANDED, NULL, 400, GRAPH_ERROR("badRequest", "no expand")},
		{DELTA, NULL, 200, PAGE(WHOLE("a", "1"), LINK("deltaLink", "$deltatoken=d"))},
		{"GET " LIST "/tasks" EXPANDED, "Prefer: odata.maxpagesize", 200, PAGE(WHOLE("a", "1") "," WHOLE("b", "1"), "\"x\":1")}, {NULL}
	});
	tap_ok(c->complete && c->nobs == 2 && c->obs[0].payload != NULL, "then a listing has it");
	tap_is(c->cursor, CURSOR("$deltatoken=d"), "with the delta's cursor");
	tap_is(c->caps, "{\"no_delta_expand\":true}", "which is remembered");
}

static void
test_changes(void)
{
	TsConversation *c;

	c = pull("nothing new", CURSOR("$deltatoken=d1"), false, false, NULL, (GraphReply[]) {
		{DELTA "?$deltatoken=d1", NULL, 200, PAGE("", LINK("deltaLink", "$deltatoken=d2"))}, {NULL}
	});
	tap_ok(c->unchanged && !c->complete && c->cursor == NULL && c->nobs == 0, "one request, the cursor stays");

	c = pull("changes", CURSOR("$deltatoken=d1"), false, false, NULL, (GraphReply[]) {
		{DELTA "?$deltatoken=d1", NULL, 200, PAGE(WHOLE("a", "2") "," REMOVED("b"), LINK("deltaLink", "$deltatoken=d2"))}, {NULL}
	});
	tap_ok(!c->unchanged && !c->complete, "some");
	tap_is(c->cursor, CURSOR("$deltatoken=d2"), "a new cursor");
	tap_ok(graph_observed(c, "b")->gone && !graph_observed(c, "a")->gone && graph_observed(c, "a")->payload == NULL, "and what");

	for (int i = 0; i < 3; i++)
	{
		static const int statuses[] = {400, 404, 410};

		c = pull("a cursor that is forgotten", CURSOR("$deltatoken=d1"), false, false, NULL, (GraphReply[]) {
			{DELTA "?$deltatoken=d1", NULL, statuses[i], GRAPH_ERROR("syncStateNotFound", "gone")},
			{DELTA, NULL, 200, PAGE(WHOLE("a", "1"), LINK("deltaLink", "$deltatoken=d2"))}, {NULL}
		});
		tap_ok(c->complete && c->nobs == 1, "all is named again");
	}
	c = pull("the list is gone", CURSOR("$deltatoken=d1"), false, false, NULL, (GraphReply[]) {
		{DELTA "?$deltatoken=d1", NULL, 404, GRAPH_ERROR("ErrorItemNotFound", "no")},
		{DELTA, NULL, 404, GRAPH_ERROR("ErrorItemNotFound", "no")}, {NULL}
	});
	tap_ok(c->list_gone && ts_failed(&c->error), "is told");
	c = pull("lost in the middle", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 200, PAGE("", LINK("nextLink", "$skiptoken=1"))},
		{DELTA "?$skiptoken=1", NULL, 410, ""},
		{DELTA, NULL, 200, PAGE("", LINK("nextLink", "$skiptoken=1"))},
		{DELTA "?$skiptoken=1", NULL, 410, ""}, {NULL}
	});
	failed_with(c, "TS502", NULL);
	tap_ok(!c->list_gone, "twice is a fault, but the list is there");
	c = pull("an audit", CURSOR("$deltatoken=d1"), true, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 200, PAGE(WHOLE("a", "1"), LINK("deltaLink", "$deltatoken=d2"))}, {NULL}
	});
	tap_ok(c->complete && c->cursor != NULL, "is a new round");
	c = pull("a cursor that is none", "{\"delta\":\"https://evil.test/\"}", false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 200, PAGE("", LINK("deltaLink", "$deltatoken=d2"))}, {NULL}
	});
	tap_ok(c->complete, "is not followed");
}

static void
test_snapshots(void)
{
	TsConversation *c;

	c = pull("delta is refused", CURSOR("$deltatoken=d"), false, false, NULL, (GraphReply[]) {
		{DELTA "?$deltatoken=d", NULL, 403, GRAPH_ERROR("ErrorAccessDenied", "scope")},
		{"GET " LIST "/tasks" EXPANDED, NULL, 200, PAGE(WHOLE("a", "1"), "\"@odata.nextLink\":\"" GRAPH LIST "/tasks?$skip=1\"")},
		{"GET " LIST "/tasks?$skip=1", NULL, 200, PAGE(WHOLE("b", "1"), "\"x\":1")}, {NULL}
	});
	tap_ok(c->complete && c->nobs == 2 && c->cursor == NULL, "a listing");
	tap_is(c->caps, "{\"no_delta\":true}", "remembered");
	c = pull("from then on", NULL, false, false, "{\"no_delta\":true}", (GraphReply[]) {
		{"GET " LIST "/tasks" EXPANDED, NULL, 400, GRAPH_ERROR("badRequest", "no expand")},
		{"GET " LIST "/tasks", NULL, 200, PAGE("", "\"x\":1")}, {NULL}
	});
	tap_ok(c->complete, "at once, without $expand");
	c = pull("an audit asks anew", NULL, true, false, "{\"no_delta\":true,\"no_batch\":true,\"no_steps\":true,\"if_match\":\"ignored\"}", (GraphReply[]) {
		{DELTA, NULL, 200, PAGE("", LINK("deltaLink", "$deltatoken=d"))}, {NULL}
	});
	tap_is(c->caps, "{}", "and what was learned is forgotten");
	c = pull("small batches in a full pull", CURSOR("$deltatoken=d"), true, false, "{\"small_batches\":true,\"single_parts\":true}", (GraphReply[]) {
		{DELTA, NULL, 200, PAGE("", LINK("deltaLink", "$deltatoken=d"))}, {NULL}
	});
	tap_is(c->caps, "{\"small_batches\":true,\"single_parts\":true,\"larger_again\":true}", "are kept");
	c = pull("and in one after it", CURSOR("$deltatoken=d"), false, false, c->caps, (GraphReply[]) {
		{DELTA "?$deltatoken=d", NULL, 200, PAGE("", LINK("deltaLink", "$deltatoken=e"))}, {NULL}
	});
	tap_is(c->caps, "{}", "larger ones are tried again");
	c = pull("nothing is allowed", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 403, GRAPH_ERROR("ErrorAccessDenied", "scope")},
		{"GET " LIST "/tasks" EXPANDED, NULL, 403, GRAPH_ERROR("ErrorAccessDenied", "scope")}, {NULL}
	});
	failed_with(c, "TS502", "The service said: ErrorAccessDenied: scope (request-id 11-22)");
}

static void
test_hostile(void)
{
	static const char *const nonsense[] = {
		"", "{", "[]", "null", "{\"value\":{}}", "{\"value\":[1]}", "{\"value\":[{\"title\":\"x\"}]}",
		"{\"value\":[{\"id\":\"\"}]}", "{\"value\":[{\"id\":7}]}", "{\"value\":[]}",
		"{\"value\":[],\"@odata.deltaLink\":7}", "<html>", "{\"value\":[{\"id\":\"a\"}"
	};
	static const char *const elsewhere[] = {
		"https://evil.test/v1.0/me", "http://graph.test/v1.0/me", "https://graph.test:8443/v1.0/me",
		"https://graph.test/beta/me", "https://graph.test/v1.0x/me", "https://graph.test/v1.0/../beta/me",
		"https://u:p@graph.test/v1.0/me", "https://graph.test.evil.test/v1.0/me", "//evil.test/v1.0/me",
		"file:///v1.0/me", "/v1.0/me", "https://graph.test@evil.test/v1.0/me", "https://graph.test/v1.0/a\\nb",
		"https://graph.test\\\\@evil.test/v1.0/me", "https://graph.test/v1.0/%2e%2e/beta"
	};
	StringInfoData deep;
	TsConversation *c;

	for (int i = 0; i < lengthof(nonsense); i++)
	{
		c = pull(psprintf("nonsense: %s", nonsense[i]), CURSOR("d"), false, false, NULL, (GraphReply[]) {
			{DELTA "?d", NULL, 200, nonsense[i]}, {NULL}
		});
		failed_with(c, "TS502", NULL);
	}
	for (int i = 0; i < lengthof(elsewhere); i++)
		for (int k = 0; k < 2; k++)
		{
			c = pull(psprintf("a link to %s", elsewhere[i]), NULL, false, false, NULL, (GraphReply[]) {
				{DELTA, NULL, 200, psprintf("{\"value\":[],\"@odata.%s\":\"%s\"}", k ? "nextLink" : "deltaLink", elsewhere[i])}, {NULL}
			});
			failed_with(c, "42501", NULL);
		}
	c = pull("a link in another spelling", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 200, PAGE("", "\"@odata.deltaLink\":\"HTTPS://Graph.TEST:443/v1.0/me/todo/x?a=b%20c\"")}, {NULL}
	});
	tap_is(c->cursor, "{\"delta\":\"/me/todo/x?a=b%20c\"}", "is the same");

	c = pull("a page that comes again", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 200, PAGE("", LINK("nextLink", "1"))}, {DELTA "?1", NULL, 200, PAGE("", LINK("nextLink", "2"))},
		{DELTA "?2", NULL, 200, PAGE("", LINK("nextLink", "1"))}, {NULL}
	});
	failed_with(c, "TS502", NULL);
	initStringInfo(&deep);
	appendStringInfoString(&deep, "{\"value\":[{\"id\":\"a\",\"x\":");
	for (int i = 0; i < 100000; i++)
		appendStringInfoChar(&deep, '[');
	c = pull("deep nesting", NULL, false, false, NULL, (GraphReply[]) {{DELTA, NULL, 200, deep.data}, {NULL}});
	failed_with(c, "TS502", NULL);
}

/* Pages without end: the conversation ends them. */
static void
test_endless(void)
{
	static const TsSite site = {.url = GRAPH};
	TsOp		op = {.kind = TS_OP_PULL,.list_id = "L=1"};
	TsConversation *c = ts_outlook_provider.begin(&site, &op);
	TsRequest	req;
	int			n = 0;

	while (ts_outlook_provider.next(c, &req) && n++ < 5000)
	{
		char	   *body = psprintf("{\"value\":[],\"@odata.nextLink\":\"" GRAPH "/x?%d\"}", n);
		TsResponse	resp = {.status = 200,.url = req.url,.body = body,.body_len = strlen(body),.retry_after = -1};

		ts_outlook_provider.response(c, &resp);
	}
	tap_ok(n == 2000, "%d pages", n);
	failed_with(c, "TS502", NULL);
}

static void
test_trouble(void)
{
	TsConversation *c;

	c = pull("401", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 401, GRAPH_ERROR("InvalidAuthenticationToken", "expired")}, {NULL}
	});
	failed_with(c, "TS401", "The service said: InvalidAuthenticationToken: expired (request-id 11-22)");
	tap_ok(c->auth_failed, "the credentials were refused");
	c = pull("429", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 429, GRAPH_ERROR("TooManyRequests", "later"), NULL, false, 3}, {NULL}
	});
	failed_with(c, "TS503", NULL);
	tap_is_int(c->retry_after, 3, "when to come back");
	c = pull("500", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 500, "<html>oops</html>", "request-id: ab\n"}, {NULL}
	});
	failed_with(c, "TS503", "The service said: oops (request-id ab)");
	c = pull("302", NULL, false, false, NULL, (GraphReply[]) {
		{DELTA, NULL, 302, "", "location: https://evil.test/?secret\n"}, {NULL}
	});
	failed_with(c, "42501", "The service redirects to https://evil.test.");
	c = pull("no answer", NULL, false, false, NULL, (GraphReply[]) {{DELTA, NULL, 0}, {NULL}});
	failed_with(c, "TS503", NULL);
}

/* ---------- tasks by their ids ---------- */

#define BATCH "POST /$batch"
#define RESPONSES(parts) "{\"responses\":[" parts "]}"
#define ANSWER(id, status, body) "{\"id\":\"" id "\",\"status\":" status ",\"headers\":{},\"body\":" body "}"

static TsConversation *
fetch(const char *name, int n, const char *caps, const GraphReply *script)
{
	static const char *ids[] = {"a=", "b", "c"};
	TsOp	   *op = palloc0(sizeof(TsOp));

	op->kind = TS_OP_FETCH;
	op->list_id = "L=1";
	op->ids = ids;
	op->nids = n;
	op->caps = caps;
	return graph_replay(name, op, script);
}

static void
test_fetch(void)
{
	TsConversation *c;

	c = fetch("one", 1, NULL, (GraphReply[]) {{"GET " LIST "/tasks/a%3D" EXPANDED, NULL, 200, WHOLE("a=", "1")}, {NULL}});
	tap_is(c->obs[0].payload, WHOLE("a=", "1"), "is read");
	c = fetch("three, in another order", 3, NULL, (GraphReply[]) {
		{BATCH, "{\"id\":\"2\",\"method\":\"GET\",\"url\":\"" LIST "/tasks/b" EXPANDED "\"}", 200,
		RESPONSES(ANSWER("3", "200", WHOLE("c", "3")) "," ANSWER("1", "404", "{}") "," ANSWER("2", "200", WHOLE("b", "2")))},
		{"GET " LIST, NULL, 200, "{\"id\":\"L=1\"}"}, {NULL}
	});
	tap_ok(c->nobs == 3 && graph_observed(c, "a=")->gone, "one is gone, and its list is there");
	tap_is(graph_observed(c, "b")->etag, "W/\"2\"", "and the others");
	c = fetch("gone with its list", 1, NULL, (GraphReply[]) {
		{"GET " LIST "/tasks/a%3D" EXPANDED, NULL, 404, ""}, {"GET " LIST, NULL, 404, ""}, {NULL}
	});
	tap_ok(c->list_gone && c->nobs == 0, "the list is gone, and no task was");
	c = fetch("a part is missing", 2, NULL, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES(ANSWER("1", "200", WHOLE("a=", "1")))}, {NULL}
	});
	tap_is(c->error.sqlstate, "TS502", "is an error");
	tap_is_int(c->nobs, 1, "what came is kept");
	c = fetch("a part is throttled", 2, NULL, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES("{\"id\":\"1\",\"status\":429,\"headers\":{\"retry-after\":\"2.128\"},\"body\":" GRAPH_ERROR("TooManyRequests", "x") "}," ANSWER("2", "503", "null"))}, {NULL}
	});
	tap_is(c->error.sqlstate, "TS503", "ends it");
	tap_is_int(c->retry_after, 3, "fractions are rounded up");
	c = fetch("a part is refused", 2, NULL, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES(ANSWER("1", "403", GRAPH_ERROR("ErrorAccessDenied", "no")) "," ANSWER("2", "200", WHOLE("b", "2")))}, {NULL}
	});
	tap_ok(!ts_failed(&c->error) && c->nobs == 2, "the others go on");
	tap_is(graph_observed(c, "a=")->error.sqlstate, "TS502", "and it has an error");
	c = fetch("a part of another task", 2, NULL, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES(ANSWER("1", "200", WHOLE("b", "1")) "," ANSWER("2", "200", "\"text\""))}, {NULL}
	});
	tap_ok(ts_failed(&c->obs[0].error) && ts_failed(&c->obs[1].error), "are no answers");
	c = fetch("no $expand", 2, NULL, (GraphReply[]) {
		{BATCH, EXPANDED, 200, RESPONSES(ANSWER("1", "400", "{}") "," ANSWER("2", "400", "{}"))},
		{BATCH, "/tasks/b\"}", 200, RESPONSES(ANSWER("1", "200", WHOLE("a=", "1")) "," ANSWER("2", "200", WHOLE("b", "2")))}, {NULL}
	});
	tap_is(c->caps, "{\"no_expand\":true}", "is remembered");
	c = fetch("no $batch", 2, NULL, (GraphReply[]) {
		{BATCH, NULL, 404, ""}, {"GET " LIST "/tasks/a%3D" EXPANDED, NULL, 200, WHOLE("a=", "1")},
		{"GET " LIST "/tasks/b" EXPANDED, NULL, 200, WHOLE("b", "2")}, {NULL}
	});
	tap_is(c->caps, "{\"no_batch\":true}", "is remembered");
	tap_is_int(c->nobs, 2, "and does no harm");
	c = fetch("nonsense", 2, NULL, (GraphReply[]) {{BATCH, NULL, 200, "{\"responses\":{}}"}, {NULL}});
	tap_is(c->error.sqlstate, "TS502", "is an error");
	c = fetch("nonsense in parts", 2, NULL, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES("7,{\"id\":\"99\",\"status\":200},{\"id\":\"1\",\"status\":\"200\"},{\"id\":1,\"status\":20000000000}")}, {NULL}
	});
	tap_is(c->error.sqlstate, "TS502", "too");
}

/* ---------- lists ---------- */

#define LISTS "GET /me/todo/lists"
#define A_LIST(id, name, kind) "{\"id\":\"" id "\",\"displayName\":\"" name "\",\"isOwner\":true,\"wellknownListName\":\"" kind "\"}"
#define HINT "00000000-0000-4000-8000-000000000001"
#define WORKING "Work (tasksync " HINT ")"

static TsConversation *
lists(const char *name, TsOpKind kind, const char *id, const GraphReply *script)
{
	TsOp	   *op = palloc0(sizeof(TsOp));

	op->kind = kind;
	op->list_id = id;
	op->name = "Work";
	op->color = "#aabbcc";
	op->new_list_hint = HINT;
	return graph_replay(name, op, script);
}

static void
test_lists(void)
{
	TsConversation *c;

	c = lists("all", TS_OP_LISTS, NULL, (GraphReply[]) {
		{LISTS, NULL, 200, PAGE(A_LIST("L1", "Tasks", "defaultList"), "\"@odata.nextLink\":\"" GRAPH "/me/todo/lists?$skip=1\"")},
		{LISTS "?$skip=1", NULL, 200, PAGE(A_LIST("L2", "Flagged", "flaggedEmails") "," A_LIST("L3", "", "none"), "\"x\":1")},
		{"GET /me?$select=id", NULL, 200, "{\"id\":\"u1\",\"userPrincipalName\":\"x\"}"}, {NULL}
	});
	tap_ok(c->nlists == 3 && c->lists[0].is_writable && !c->lists[1].is_writable && c->lists[2].is_writable, "their rights");
	tap_is(c->lists[0].name, "Tasks", "their names");
	tap_is(c->account, "u1", "whose they are");
	c = lists("one", TS_OP_LISTS, "L=1", (GraphReply[]) {
		{"GET " LIST, NULL, 200, A_LIST("L=1", "Work", "none")}, {"GET /me?$select=id", NULL, 403, GRAPH_ERROR("x", "y")}, {NULL}
	});
	tap_ok(c->nlists == 1 && c->account == NULL && !ts_failed(&c->error), "nobody may say whose");
	c = lists("one that is not there", TS_OP_LISTS, "L=1", (GraphReply[]) {{"GET " LIST, NULL, 404, ""}, {"GET /me?$select=id", NULL, 200, "{}"}, {NULL}});
	tap_ok(c->nlists == 0 && !ts_failed(&c->error), "is not in the result");
	c = lists("a link to another host", TS_OP_LISTS, NULL, (GraphReply[]) {
		{LISTS, NULL, 200, PAGE("", "\"@odata.nextLink\":\"https://evil.test/v1.0/me\"")}, {NULL}
	});
	tap_is(c->error.sqlstate, "42501", "is refused");

	c = lists("create", TS_OP_LIST_CREATE, NULL, (GraphReply[]) {
		{LISTS, NULL, 200, PAGE(A_LIST("L1", "Work", "none"), "\"x\":1")},
		{"POST /me/todo/lists", "{\"displayName\":\"" WORKING "\"}", 201, A_LIST("L=2", WORKING, "none")},
		{"PATCH /me/todo/lists/L%3D2", "{\"displayName\":\"Work\"}", 200, A_LIST("L=2", "Work", "none")}, {NULL}
	});
	tap_ok(c->nlists == 1 && !ts_failed(&c->error), "one list");
	tap_is(c->lists[0].id, "L=2", "the new one");
	tap_is(c->lists[0].name, "Work", "of that name");
	c = lists("create, after a lost answer", TS_OP_LIST_CREATE, NULL, (GraphReply[]) {
		{LISTS, NULL, 200, PAGE(A_LIST("L1", "Tasks", "none") "," A_LIST("L=2", "Old name (tasksync " HINT ")", "none"), "\"x\":1")},
		{"PATCH /me/todo/lists/L%3D2", NULL, 500, ""}, {NULL}
	});
	tap_is(c->lists[0].id, "L=2", "the one that is there");
	tap_ok(!ts_failed(&c->error), "whatever becomes of its name");
	c = lists("create, throttled before it has its name", TS_OP_LIST_CREATE, NULL, (GraphReply[]) {
		{LISTS, NULL, 200, PAGE("", "\"x\":1")}, {"POST /me/todo/lists", NULL, 201, A_LIST("L=2", "x", "none")},
		{"PATCH /me/todo/lists/L%3D2", NULL, 429, "", NULL, false, 7}, {NULL}
	});
	tap_ok(c->nlists == 0 && c->retry_after == 7, "is to be tried again");
	c = lists("create, refused", TS_OP_LIST_CREATE, NULL, (GraphReply[]) {
		{LISTS, NULL, 200, PAGE("", "\"x\":1")}, {"POST /me/todo/lists", NULL, 400, GRAPH_ERROR("invalidRequest", "no")}, {NULL}
	});
	tap_is(c->error.sqlstate, "TS502", "is an error");
	c = lists("create, and an answer that says nothing", TS_OP_LIST_CREATE, NULL, (GraphReply[]) {
		{LISTS, NULL, 200, PAGE("", "\"x\":1")}, {"POST /me/todo/lists", NULL, 201, ""}, {NULL}
	});
	tap_is(c->error.sqlstate, "TS502", "is an error");
	c = lists("rename", TS_OP_LIST_UPDATE, "L=1", (GraphReply[]) {{"PATCH " LIST, "{\"displayName\":\"Work\"}", 200, "{}"}, {NULL}});
	tap_ok(!ts_failed(&c->error), "works");
	c = lists("rename what can't be", TS_OP_LIST_UPDATE, "L=1", (GraphReply[]) {{"PATCH " LIST, NULL, 400, GRAPH_ERROR("x", "default list")}, {NULL}});
	tap_is(c->error.sqlstate, "TS502", "is refused");
	c = lists("delete", TS_OP_LIST_DELETE, "L=1", (GraphReply[]) {{"DELETE " LIST, NULL, 204, ""}, {NULL}});
	tap_ok(!ts_failed(&c->error), "works");
	c = lists("delete what is gone", TS_OP_LIST_DELETE, "L=1", (GraphReply[]) {{"DELETE " LIST, NULL, 404, ""}, {NULL}});
	tap_ok(!ts_failed(&c->error), "works too");
}

static void
test_settings(void)
{
	static const char *const good[] = {
		"{}", "{\"base_url\":\"http://127.0.0.1:8080/v1.0\"}", "{\"base_url\":\"https://graph.microsoft.us/v1.0/\",\"login_url\":\"https://login.microsoftonline.us\"}"
	};
	static const char *const bad[] = {
		"{\"base_url\":\"ftp://x/\"}", "{\"base_url\":\"https://u:pw@x/\"}", "{\"base_url\":\"x\"}", "{\"base_url\":7}",
		"{\"login_url\":\"https://u@x\"}", "{\"base_url\":\"https://x/?a\"}", "{\"base_url\":\"https://x/#a\"}", "{"
	};

	for (int i = 0; i < lengthof(good); i++)
	{
		TsError		err = {0};

		tap_ok(ts_outlook_provider.check_settings(good[i], &err), "good: %s", good[i]);
	}
	for (int i = 0; i < lengthof(bad); i++)
	{
		TsError		err = {0};

		tap_ok(!ts_outlook_provider.check_settings(bad[i], &err), "bad: %s", bad[i]);
		tap_is(err.sqlstate, "22023", "with 22023");
		tap_ok(strstr(err.message, "pw") == NULL, "and no secret");
	}
}

int
main(int argc, char **argv)
{
	tap_start();
	test_first();
	test_changes();
	test_snapshots();
	test_hostile();
	tap_reset();
	test_endless();
	tap_reset();
	test_trouble();
	test_fetch();
	test_lists();
	test_settings();
	return tap_done();
}
