/*-------------------------------------------------------------------------
 *
 * outlook_push_test.c
 *	  Writing to Microsoft Graph: statuses and what they amount to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "graph_replay.h"
#include "provider/outlook/provider.h"

#define LIST "/me/todo/lists/L"
#define TASK(id) LIST "/tasks/" id
#define BATCH "POST /$batch"
#define WHOLE(id, etag) \
	"{\"@odata.etag\":\"W/\\\"" etag "\\\"\",\"id\":\"" id "\",\"title\":\"t\",\"status\":\"notStarted\"," \
	"\"importance\":\"normal\",\"isReminderOn\":false,\"body\":{\"content\":\"\",\"contentType\":\"text\"},\"linkedResources\":[],\"checklistItems\":[]}"
#define RESPONSES(parts) "{\"responses\":[" parts "]}"
#define ANSWER(id, status, body) "{\"id\":\"" id "\",\"status\":" status ",\"headers\":{},\"body\":" body "}"
#define REFUSAL "{\"error\":{\"code\":\"invalidRequest\",\"message\":\"Invalid JSON\",\"innerError\":{\"code\":\"InvalidModel\",\"request-id\":\"r-1\"}}}"
#define HONOURED "{\"if_match\":\"honoured\"}"
#define IGNORED "{\"if_match\":\"ignored\"}"
#define USELESS "{\"if_match\":\"useless\"}"

static const char *const outcome_names[] = {
	"PENDING", "DONE", "CONFLICT", "EXISTS", "GONE", "REFUSED", "UNSUPPORTED", "NOT_SENT", "IN_DOUBT"
};

static TsConversation *conv;
static TsPush *pushed;

/* What kinds stand for: c create, u update a.., d delete. */
static void
push(const char *name, const char *kinds, const char *caps, const GraphReply *script)
{
	TsOp	   *op = palloc0(sizeof(TsOp));

	pushed = palloc0(sizeof(TsPush) * strlen(kinds));
	op->kind = TS_OP_PUSH;
	op->list_id = "L";
	op->caps = caps;
	op->push = pushed;
	op->npush = strlen(kinds);
	for (int i = 0; i < op->npush; i++)
	{
		TsPush	   *p = &pushed[i];

		p->kind = kinds[i] == 'c' ? TS_PUSH_CREATE : kinds[i] == 'd' ? TS_PUSH_DELETE : TS_PUSH_UPDATE;
		p->external_id = kinds[i] == 'c' ? NULL : psprintf("%c", 'a' + i);
		p->etag = kinds[i] == 'c' ? NULL : "W/\"1\"";
		if (kinds[i] == 'c')
			p->payload = "{\"title\":\"new\"}";
		else if (kinds[i] == 'u')
			p->payload = "{\"id\":\"x\",\"title\":\"old\",\"@tasksync.patch\":{\"title\":\"changed\"}}";
		p->payload_len = p->payload != NULL ? strlen(p->payload) : 0;
	}
	conv = graph_replay(name, op, script);
}

static void
came_to(int i, TsOutcome outcome)
{
	tap_is(outcome_names[pushed[i].outcome], outcome_names[outcome], "outcome of %d", i + 1);
}

