/*-------------------------------------------------------------------------
 *
 * dav_push_test.c
 *	  Pushing objects: statuses and what they amount to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dav_replay.h"

#define ROOT "https://dav.test"
#define PUT "PUT " ROOT "/c/1.ics"
#define LOOK "PROPFIND " ROOT "/c/1.ics"
#define LOOK_LIST "PROPFIND " ROOT "/c/"
#define SEEN(etag) MULTISTATUS(MEMBER("/c/1.ics", etag))

static const char *const outcome_names[] = {
	"PENDING", "DONE", "CONFLICT", "EXISTS", "GONE", "REFUSED", "UNSUPPORTED", "NOT_SENT", "IN_DOUBT"
};

static TsConversation *conv;

/* Pushes /c/1.ics; the conversation stays in conv. */
static TsPush *
push(const char *name, TsPushKind kind, const char *etag, const char *caps, const Reply *script)
{
	TsPush	   *p = palloc0(sizeof(TsPush));
	TsOp	   *op = palloc0(sizeof(TsOp));

	p->kind = kind;
	p->external_id = kind == TS_PUSH_CREATE ? "1" : "/c/1.ics";
	p->etag = etag;
	p->payload = kind == TS_PUSH_CREATE || kind == TS_PUSH_UPDATE ? "BEGIN:VCALENDAR" : NULL;
	p->payload_len = p->payload != NULL ? strlen(p->payload) : 0;
	p->target_list = kind == TS_PUSH_MOVE ? "/d/" : NULL;
	op->kind = TS_OP_PUSH;
	op->list_id = "/c/";
	op->caps = caps;
	op->push = p;
	op->npush = 1;
	conv = replay(name, op, script);
	return p;
}

static void
came_to(const TsPush *p, TsOutcome outcome)
{
	tap_is(outcome_names[p->outcome], outcome_names[outcome], "its outcome");
}

