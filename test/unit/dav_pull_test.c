/*-------------------------------------------------------------------------
 *
 * dav_pull_test.c
 *	  Pulling and fetching, with answers as real servers give them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dav_replay.h"

#define LIST "https://dav.test/c/"
#define REPORT "REPORT " LIST
#define PROPFIND "PROPFIND " LIST
#define STATE(props) MULTISTATUS(RESPONSE("/c/", PROPSTAT("200 OK", props)))
#define CTAG(c) "<cs:getctag>" c "</cs:getctag>"
#define REPORTS(name) \
	"<d:supported-report-set><d:supported-report><d:report>" name "</d:report></d:supported-report></d:supported-report-set>"
#define EMPTY_MEMBERS MULTISTATUS(RESPONSE("/c/", PROPSTAT("200 OK", "<d:resourcetype><d:collection/></d:resourcetype>")))
#define BAD_TOKEN DAV_ERROR("<d:valid-sync-token/>")

static TsConversation *
pull(const char *name, const char *cursor, const char *caps, const Reply *script)
{
	TsOp		op = {.kind = TS_OP_PULL, .list_id = "/c/", .cursor = cursor, .caps = caps};

	return replay(name, memcpy(palloc(sizeof(op)), &op, sizeof(op)), script);
}

static TsConversation *
pull_all(const char *name, bool full, bool payloads, const Reply *script)
{
	TsOp		op = {.kind = TS_OP_PULL, .list_id = "/c/", .full = full, .want_payloads = payloads};

	return replay(name, memcpy(palloc(sizeof(op)), &op, sizeof(op)), script);
}

static void
test_changes(void)
{
	TsConversation *c;

	c = pull("no change is one request", "{\"token\": \"t1\"}", NULL, (Reply[]) {
		{REPORT, "<D:sync-token>t1</D:sync-token>", 207, NULL, MULTISTATUS(TOKEN("t1"))},
		{NULL}
	});
	tap_ok(c->unchanged && !c->complete && c->nobs == 0, "unchanged");
	tap_is(c->cursor, "{\"token\": \"t1\"}", "the cursor stays");

	c = pull("changes and tombstones", "{\"token\": \"t1\"}", NULL, (Reply[]) {
		{REPORT, "Depth: 0", 207, NULL, MULTISTATUS(
			MEMBER("/c/1.ics", "a") MISSING("/c/2.ics") MEMBER("/c/", "self")
			RESPONSE("/c/3.ics", PROPSTAT("200 OK", "<d:getetag>\"e\"</d:getetag>"
					"<d:getcontenttype>text/calendar; charset=utf-8; component=vevent</d:getcontenttype>"))
			RESPONSE("/c/4.ics", STATUS("500 Oops")) TOKEN("t2"))},
		{NULL}
	});
	tap_ok(!c->unchanged && !c->complete && c->nobs == 4, "four observations, not complete");
	tap_is(observed(c, "/c/1.ics")->etag, "\"a\"", "a changed one with its etag");
	tap_ok(observed(c, "/c/2.ics")->gone, "a tombstone");
	tap_ok(observed(c, "/c/3.ics")->foreign && !observed(c, "/c/1.ics")->foreign, "an event is foreign");
	tap_is(observed(c, "/c/4.ics")->error.sqlstate, "TS503", "one that could not be read");
	tap_is(c->cursor, "{\"token\": \"t2\"}", "the new cursor");

	c = pull("truncated by 507: again until done", "{\"token\": \"t1\"}", NULL, (Reply[]) {
		{REPORT, "t1", 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a") RESPONSE("/c/", STATUS("507 Insufficient Storage")) TOKEN("t2"))},
		{REPORT, "t2", 207, NULL, MULTISTATUS(MEMBER("/c/2.ics", "b") TOKEN("t3"))},
		{NULL}
	});
	tap_ok(c->nobs == 2 && !c->unchanged, "both parts");
	tap_is(c->cursor, "{\"token\": \"t3\"}", "the last token");

	c = pull("truncated by 507, and the rest fails", "{\"token\": \"t1\"}", NULL, (Reply[]) {
		{REPORT, "t1", 207, NULL, MULTISTATUS(RESPONSE("/c/", STATUS("507 Insufficient Storage")) TOKEN("t2"))},
		{REPORT, "t2", 207, NULL, "<d:multistatus"},
		{NULL}
	});
	tap_ok(!c->unchanged && ts_failed(&c->error), "is not unchanged");

	c = pull("truncated for ever: a listing instead", "{\"token\": \"t1\"}", NULL, (Reply[]) {
		{REPORT, NULL, 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a") RESPONSE("/c/", STATUS("507 Insufficient Storage")) TOKEN("t1"))},
		{PROPFIND, NULL, 207, NULL, STATE(TOKEN("t9"))},
		{REPORT, "calendar-query", 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a"))},
		{NULL}
	});
	tap_ok(c->complete, "complete");
	tap_is(c->cursor, "{\"token\": \"t9\"}", "with the token from before the listing");

	c = pull("cut short: an error", "{\"token\": \"t1\"}", NULL, (Reply[]) {
		{REPORT, NULL, 207, NULL, "<d:multistatus xmlns:d='DAV:'>" MEMBER("/c/1.ics", "a")},
		{NULL}
	});
	tap_is(c->error.sqlstate, "TS502", "TS502");
	tap_ok(c->nobs == 1 && c->cursor == NULL && !c->complete && !c->unchanged, "what was seen stays, the cursor does not move");
}

static void
test_bad_tokens(void)
{
	static const struct
	{
		const char *server;
		int			status;
		const char *body;
		const char *caps;
	}			refusals[] = {
		{"Radicale, Cyrus, sabre", 403, BAD_TOKEN, NULL},
		{"an old server", 409, BAD_TOKEN, NULL},
		{"another old server", 412, "", NULL},
		{"Xandikos", 500, "Internal Server Error", NULL},
		{"sabre with token \"0\"", 415, "", "{\"no_sync\": true}"},
		{"sabre 1.8", 403, DAV_ERROR("<d:supported-report/>"), "{\"no_sync\": true}"},
		{"one without reports", 405, "", "{\"no_sync\": true}"},
		{"one that knows no REPORT", 501, "", "{\"no_sync\": true}"},
	};

	for (int i = 0; i < lengthof(refusals); i++)
	{
		TsConversation *c;

		c = pull(psprintf("token refused by %s", refusals[i].server), "{\"token\": \"t1\"}", NULL, (Reply[]) {
			{REPORT, "sync-collection", refusals[i].status, XML_TYPE, refusals[i].body},
			{PROPFIND, "Depth: 0", 207, NULL, STATE(TOKEN("t1") CTAG("c"))},
			{REPORT, "Depth: 1", 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a"))},
			{NULL}
		});
		tap_ok(c->complete && !c->unchanged && c->nobs == 1, "a full listing");
		tap_is(c->caps, refusals[i].caps, "what is remembered of it");
	}
}

static void
test_state(void)
{
	TsConversation *c;

	c = pull("same ctag: one request", "{\"ctag\": \"c1\"}", NULL, (Reply[]) {
		{PROPFIND, "Depth: 0", 207, NULL, STATE(CTAG("c1"))},
		{NULL}
	});
	tap_ok(c->unchanged && !c->complete, "unchanged");
	c = pull("another ctag: listing", "{\"ctag\": \"c1\"}", NULL, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE(CTAG("c2"))},
		{REPORT, "name=\"VTODO\"", 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a"))},
		{NULL}
	});
	tap_ok(c->complete && !c->unchanged, "complete");
	tap_is(c->cursor, "{\"ctag\": \"c2\"}", "the cursor");
	c = pull("sync refused before: the token is a ctag", "{\"token\": \"t1\"}", "{\"no_sync\": true}", (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE(TOKEN("t1") REPORTS("<d:sync-collection/>"))},
		{NULL}
	});
	tap_ok(c->unchanged && c->caps == NULL, "unchanged, and what was learned stays");
	c = pull("no markers at all: a listing", "{}", NULL, (Reply[]) {
		{REPORT, NULL, 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a"))},
		{NULL}
	});
	tap_is(c->cursor, "{}", "an empty cursor");
	c = pull("the list is gone", "{\"ctag\": \"c1\"}", NULL, (Reply[]) {
		{PROPFIND, NULL, 404, NULL, ""},
		{NULL}
	});
	tap_ok(c->list_gone && ts_failed(&c->error) && !c->complete, "list_gone");
	c = pull("the list is gone, says Xandikos", "{\"token\": \"t1\"}", NULL, (Reply[]) {
		{REPORT, NULL, 404, NULL, ""},
		{PROPFIND, NULL, 207, NULL, MULTISTATUS(MISSING("/c/"))},
		{NULL}
	});
	tap_ok(c->list_gone && c->cursor == NULL, "list_gone");

	c = pull("a 404 in an answer that is cut short proves nothing", "{\"ctag\": \"c1\"}", NULL, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, "<d:multistatus xmlns:d=\"DAV:\">" MISSING("/c/")},
		{NULL}
	});
	tap_ok(!c->list_gone && ts_failed(&c->error), "not list_gone");
	c = pull("... nor in a listing", "{}", "{\"no_query\": true}", (Reply[]) {
		{PROPFIND, NULL, 207, NULL, "<d:multistatus xmlns:d=\"DAV:\">" MISSING("/c/")},
		{NULL}
	});
	tap_ok(!c->list_gone && ts_failed(&c->error), "not list_gone");
	c = pull("an empty answer is no unchanged list", "{\"ctag\": \"c1\"}", NULL, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, ""},
		{NULL}
	});
	tap_is(c->error.sqlstate, "TS502", "TS502");
}

static void
test_listing(void)
{
	TsConversation *c;

	c = pull_all("the first pull: all text in one request", false, true, (Reply[]) {
		{REPORT, "<C:calendar-data/>", 207, NULL, MULTISTATUS(OBJECT("/c/1.ics", "a", "BEGIN:VCALENDAR&#13;\n") MEMBER("/c/2.ics", "b")
				RESPONSE("/c/3.ics", STATUS("404 Not Found")))},
		{NULL}
	});
	tap_ok(c->complete && c->nobs == 2, "complete; what went while it was listed is not called gone");
	tap_is(observed(c, "/c/1.ics")->payload, "BEGIN:VCALENDAR\r\n", "the text");
	tap_ok(observed(c, "/c/2.ics")->payload == NULL, "or none");
	tap_ok(c->cursor == NULL, "no marker yet");
	c = pull_all("the second pull lists with an empty token", false, false, (Reply[]) {
		{REPORT, "<D:sync-token></D:sync-token>", 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a")
				RESPONSE("/c/3.ics", STATUS("404 Not Found")) TOKEN("t1"))},
		{NULL}
	});
	tap_ok(c->complete && c->nobs == 1 && !c->unchanged, "complete; what was removed before is no news");
	tap_is(c->cursor, "{\"token\": \"t1\"}", "the first token");

	c = pull_all("an empty query is listed in another way", true, false, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE("")},
		{REPORT, NULL, 207, NULL, MULTISTATUS("")},
		{PROPFIND, "Depth: 1", 207, NULL, EMPTY_MEMBERS},
		{NULL}
	});
	tap_ok(c->complete && c->nobs == 0 && c->caps == NULL, "and is empty");
	c = pull_all("a blind query (Feishu)", true, false, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE("")},
		{REPORT, NULL, 207, NULL, MULTISTATUS("")},
		{PROPFIND, "Depth: 1", 207, NULL, MULTISTATUS(MEMBER("/c", "self") MEMBER("/c/1.ics", "a") MEMBER("/c/sub/", "x"))},
		{NULL}
	});
	tap_ok(c->complete && c->nobs == 1, "is not believed; collections are no tasks");
	tap_is(c->caps, "{\"no_query\": true}", "and remembered");
	c = pull_all("no query at all", true, false, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE("")},
		{REPORT, NULL, 400, NULL, ""},
		{PROPFIND, NULL, 207, NULL, MULTISTATUS(MEMBER("/c/", "s") MEMBER("/c/1.ics", "a"))},
		{NULL}
	});
	tap_is(c->caps, "{\"no_query\": true}", "remembered");
	c = pull_all("an answer without even the list", true, false, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE("")},
		{REPORT, NULL, 207, NULL, MULTISTATUS("")},
		{PROPFIND, NULL, 207, NULL, MULTISTATUS("")},
		{NULL}
	});
	tap_ok(!c->complete && strcmp(c->error.sqlstate, "TS502") == 0, "is no empty list");
	c = pull_all("a listing cut by the server", true, false, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE("")},
		{REPORT, NULL, 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a") RESPONSE("/c/", STATUS("507 Insufficient Storage")))},
		{PROPFIND, NULL, 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a") RESPONSE("/c/", STATUS("507 Insufficient Storage")))},
		{NULL}
	});
	tap_ok(!c->complete && !ts_failed(&c->error), "is not complete");
	c = pull_all("one unreadable object: the listing without text", false, true, (Reply[]) {
		{REPORT, "<C:calendar-data/>", 207, NULL, MULTISTATUS(OBJECT("/c/1.ics", "a", "\xff"))},
		{REPORT, "<D:prop><D:getetag/></D:prop>", 207, NULL, MULTISTATUS(MEMBER("/c/1.ics", "a"))},
		{NULL}
	});
	tap_ok(c->complete && c->nobs == 1, "shows it all the same");
	c = pull_all("a listing that breaks off", true, false, (Reply[]) {
		{PROPFIND, NULL, 207, NULL, STATE(TOKEN("t1"))},
		{REPORT, NULL, 0},
		{NULL}
	});
	tap_ok(c->cursor == NULL && !c->complete, "does not move the cursor");
	c = pull_all("a login page", true, false, (Reply[]) {
		{PROPFIND, NULL, 200, "content-type: text/html\n", "<!DOCTYPE html><html>Please log in</html>"},
		{NULL}
	});
	tap_is(c->error.sqlstate, "TS502", "is no list");
	tap_is(c->error.detail, "It begins: <!DOCTYPE html><html>Please log in</html>", "and is shown");
}

static void
test_trouble(void)
{
	TsConversation *c;

	c = pull("401", "{\"token\": \"t1\"}", NULL, (Reply[]) {{REPORT, NULL, 401, NULL, ""}, {NULL}});
	tap_ok(c->auth_failed && strcmp(c->error.sqlstate, "TS401") == 0, "auth_failed");
	c = pull("503", "{\"token\": \"t1\"}", NULL, (Reply[]) {{REPORT, NULL, 503, NULL, "busy", .retry_after = 99999}, {NULL}});
	tap_ok(c->retry_after == 7200 && strcmp(c->error.sqlstate, "TS503") == 0, "Retry-After has bounds");
	tap_is(c->error.detail, "The server said: busy", "and the server's words are kept");
	c = pull("403 that asks for credentials", "{\"token\": \"t1\"}", NULL,
			 (Reply[]) {{REPORT, NULL, 403, "www-authenticate: Basic\n", ""}, {NULL}});
	tap_ok(c->auth_failed, "auth_failed");
	c = pull("no answer", "{\"token\": \"t1\"}", NULL, (Reply[]) {{REPORT, NULL, 0}, {NULL}});
	tap_is(c->error.message, "no answer from dav.test", "the network's error");
	c = pull("another host", "{\"token\": \"t1\"}", NULL,
			 (Reply[]) {{REPORT, NULL, 301, "location: https://other.test/x?token=topsecret\n", ""}, {NULL}});
	tap_is(c->error.sqlstate, "42501", "42501");
	tap_is(c->error.detail, "The server redirects to https://other.test/x.", "says which");
	c = pull("502 is not a bad token", "{\"token\": \"t1\"}", NULL, (Reply[]) {{REPORT, NULL, 502, NULL, ""}, {NULL}});
	tap_is(c->error.sqlstate, "TS503", "TS503");
}

static TsConversation *
fetch(const char *name, int n, const char *caps, const Reply *script)
{
	static const char *ids[] = {"/c/1.ics", "/c/2.ics", "/c/3.ics", "/c/4.ics"};
	TsOp		op = {.kind = TS_OP_FETCH, .list_id = "/c/", .ids = ids, .nids = n, .caps = caps};

	return replay(name, memcpy(palloc(sizeof(op)), &op, sizeof(op)), script);
}

static void
test_fetch(void)
{
	TsConversation *c;

	c = fetch("one object is a GET", 1, NULL, (Reply[]) {
		{"GET " LIST "1.ics", NULL, 200, "etag: \"a\"\ncontent-type: text/calendar\n", "TEXT"},
		{NULL}
	});
	tap_ok(c->nobs == 1 && strcmp(c->obs[0].payload, "TEXT") == 0 && c->obs[0].payload_len == 4, "its text");
	tap_is(c->obs[0].etag, "\"a\"", "its etag");

	c = fetch("many are a multiget; left out silently: a GET", 3, NULL, (Reply[]) {
		{REPORT, "<D:href>/c/3.ics</D:href>", 207, NULL, MULTISTATUS(OBJECT("https://x/c/%31.ics", "a", "ONE") OBJECT("/c/3.ics", "c", "THREE"))},
		{"GET " LIST "2.ics", NULL, 404, NULL, ""},
		{PROPFIND, "Depth: 0", 207, NULL, STATE("<d:resourcetype/>")},
		{NULL}
	});
	tap_ok(c->nobs == 3 && observed(c, "/c/2.ics")->gone, "proved gone");
	tap_is(observed(c, "/c/1.ics")->payload, "ONE", "an href in other clothes");

	c = fetch("a 404 inside the report is confirmed, too", 2, NULL, (Reply[]) {
		{REPORT, NULL, 207, NULL, MULTISTATUS(OBJECT("/c/1.ics", "a", "ONE") MISSING("/c/2.ics"))},
		{"GET " LIST "2.ics", NULL, 200, NULL, "TWO"},
		{NULL}
	});
	tap_ok(c->nobs == 2 && !observed(c, "/c/2.ics")->gone, "it was not true");

	c = fetch("the whole report fails for one (sabre 1.8)", 4, NULL, (Reply[]) {
		{REPORT, "<D:href>/c/1.ics</D:href><D:href>/c/2.ics</D:href><D:href>/c/3.ics</D:href><D:href>/c/4.ics</D:href>", 404, NULL, ""},
		{REPORT, "<D:href>/c/1.ics</D:href><D:href>/c/2.ics</D:href></C", 207, NULL, MULTISTATUS(OBJECT("/c/1.ics", "a", "ONE") OBJECT("/c/2.ics", "a", "TWO"))},
		{REPORT, "<D:href>/c/3.ics</D:href><D:href>/c/4.ics</D:href></C", 404, NULL, ""},
		{"GET " LIST "3.ics", NULL, 410, NULL, ""},
		{PROPFIND, NULL, 207, NULL, STATE("<d:resourcetype/>")},
		{"GET " LIST "4.ics", NULL, 200, NULL, "FOUR"},
		{NULL}
	});
	tap_ok(c->nobs == 4 && observed(c, "/c/3.ics")->gone, "found by halving");
	tap_is(c->caps, "{\"strict_multiget\": true}", "and remembered");

	c = fetch("no multiget", 2, NULL, (Reply[]) {
		{REPORT, NULL, 501, NULL, ""},
		{"GET " LIST "1.ics", NULL, 200, NULL, "ONE"},
		{"GET " LIST "2.ics", NULL, 500, NULL, "broken"},
		{NULL}
	});
	tap_is(c->caps, "{\"no_multiget\": true}", "remembered");
	tap_is(observed(c, "/c/2.ics")->error.sqlstate, "TS503", "one that can't be read does not stop the others");
	fetch("remembered, indeed", 2, c->caps, (Reply[]) {
		{"GET " LIST "1.ics", NULL, 200, NULL, "ONE"},
		{"GET " LIST "2.ics", NULL, 200, NULL, "TWO"},
		{NULL}
	});

	c = fetch("one unreadable object in a report", 2, NULL, (Reply[]) {
		{REPORT, NULL, 207, NULL, MULTISTATUS(OBJECT("/c/1.ics", "a", "ONE") OBJECT("/c/2.ics", "b", "\xff"))},
		{"GET " LIST "2.ics", NULL, 200, NULL, "TWO"},
		{NULL}
	});
	tap_ok(c->nobs == 2, "does not hide the others");

	c = fetch("the list is gone: nothing is called gone", 2, NULL, (Reply[]) {
		{REPORT, NULL, 404, NULL, ""},
		{"GET " LIST "1.ics", NULL, 404, NULL, ""},
		{PROPFIND, NULL, 404, NULL, ""},
		{NULL}
	});
	tap_ok(c->list_gone && c->nobs == 0 && ts_failed(&c->error), "list_gone");

	c = fetch("nothing is said of the list itself", 1, NULL, (Reply[]) {
		{"GET " LIST "1.ics", NULL, 404, NULL, ""},
		{PROPFIND, NULL, 207, NULL, MULTISTATUS("")},
		{NULL}
	});
	tap_ok(!c->list_gone && c->nobs == 0, "neither the list nor the object is called gone");
	tap_is(c->error.sqlstate, "TS502", "but the answer useless");

	c = fetch("a login page", 1, NULL, (Reply[]) {
		{"GET " LIST "1.ics", NULL, 200, "content-type: text/html; charset=utf-8\n", "<html>"},
		{NULL}
	});
	tap_is(c->obs[0].error.sqlstate, "TS502", "is no object");
	c = fetch("an object that is not UTF-8", 1, NULL, (Reply[]) {
		{"GET " LIST "1.ics", NULL, 200, NULL, "SUMMARY:Caf\xE9"},
		{NULL}
	});
	tap_ok(c->obs[0].payload == NULL && !c->obs[0].gone, "cannot be kept as it is");
	tap_is(c->obs[0].error.sqlstate, "TS502", "and is an error of its own");
	c = fetch("busy", 1, NULL, (Reply[]) {{"GET " LIST "1.ics", NULL, 429, NULL, "", .retry_after = 30}, {NULL}});
	tap_ok(c->nobs == 0 && c->retry_after == 30, "Retry-After");
}

int
main(void)
{
	tap_start();
	test_changes();
	test_bad_tokens();
	test_state();
	test_listing();
	test_trouble();
	test_fetch();
	return tap_done();
}