static void
test_create(void)
{
	push("create", "c", NULL, (GraphReply[]) {
		{"POST " LIST "/tasks", "{\"title\":\"new\"}", 201, WHOLE("T=1", "7")}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	tap_is(pushed[0].new_external_id, "T=1", "its id");
	tap_is(pushed[0].new_etag, "W/\"7\"", "its etag");
	tap_ok(pushed[0].seen != NULL && strcmp(pushed[0].seen->payload, WHOLE("T=1", "7")) == 0, "and what it is");
	push("create, and nothing is said", "c", NULL, (GraphReply[]) {{"POST " LIST "/tasks", NULL, 201, ""}, {NULL}});
	came_to(0, TS_OUTCOME_IN_DOUBT);
	push("create, refused", "c", NULL, (GraphReply[]) {{"POST " LIST "/tasks", NULL, 400, REFUSAL}, {NULL}});
	came_to(0, TS_OUTCOME_REFUSED);
	tap_is(pushed[0].error.detail, "The service said: invalidRequest/InvalidModel: Invalid JSON (request-id r-1)", "with its words");
	push("create, no answer", "c", NULL, (GraphReply[]) {{"POST " LIST "/tasks", NULL, 0, .maybe_applied = true}, {NULL}});
	came_to(0, TS_OUTCOME_IN_DOUBT);
	tap_is(conv->error.sqlstate, "TS503", "and the conversation ends");
	push("create, never sent", "c", NULL, (GraphReply[]) {{"POST " LIST "/tasks", NULL, 0}, {NULL}});
	came_to(0, TS_OUTCOME_NOT_SENT);
	push("create, 500", "c", NULL, (GraphReply[]) {{"POST " LIST "/tasks", NULL, 500, ""}, {NULL}});
	came_to(0, TS_OUTCOME_IN_DOUBT);
	push("create, 503 that tells no time", "c", NULL, (GraphReply[]) {{"POST " LIST "/tasks", NULL, 503, ""}, {NULL}});
	came_to(0, TS_OUTCOME_IN_DOUBT);
	push("create, 503 that does", "c", NULL, (GraphReply[]) {{"POST " LIST "/tasks", NULL, 503, "", NULL, false, 9}, {NULL}});
	came_to(0, TS_OUTCOME_NOT_SENT);
	tap_is_int(conv->retry_after, 9, "to be heeded");
	push("create, 401", "cc", NULL, (GraphReply[]) {{BATCH, NULL, 401, ""}, {NULL}});
	came_to(0, TS_OUTCOME_NOT_SENT);
	came_to(1, TS_OUTCOME_NOT_SENT);
	tap_ok(conv->auth_failed && strcmp(conv->error.sqlstate, "TS401") == 0, "the credentials were refused");
	push("create where the list is gone", "c", NULL, (GraphReply[]) {
		{"POST " LIST "/tasks", NULL, 404, ""}, {"GET " LIST, NULL, 404, ""}, {NULL}
	});
	came_to(0, TS_OUTCOME_NOT_SENT);
	tap_ok(conv->list_gone, "is told");
	push("create, 404 though the list is there", "c", NULL, (GraphReply[]) {
		{"POST " LIST "/tasks", NULL, 404, ""}, {"GET " LIST, NULL, 200, "{}"}, {NULL}
	});
	came_to(0, TS_OUTCOME_REFUSED);
	push("create, a redirect", "c", NULL, (GraphReply[]) {
		{"POST " LIST "/tasks", NULL, 307, "", "location: https://evil.test/\n"}, {NULL}
	});
	came_to(0, TS_OUTCOME_NOT_SENT);
	tap_is(conv->error.sqlstate, "42501", "elsewhere");
}

static void
test_probe(void)
{
	push("If-Match is honoured", "u", NULL, (GraphReply[]) {
		{"PATCH " TASK("a"), "If-Match: W/\"tasksync-no-such-version\"\n{}", 412, ""},
		{"PATCH " TASK("a"), "If-Match: W/\"1\"\n{\"title\":\"changed\"}", 200, WHOLE("a", "2")}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	tap_is(conv->caps, HONOURED, "which is remembered");
	tap_is(pushed[0].new_etag, "W/\"2\"", "its etag");
	push("If-Match is ignored", "u", NULL, (GraphReply[]) {
		{"PATCH " TASK("a"), NULL, 200, WHOLE("a", "1")}, {"GET " TASK("a"), NULL, 200, WHOLE("a", "1")},
		{"PATCH " TASK("a"), "If-Match: W/\"1\"\n", 200, WHOLE("a", "2")}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	tap_is(conv->caps, IGNORED, "which is remembered");
	push("the probed task is gone", "uu", NULL, (GraphReply[]) {
		{"PATCH " TASK("a"), NULL, 404, ""}, {"PATCH " TASK("b"), "{}", 412, ""},
		{"PATCH " TASK("b"), NULL, 200, WHOLE("b", "2")}, {NULL}
	});
	came_to(0, TS_OUTCOME_GONE);
	came_to(1, TS_OUTCOME_DONE);
	push("an empty change is refused", "d", NULL, (GraphReply[]) {
		{"PATCH " TASK("a"), "{}", 400, REFUSAL}, {"GET " TASK("a"), NULL, 200, WHOLE("a", "1")},
		{"DELETE " TASK("a"), "If-Match: W/\"1\"", 204, ""}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	push("an empty change is stumbled over", "u", NULL, (GraphReply[]) {
		{"PATCH " TASK("a"), "{}", 500, ""}, {"GET " TASK("a"), NULL, 200, WHOLE("a", "2")}, {NULL}
	});
	came_to(0, TS_OUTCOME_CONFLICT);
	push("the probe is throttled", "uc", NULL, (GraphReply[]) {{"PATCH " TASK("a"), NULL, 429, "", NULL, false, 4}, {NULL}});
	came_to(0, TS_OUTCOME_NOT_SENT);
	came_to(1, TS_OUTCOME_NOT_SENT);
	push("the probe has no answer", "u", NULL, (GraphReply[]) {{"PATCH " TASK("a"), NULL, 0, .maybe_applied = true}, {NULL}});
	came_to(0, TS_OUTCOME_NOT_SENT);
}

static void
test_conditional(void)
{
	push("changed there", "u", HONOURED, (GraphReply[]) {
		{"PATCH " TASK("a"), NULL, 412, ""}, {"GET " TASK("a"), NULL, 200, WHOLE("a", "9")}, {NULL}
	});
	came_to(0, TS_OUTCOME_CONFLICT);
	tap_ok(pushed[0].seen == NULL, "what it is now is to be read, with all that belongs to it");
	push("weak etags that never match", "u", HONOURED, (GraphReply[]) {
		{"PATCH " TASK("a"), "If-Match", 412, ""}, {"GET " TASK("a"), NULL, 200, WHOLE("a", "1")},
		{"PATCH " TASK("a"), NULL, 200, WHOLE("a", "2")}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	tap_is(conv->caps, USELESS, "are not sent any more");
	push("looked at first: changed", "uud", IGNORED, (GraphReply[]) {
		{BATCH, "{\"id\":\"3\",\"method\":\"GET\",\"url\":\"" TASK("c") "\"}", 200,
		RESPONSES(ANSWER("2", "200", WHOLE("b", "5")) "," ANSWER("1", "200", WHOLE("a", "1")) "," ANSWER("3", "404", "{}"))},
		{"PATCH " TASK("a"), "If-Match: W/\"1\"", 200, WHOLE("a", "2")}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	came_to(1, TS_OUTCOME_CONFLICT);
	came_to(2, TS_OUTCOME_GONE);
	push("changed between the look and the write", "u", IGNORED, (GraphReply[]) {
		{"GET " TASK("a"), NULL, 200, WHOLE("a", "1")}, {"PATCH " TASK("a"), NULL, 412, ""}, {NULL}
	});
	came_to(0, TS_OUTCOME_CONFLICT);
	tap_is(conv->caps, "{}", "then it is tried again what If-Match is worth");
	push("the look shows nothing", "uu", IGNORED, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES(ANSWER("1", "200", "null") "," ANSWER("2", "200", WHOLE("b", "1")))},
		{"PATCH " TASK("b"), NULL, 200, WHOLE("b", "2")}, {NULL}
	});
	came_to(0, TS_OUTCOME_CONFLICT);
	came_to(1, TS_OUTCOME_DONE);
	push("the look fails", "uc", IGNORED, (GraphReply[]) {{"GET " TASK("a"), NULL, 500, ""}, {NULL}});
	came_to(0, TS_OUTCOME_NOT_SENT);
	came_to(1, TS_OUTCOME_NOT_SENT);
	push("nothing in front of a delete that is gone", "d", USELESS, (GraphReply[]) {
		{"GET " TASK("a"), NULL, 200, WHOLE("a", "1")}, {"DELETE " TASK("a"), NULL, 404, ""}, {NULL}
	});
	came_to(0, TS_OUTCOME_GONE);
}

static void
test_versions(void)
{
	TsOp		op = {.kind = TS_OP_PUSH,.list_id = "L",.caps = IGNORED,.npush = 1};
	TsPush		p = {.kind = TS_PUSH_DELETE,.external_id = "a",.etag = "modified 2026-01-01T00:00:00Z"};

	op.push = pushed = &p;
	conv = graph_replay("no etag but a time", &op, (GraphReply[]) {
		{"GET " TASK("a"), NULL, 200, "{\"id\":\"a\",\"lastModifiedDateTime\":\"2026-01-01T00:00:00Z\"}"},
		{"DELETE " TASK("a"), NULL, 204, ""}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	p = (TsPush) {.kind = TS_PUSH_DELETE,.external_id = "a",.etag = "modified 2026-01-01T00:00:00Z"};
	conv = graph_replay("another time", &op, (GraphReply[]) {
		{"GET " TASK("a"), NULL, 200, "{\"id\":\"a\",\"lastModifiedDateTime\":\"2026-01-01T00:00:01Z\"}"}, {NULL}
	});
	came_to(0, TS_OUTCOME_CONFLICT);
	tap_ok(p.seen == NULL, "what was shown in part is not taken for all");
	p = (TsPush) {.kind = TS_PUSH_DELETE,.external_id = "a"};
	conv = graph_replay("no version at all", &op, (GraphReply[]) {{NULL}});
	came_to(0, TS_OUTCOME_CONFLICT);
	p = (TsPush) {.kind = TS_PUSH_UPDATE,.external_id = "a",.etag = "W/\"1\"",.payload = "{\"id\":\"a\"}",.payload_len = 10};
	conv = graph_replay("nothing to be said", &op, (GraphReply[]) {{NULL}});
	came_to(0, TS_OUTCOME_DONE);
	tap_is(p.new_etag, "W/\"1\"", "it is what it was");
}

static void
test_batches(void)
{
	StringInfoData answers;

	push("parts of all sorts", "cuudcuuu", HONOURED, (GraphReply[]) {
		{BATCH, "\"headers\":{\"If-Match\":\"W/\\\"1\\\"\",\"Content-Type\":\"application/json\"},\"body\":{\"title\":\"changed\"}}", 200,
		RESPONSES(ANSWER("8", "409", REFUSAL) "," ANSWER("1", "201", WHOLE("n", "1")) "," ANSWER("2", "200", WHOLE("b", "2")) ","
				  ANSWER("3", "404", REFUSAL) "," ANSWER("4", "204", "null") "," ANSWER("5", "422", REFUSAL) ","
				  ANSWER("6", "500", REFUSAL) "," ANSWER("7", "424", "{}"))}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	came_to(1, TS_OUTCOME_DONE);
	came_to(2, TS_OUTCOME_GONE);
	came_to(3, TS_OUTCOME_DONE);
	came_to(4, TS_OUTCOME_REFUSED);
	came_to(5, TS_OUTCOME_IN_DOUBT);
	came_to(6, TS_OUTCOME_NOT_SENT);
	came_to(7, TS_OUTCOME_CONFLICT);
	tap_ok(!ts_failed(&conv->error), "and no error of all");

	push("a part is throttled", "cc", NULL, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES("{\"id\":\"1\",\"status\":429,\"headers\":{\"Retry-After\":\"0.5\"}}," ANSWER("2", "201", WHOLE("n", "1")))}, {NULL}
	});
	came_to(0, TS_OUTCOME_NOT_SENT);
	came_to(1, TS_OUTCOME_DONE);
	tap_is_int(conv->retry_after, 1, "when to come back");
	push("a batch of which only a part is taken", "ccccc", NULL, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES(ANSWER("1", "429", "{}") "," ANSWER("2", "201", WHOLE("n", "1")) "," ANSWER("3", "429", "{}") ","
									 ANSWER("4", "429", "{}") "," ANSWER("5", "429", "{}"))}, {NULL}
	});
	came_to(1, TS_OUTCOME_DONE);
	came_to(4, TS_OUTCOME_NOT_SENT);
	tap_is(conv->caps, "{\"small_batches\":true}", "they are to be smaller");
	push("and a small one", "cc", conv->caps, (GraphReply[]) {
		{BATCH, NULL, 200, RESPONSES(ANSWER("1", "201", WHOLE("n", "1")) "," ANSWER("2", "429", "{}"))}, {NULL}
	});
	tap_is(conv->caps, "{\"small_batches\":true,\"single_parts\":true}", "there are to be none");
	push("none", "cc", conv->caps, (GraphReply[]) {
		{"POST " LIST "/tasks", NULL, 201, WHOLE("n", "1")}, {"POST " LIST "/tasks", NULL, 201, WHOLE("m", "1")}, {NULL}
	});
	push("looked at, and written before the next is looked at", "uuc", "{\"small_batches\":true,\"single_parts\":true,\"if_match\":\"ignored\"}", (GraphReply[]) {
		{"POST " LIST "/tasks", NULL, 201, WHOLE("n", "1")}, {"GET " TASK("a"), NULL, 200, WHOLE("a", "1")},
		{"PATCH " TASK("a"), NULL, 200, WHOLE("a", "2")}, {"GET " TASK("b"), NULL, 429, "", NULL, false, 3}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	came_to(1, TS_OUTCOME_NOT_SENT);
	came_to(2, TS_OUTCOME_DONE);
	push("a part is missing", "cc", NULL, (GraphReply[]) {{BATCH, NULL, 200, RESPONSES(ANSWER("2", "201", WHOLE("n", "1")))}, {NULL}});
	came_to(0, TS_OUTCOME_IN_DOUBT);
	came_to(1, TS_OUTCOME_DONE);
	push("the answer is lost", "cc", NULL, (GraphReply[]) {{BATCH, NULL, 0, .maybe_applied = true}, {NULL}});
	came_to(0, TS_OUTCOME_IN_DOUBT);
	came_to(1, TS_OUTCOME_IN_DOUBT);
	push("the answer is cut off", "cc", NULL, (GraphReply[]) {{BATCH, NULL, 200, "{\"responses\":[{\"id\":\"1\",\"status\":201"}, {NULL}});
	came_to(0, TS_OUTCOME_IN_DOUBT);
	came_to(1, TS_OUTCOME_IN_DOUBT);
	push("the batch is throttled", "cc", NULL, (GraphReply[]) {{BATCH, NULL, 429, "", NULL, false, 5}, {NULL}});
	came_to(0, TS_OUTCOME_NOT_SENT);
	push("the batch fails", "cc", NULL, (GraphReply[]) {{BATCH, NULL, 502, ""}, {NULL}});
	came_to(1, TS_OUTCOME_IN_DOUBT);
	push("the batch is refused", "cc", NULL, (GraphReply[]) {
		{BATCH, NULL, 400, REFUSAL}, {"POST " LIST "/tasks", NULL, 201, WHOLE("n", "1")},
		{"POST " LIST "/tasks", NULL, 400, REFUSAL}, {NULL}
	});
	came_to(0, TS_OUTCOME_DONE);
	came_to(1, TS_OUTCOME_REFUSED);
	push("an update of another id", "u", HONOURED, (GraphReply[]) {{"PATCH " TASK("a"), NULL, 200, WHOLE("next", "1")}, {NULL}});
	came_to(0, TS_OUTCOME_DONE);
	tap_ok(pushed[0].seen == NULL && pushed[0].new_etag == NULL, "is not taken for it");

	initStringInfo(&answers);
	for (int i = 1; i <= 20; i++)
		appendStringInfo(&answers, "%s{\"id\":\"%d\",\"status\":201,\"body\":{\"id\":\"n%d\"}}", i > 1 ? "," : "", i, i);
	push("twenty in one", "cccccccccccccccccccc", NULL, (GraphReply[]) {
		{BATCH, NULL, 200, psprintf("{\"responses\":[%s]}", answers.data)}, {NULL}
	});
	came_to(19, TS_OUTCOME_DONE);
	tap_is(pushed[19].new_external_id, "n20", "the last of them");
}

int
main(int argc, char **argv)
{
	tap_start();
	test_create();
	test_probe();
	test_conditional();
	test_versions();
	test_batches();
	return tap_done();
}