static void
test_create(void)
{
	TsPush	   *p;

	p = push("create", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, "Content-Type: text/calendar; charset=utf-8\nIf-None-Match: *\n", 201, "etag: \"a\"\n", ""},
		{NULL}
	});
	came_to(p, TS_OUTCOME_DONE);
	tap_is(p->new_external_id, "/c/1.ics", "its id");
	tap_is(p->new_etag, "\"a\"", "its etag");

	p = push("create, 200 without etag", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {{PUT, NULL, 200, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_DONE);
	tap_is(p->new_etag, NULL, "no etag");

	p = push("create what is there", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, NULL, 412, NULL, ""}, {LOOK, "Depth: 0", 207, NULL, SEEN("b")}, {NULL}
	});
	came_to(p, TS_OUTCOME_EXISTS);
	tap_is(p->new_external_id, "/c/1.ics", "its id");
	tap_is(p->new_etag, "\"b\"", "its etag");

	p = push("create, 412 for garbage (DAViCal)", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, NULL, 412, NULL, "not a calendar"}, {LOOK, NULL, 404, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_REFUSED);
	tap_is(p->error.detail, "The server said: not a calendar", "the first answer's words");

	p = push("create, UID taken (Radicale 409)", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, NULL, 409, XML_TYPE, DAV_ERROR("<cal:no-uid-conflict><d:href>/c/%6Fther.ics</d:href></cal:no-uid-conflict>")}, {NULL}
	});
	came_to(p, TS_OUTCOME_EXISTS);
	tap_is(p->new_external_id, "/c/other.ics", "where it is");

	p = push("create, UID taken (Xandikos 207)", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, NULL, 207, XML_TYPE, MULTISTATUS(RESPONSE("/c/1.ics", STATUS("412 Precondition Failed") "<d:error><cal:no-uid-conflict/></d:error>"))}, {NULL}
	});
	came_to(p, TS_OUTCOME_EXISTS);
	tap_is(p->new_external_id, NULL, "somewhere");

	p = push("create, garbage (Xandikos 207)", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, NULL, 207, XML_TYPE, MULTISTATUS(RESPONSE("/c/1.ics", STATUS("412 Precondition Failed")
				"<d:error><cal:valid-calendar-data/></d:error><d:responsedescription>bad line</d:responsedescription>"))}, {NULL}
	});
	came_to(p, TS_OUTCOME_REFUSED);
	tap_is(p->error.detail, "The server said: valid-calendar-data: bad line", "with its words");

	p = push("create, a 207 that can't be read", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {{PUT, NULL, 207, NULL, "?"}, {NULL}});
	came_to(p, TS_OUTCOME_IN_DOUBT);

	p = push("create, garbage (SOGo 404)", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, NULL, 404, NULL, ""}, {LOOK_LIST, NULL, 207, NULL, MULTISTATUS(RESPONSE("/c/", PROPSTAT("404 Not Found", "<d:getetag/>")))}, {NULL}
	});
	came_to(p, TS_OUTCOME_REFUSED);
	tap_ok(!conv->list_gone, "the list is there");
	p = push("create in a list that is gone", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {
		{PUT, NULL, 409, NULL, ""}, {LOOK_LIST, NULL, 404, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_NOT_SENT);
	tap_ok(conv->list_gone && ts_failed(&conv->error) && !ts_failed(&p->error), "list_gone");

	p = push("create where conditions are ignored (SOGo)", TS_PUSH_CREATE, NULL, "{\"lax_conditions\": true}", (Reply[]) {
		{LOOK, NULL, 207, NULL, SEEN("gcs00000001")}, {NULL}
	});
	came_to(p, TS_OUTCOME_EXISTS);
	p = push("the same, not there", TS_PUSH_CREATE, NULL, "{\"lax_conditions\": true}", (Reply[]) {
		{LOOK, NULL, 404, NULL, ""}, {PUT, "If-None-Match: *", 201, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_DONE);
}

static void
test_refusals(void)
{
	static const int statuses[] = {400, 403, 405, 413, 415, 422, 501, 507};

	for (int i = 0; i < lengthof(statuses); i++)
	{
		TsPush	   *p = push(psprintf("status %d", statuses[i]), TS_PUSH_UPDATE, "\"a\"", NULL,
							 (Reply[]) {{PUT, NULL, statuses[i], NULL, "no"}, {NULL}});

		came_to(p, TS_OUTCOME_REFUSED);
		tap_ok(!ts_failed(&conv->error) && ts_failed(&p->error), "the conversation goes on");
	}
}

static void
test_trouble(void)
{
	TsPush	   *p;

	p = push("401", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {{PUT, NULL, 401, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_NOT_SENT);
	tap_ok(conv->auth_failed && strcmp(conv->error.sqlstate, "TS401") == 0, "auth_failed");
	p = push("423", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {{PUT, NULL, 423, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_NOT_SENT);
	p = push("503", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {{PUT, NULL, 503, NULL, "", .retry_after = 60}, {NULL}});
	came_to(p, TS_OUTCOME_NOT_SENT);
	tap_ok(conv->retry_after == 60, "Retry-After");
	p = push("500", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {{PUT, NULL, 500, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_IN_DOUBT);
	p = push("504", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {{PUT, NULL, 504, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_IN_DOUBT);
	p = push("302", TS_PUSH_CREATE, NULL, NULL, (Reply[]) {{PUT, NULL, 302, "location: https://x.test/\n", ""}, {NULL}});
	came_to(p, TS_OUTCOME_NOT_SENT);
	tap_is(conv->error.sqlstate, "42501", "42501");
	p = push("no connection", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {{PUT, NULL, 0}, {NULL}});
	came_to(p, TS_OUTCOME_NOT_SENT);
	p = push("the answer was lost", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {{PUT, NULL, 0, .maybe_applied = true}, {NULL}});
	came_to(p, TS_OUTCOME_IN_DOUBT);
	tap_is(p->error.sqlstate, "TS503", "why");
}

static void
test_update(void)
{
	TsPush	   *p;

	p = push("update", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {{PUT, "If-Match: \"a\"\n", 204, "etag: W/\"b\"\n", ""}, {NULL}});
	came_to(p, TS_OUTCOME_DONE);
	tap_is(p->new_etag, "W/\"b\"", "a weak etag is kept as it is");
	p = push("update, changed there", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {
		{PUT, NULL, 412, NULL, ""}, {LOOK, NULL, 207, NULL, SEEN("b")}, {NULL}
	});
	came_to(p, TS_OUTCOME_CONFLICT);
	p = push("update, gone there", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {
		{PUT, NULL, 412, NULL, ""}, {LOOK, NULL, 404, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_GONE);
	p = push("update, 412 although nothing changed", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {
		{PUT, NULL, 412, NULL, ""}, {LOOK, NULL, 207, NULL, SEEN("a")}, {NULL}
	});
	came_to(p, TS_OUTCOME_REFUSED);
	p = push("update, 404", TS_PUSH_UPDATE, "\"a\"", NULL, (Reply[]) {
		{PUT, NULL, 404, NULL, ""}, {LOOK_LIST, NULL, 207, NULL, SEEN("x")}, {LOOK, NULL, 404, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_GONE);
	p = push("update without a base etag", TS_PUSH_UPDATE, NULL, NULL, (Reply[]) {{NULL}});
	came_to(p, TS_OUTCOME_CONFLICT);
	p = push("update, weak etag", TS_PUSH_UPDATE, "W/\"a\"", NULL, (Reply[]) {
		{LOOK, NULL, 207, NULL, MULTISTATUS(RESPONSE("/c/1.ics", PROPSTAT("200 OK", "<d:getetag>W/\"a\"</d:getetag>")))},
		{PUT, NULL, 204, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_DONE);
	p = push("update, weak etag, changed there", TS_PUSH_UPDATE, "W/\"a\"", NULL, (Reply[]) {
		{LOOK, NULL, 207, NULL, MULTISTATUS(RESPONSE("/c/1.ics", PROPSTAT("200 OK", "<d:getetag>W/\"b\"</d:getetag>")))}, {NULL}
	});
	came_to(p, TS_OUTCOME_CONFLICT);
	p = push("update, the look fails with a multistatus", TS_PUSH_UPDATE, "W/\"a\"", NULL,
			 (Reply[]) {{LOOK, NULL, 503, XML_TYPE, SEEN("a")}, {NULL}});
	came_to(p, TS_OUTCOME_NOT_SENT);
	p = push("update, the look fails", TS_PUSH_UPDATE, "W/\"a\"", NULL, (Reply[]) {{LOOK, NULL, 500, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_NOT_SENT);
	tap_ok(ts_failed(&conv->error), "the conversation failed");
}

static void
test_delete(void)
{
	TsPush	   *p;

#define DELETE "DELETE " ROOT "/c/1.ics"
	p = push("delete", TS_PUSH_DELETE, "\"a\"", NULL, (Reply[]) {{DELETE, "If-Match: \"a\"", 204, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_DONE);
	p = push("delete, gone already", TS_PUSH_DELETE, "\"a\"", NULL, (Reply[]) {
		{DELETE, NULL, 404, NULL, ""}, {LOOK_LIST, NULL, 207, NULL, SEEN("x")}, {NULL}
	});
	came_to(p, TS_OUTCOME_GONE);
	p = push("delete, gone already, by 412", TS_PUSH_DELETE, "\"a\"", NULL, (Reply[]) {
		{DELETE, NULL, 412, NULL, ""}, {LOOK, NULL, 410, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_GONE);
	p = push("delete, changed there", TS_PUSH_DELETE, "\"a\"", NULL, (Reply[]) {
		{DELETE, NULL, 412, NULL, ""}, {LOOK, NULL, 207, NULL, SEEN("b")}, {NULL}
	});
	came_to(p, TS_OUTCOME_CONFLICT);
	p = push("delete, 207 with a refusal inside", TS_PUSH_DELETE, "\"a\"", NULL, (Reply[]) {
		{DELETE, NULL, 207, XML_TYPE, MULTISTATUS(RESPONSE("/c/1.ics", STATUS("403 Forbidden")))}, {NULL}
	});
	came_to(p, TS_OUTCOME_REFUSED);
	p = push("delete, 207 and done (Nextcloud)", TS_PUSH_DELETE, "\"a\"", NULL, (Reply[]) {
		{DELETE, NULL, 207, XML_TYPE, MULTISTATUS(RESPONSE("/c/1.ics", STATUS("204 No Content")))}, {NULL}
	});
	came_to(p, TS_OUTCOME_DONE);
	p = push("delete at SOGo: compared first", TS_PUSH_DELETE, "\"gcs00000001\"", NULL, (Reply[]) {
		{LOOK, NULL, 207, NULL, SEEN("gcs00000002")}, {NULL}
	});
	came_to(p, TS_OUTCOME_CONFLICT);
	p = push("delete at SOGo, as planned", TS_PUSH_DELETE, "\"gcs00000001\"", NULL, (Reply[]) {
		{LOOK, NULL, 207, NULL, SEEN("gcs00000001")}, {DELETE, "If-Match", 204, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_DONE);
	p = push("delete without a base etag", TS_PUSH_DELETE, NULL, NULL, (Reply[]) {{NULL}});
	came_to(p, TS_OUTCOME_CONFLICT);
}

static void
test_move(void)
{
	static const int unsupported[] = {403, 405, 409, 412, 501};
	TsPush	   *p;

#define MOVE "MOVE " ROOT "/c/1.ics"
#define LOOK_THERE "PROPFIND " ROOT "/d/1.ics"
	p = push("move", TS_PUSH_MOVE, "\"a\"", NULL, (Reply[]) {
		{MOVE, "Destination: https://dav.test/d/1.ics\nOverwrite: F\n", 201, NULL, ""},
		{LOOK_THERE, NULL, 207, NULL, MULTISTATUS(MEMBER("/d/1.ics", "b"))}, {NULL}
	});
	came_to(p, TS_OUTCOME_DONE);
	tap_is(p->new_external_id, "/d/1.ics", "its new id");
	tap_is(p->new_etag, "\"b\"", "its new etag");
	p = push("move, renamed by the server", TS_PUSH_MOVE, "\"a\"", NULL, (Reply[]) {
		{MOVE, NULL, 201, NULL, ""}, {LOOK_THERE, NULL, 404, NULL, ""}, {NULL}
	});
	came_to(p, TS_OUTCOME_IN_DOUBT);
	p = push("move of what is gone", TS_PUSH_MOVE, "\"a\"", NULL, (Reply[]) {{MOVE, NULL, 404, NULL, ""}, {NULL}});
	came_to(p, TS_OUTCOME_GONE);
	p = push("move at SOGo", TS_PUSH_MOVE, "\"gcs00000001\"", NULL, (Reply[]) {{NULL}});
	came_to(p, TS_OUTCOME_UNSUPPORTED);
	for (int i = 0; i < lengthof(unsupported); i++)
	{
		p = push(psprintf("move, %d", unsupported[i]), TS_PUSH_MOVE, "\"a\"", NULL, (Reply[]) {{MOVE, NULL, unsupported[i], NULL, ""}, {NULL}});
		came_to(p, TS_OUTCOME_UNSUPPORTED);
	}
}

int
main(void)
{
	tap_start();
	test_create();
	test_refusals();
	test_trouble();
	test_update();
	test_delete();
	test_move();
	return tap_done();
}
