/*-------------------------------------------------------------------------
 *
 * dav_lists_test.c
 *	  Finding, creating, changing and deleting lists.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dav_replay.h"

#define ROOT "https://dav.test"
#define FIND(path) "PROPFIND " ROOT path
#define PRINCIPAL(href) "<d:current-user-principal><d:href>" href "</d:href></d:current-user-principal>"
#define HOME(href) "<cal:calendar-home-set><d:href>" href "</d:href></cal:calendar-home-set>"
#define CALENDAR "<d:resourcetype><d:collection/><cal:calendar/></d:resourcetype>"
#define COMPONENT(name) \
	"<cal:supported-calendar-component-set><cal:comp name=\"" name "\"/></cal:supported-calendar-component-set>"
#define PRIVILEGES(list) "<d:current-user-privilege-set>" list "</d:current-user-privilege-set>"
#define PRIVILEGE(name) "<d:privilege><d:" name "/></d:privilege>"
#define OK_PROPS(href, props) RESPONSE(href, PROPSTAT("200 OK", props))

static TsConversation *
lists(const char *name, const char *url, const Reply *script)
{
	TsOp	   *op = palloc0(sizeof(TsOp));

	op->kind = TS_OP_LISTS;
	set_site(url);
	return replay(name, op, script);
}

static void
test_discovery(void)
{
	TsConversation *c;

	c = lists("from the root by principal to the home", ROOT, (Reply[]) {
		{FIND("/"), "Depth: 0", 207, NULL, MULTISTATUS(OK_PROPS("/", PRINCIPAL("/p/u/")))},
		{FIND("/p/u/"), "calendar-home-set", 207, NULL, MULTISTATUS(OK_PROPS("/p/u/", HOME("/h")))},
		{FIND("/h/"), "Depth: 1", 207, NULL, MULTISTATUS(
			OK_PROPS("/h/", "<d:resourcetype><d:collection/></d:resourcetype>")
			OK_PROPS("/h/a", CALENDAR COMPONENT("VTODO") "<d:displayname><![CDATA[A & a]]></d:displayname>"
					 "<ical:calendar-color>#FF00AAFF</ical:calendar-color><cal:calendar-description>d</cal:calendar-description>"
					 "<cs:getctag>c</cs:getctag>" PRIVILEGES(PRIVILEGE("read")))
			OK_PROPS("/h/b%20c/", CALENDAR COMPONENT("VEVENT") COMPONENT("VTODO") PRIVILEGES("") "<d:sync-token>t</d:sync-token>")
			OK_PROPS("/h/d/", CALENDAR PRIVILEGES(PRIVILEGE("read") PRIVILEGE("write-content")))
			OK_PROPS("/h/events/", CALENDAR COMPONENT("VEVENT"))
			OK_PROPS("/h/inbox/", "<d:resourcetype><d:collection/><cal:calendar/><cal:schedule-inbox/></d:resourcetype>")
			OK_PROPS("/h/sub/", "<d:resourcetype><d:collection/><cal:calendar/><cs:subscribed/></d:resourcetype>")
			OK_PROPS("/h/plain/", "<d:resourcetype><d:collection/></d:resourcetype>")
			RESPONSE("/h/secret/", STATUS("403 Forbidden")))},
		{NULL}
	});
	tap_ok(c->nlists == 3 && !ts_failed(&c->error), "three lists that take tasks");
	tap_is(c->lists[0].id, "/h/a/", "an id");
	tap_is(c->lists[0].name, "A & a", "a name in CDATA");
	tap_is(c->lists[0].color, "#ff00aa", "a colour");
	tap_is(c->lists[0].description, "d", "a description");
	tap_is(c->lists[0].sync_token, "c", "a marker");
	tap_ok(!c->lists[0].is_writable && c->lists[1].is_writable && c->lists[2].is_writable, "writable by the privileges, or when they say nothing");
	tap_is(c->lists[1].name, "b c", "a name from the path");
	tap_is(c->lists[1].sync_token, "t", "another marker");

	c = lists("several homes, one of them not mine", ROOT "/dav", (Reply[]) {
		{FIND("/dav"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/dav", "<cal:calendar-home-set><d:href>/h/</d:href>\n<d:href>https://p7.test/h/</d:href><d:href>" ROOT "/x/</d:href></cal:calendar-home-set>"))},
		{FIND("/h/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", CALENDAR))},
		{"PROPFIND https://p7.test/h/", NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", CALENDAR))},
		{FIND("/x/"), NULL, 403, NULL, ""},
		{NULL}
	});
	tap_ok(c->nlists == 2 && !ts_failed(&c->error), "what can be read is listed");
	tap_is(c->lists[1].id, "https://p7.test/h/a/", "a list on another host");

	c = lists("a home with a bad day", ROOT, (Reply[]) {
		{FIND("/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/", "<cal:calendar-home-set><d:href>/h/</d:href><d:href>/i/</d:href></cal:calendar-home-set>"))},
		{FIND("/h/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", CALENDAR))},
		{FIND("/i/"), NULL, 500, NULL, ""},
		{NULL}
	});
	tap_is(c->error.sqlstate, "TS503", "is an error: no list may seem to vanish");

	c = lists("by well-known", ROOT "/", (Reply[]) {
		{FIND("/"), NULL, 405, NULL, ""},
		{FIND("/.well-known/caldav"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/dav/", PRINCIPAL("/p/")))},
		{FIND("/p/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/p/", HOME("/h/")))},
		{FIND("/h/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/", ""))},
		{NULL}
	});
	tap_ok(c->nlists == 0 && !ts_failed(&c->error), "a home may be empty");

	c = lists("no property anywhere (Synology): the URL is the home", ROOT "/h", (Reply[]) {
		{FIND("/h"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h", "<d:resourcetype><d:collection/></d:resourcetype>"))},
		{FIND("/.well-known/caldav"), NULL, 200, "content-type: text/html\n", "<html>SOGo</html>"},
		{FIND("/h/"), "Depth: 1", 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", CALENDAR))},
		{NULL}
	});
	tap_ok(c->nlists == 1 && !ts_failed(&c->error), "it is");
	c = lists("a URL that leads nowhere", ROOT "/h", (Reply[]) {
		{FIND("/h"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h", ""))},
		{FIND("/.well-known/caldav"), NULL, 301, "location: https://other.test/\n", ""},
		{FIND("/h/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h", ""))},
		{NULL}
	});
	tap_ok(strcmp(c->error.sqlstate, "TS502") == 0 && c->error.hint != NULL, "is an error with a hint");
	c = lists("no CalDAV at all", ROOT, (Reply[]) {
		{FIND("/"), NULL, 404, NULL, ""},
		{FIND("/.well-known/caldav"), NULL, 404, NULL, ""},
		{NULL}
	});
	tap_is(c->error.message, "could not find a CalDAV service at \"/\": HTTP status 404", "says where it was sought");
	c = lists("a cross-host redirect from well-known", ROOT, (Reply[]) {
		{FIND("/"), NULL, 404, NULL, ""},
		{FIND("/.well-known/caldav"), NULL, 301, "location: https://caldav.other.test/\n", ""},
		{NULL}
	});
	tap_is(c->error.sqlstate, "42501", "is for the user to decide");

	c = lists("the URL is a list", ROOT "/h/a/", (Reply[]) {
		{FIND("/h/a/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", CALENDAR COMPONENT("VTODO")))},
		{NULL}
	});
	tap_ok(c->nlists == 1, "just this one");
	c = lists("the URL is a list, and its home can be found", ROOT "/h/a/", (Reply[]) {
		{FIND("/h/a/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", CALENDAR COMPONENT("VTODO") PRINCIPAL("/p/")))},
		{FIND("/p/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/p/", HOME("/h/")))},
		{FIND("/h/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/b/", CALENDAR) OK_PROPS("/h/a", CALENDAR))},
		{NULL}
	});
	tap_ok(c->nlists == 2 && strcmp(c->lists[0].id, "/h/a/") == 0, "this one first, and once");

	c = lists("401", ROOT, (Reply[]) {{FIND("/"), NULL, 401, "www-authenticate: Basic\n", ""}, {NULL}});
	tap_ok(c->auth_failed && c->error.hint != NULL, "auth_failed");
	c = lists("429", ROOT, (Reply[]) {{FIND("/"), NULL, 429, NULL, "", .retry_after = 5}, {NULL}});
	tap_ok(c->retry_after == 5 && !c->auth_failed, "Retry-After");
	c = lists("a bad url", "nonsense", (Reply[]) {{NULL}});
	tap_is(c->error.sqlstate, "22023", "22023");
	set_site(ROOT);
}

static TsConversation *
create(const char *name, const Reply *script)
{
	TsOp	   *op = palloc0(sizeof(TsOp));
	Reply	   *all = palloc0(sizeof(Reply) * 16);
	int			n = 1;

	op->kind = TS_OP_LIST_CREATE;
	op->name = "A <&> b";
	op->color = "#0000ff";
	op->new_list_hint = "u-1";
	all[0] = (Reply) {FIND("/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/", HOME("/h/")))};
	while (script->request != NULL)
		all[n++] = *script++;
	return replay(name, op, all);
}

#define MADE(props) MULTISTATUS(OK_PROPS("/h/u-1/", CALENDAR props))
#define NAMED "<d:displayname>A &lt;&amp;> b</d:displayname>"
#define BLUE "<ical:calendar-color>#0000FFFF</ical:calendar-color>"
#define NEW ROOT "/h/u-1/"

static void
test_create(void)
{
	TsConversation *c;

	c = create("create", (Reply[]) {
		{"MKCALENDAR " NEW, "<D:displayname>A &lt;&amp;&gt; b</D:displayname><A:calendar-color>#0000ff</A:calendar-color>", 201, NULL, ""},
		{FIND("/h/u-1/"), NULL, 207, NULL, MADE(NAMED BLUE)},
		{NULL}
	});
	tap_ok(c->nlists == 1 && strcmp(c->lists[0].id, "/h/u-1/") == 0, "the new list");
	tap_is(c->lists[0].color, "#0000ff", "its colour");

	c = create("create, the colour ignored (Xandikos)", (Reply[]) {
		{"MKCALENDAR " NEW, NULL, 201, NULL, ""},
		{FIND("/h/u-1/"), NULL, 207, NULL, MADE(NAMED)},
		{"PROPPATCH " NEW, "<D:prop><A:calendar-color>#0000ff</A:calendar-color></D:prop>", 207, NULL,
		MULTISTATUS(OK_PROPS("/h/u-1/", "<ical:calendar-color/>"))},
		{NULL}
	});
	tap_is(c->lists[0].color, "#0000ff", "is written afterwards");

	c = create("create by extended MKCOL (Baikal)", (Reply[]) {
		{"MKCALENDAR " NEW, NULL, 501, NULL, ""},
		{"MKCOL " NEW, "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>", 200, NULL, ""},
		{FIND("/h/u-1/"), NULL, 207, NULL, MADE(NAMED BLUE)},
		{NULL}
	});
	tap_ok(c->nlists == 1, "made");
	c = create("create what an earlier attempt made", (Reply[]) {
		{"MKCALENDAR " NEW, NULL, 405, NULL, ""},
		{"MKCOL " NEW, NULL, 405, NULL, ""},
		{FIND("/h/u-1/"), NULL, 207, NULL, MADE(NAMED BLUE)},
		{NULL}
	});
	tap_ok(c->nlists == 1 && !ts_failed(&c->error), "taken over");
	c = create("create, refused (Xandikos' 207)", (Reply[]) {
		{"MKCALENDAR " NEW, NULL, 207, XML_TYPE, MULTISTATUS(RESPONSE("/h/u-1/", STATUS("403 Forbidden") "<d:error><d:resource-must-be-null/></d:error>"))},
		{"MKCOL " NEW, NULL, 403, NULL, "no room"},
		{FIND("/h/u-1/"), NULL, 404, NULL, ""},
		{NULL}
	});
	tap_is(c->error.detail, "The server said: no room", "an error with the server's words");
	c = create("create, the answer lost", (Reply[]) {{"MKCALENDAR " NEW, NULL, 0, .maybe_applied = true}, {NULL}});
	tap_is(c->error.sqlstate, "TS503", "TS503");
}

static TsConversation *
update(const char *name, const Reply *script)
{
	TsOp	   *op = palloc0(sizeof(TsOp));

	op->kind = TS_OP_LIST_UPDATE;
	op->list_id = "/h/a/";
	op->name = "new";
	op->color = "#0000ff";
	return replay(name, op, script);
}

#define LIST ROOT "/h/a/"

static void
test_update(void)
{
	TsConversation *c;

	c = update("update", (Reply[]) {
		{FIND("/h/a/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", "<d:displayname>old</d:displayname><ical:calendar-color>#FF0000C0</ical:calendar-color>"))},
		{"PROPPATCH " LIST, "<D:displayname>new</D:displayname><A:calendar-color>#0000ffC0</A:calendar-color>", 207, NULL,
		MULTISTATUS(OK_PROPS("/h/a/", "<d:displayname/><ical:calendar-color/>"))},
		{NULL}
	});
	tap_ok(!ts_failed(&c->error), "done");
	c = update("nothing to do", (Reply[]) {
		{FIND("/h/a/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", "<d:displayname>new</d:displayname><ical:calendar-color>blue</ical:calendar-color>"))},
		{NULL}
	});
	tap_ok(!ts_failed(&c->error), "done");
	c = update("the colour refused: the name alone", (Reply[]) {
		{FIND("/h/a/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", ""))},
		{"PROPPATCH " LIST, NULL, 207, NULL, MULTISTATUS(RESPONSE("/h/a/", PROPSTAT("403 Forbidden", "<ical:calendar-color/>")
				PROPSTAT("424 Failed Dependency", "<d:displayname/>")))},
		{"PROPPATCH " LIST, "<D:prop><D:displayname>new</D:displayname></D:prop>", 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", "<d:displayname/>"))},
		{NULL}
	});
	tap_ok(!ts_failed(&c->error), "done");
	c = update("the name refused (Zimbra, OX)", (Reply[]) {
		{FIND("/h/a/"), NULL, 207, NULL, MULTISTATUS(OK_PROPS("/h/a/", "<ical:calendar-color>#0000ff</ical:calendar-color>"))},
		{"PROPPATCH " LIST, NULL, 207, NULL, MULTISTATUS(RESPONSE("/h/a/", PROPSTAT("403 Forbidden", "<d:displayname/>")))},
		{NULL}
	});
	tap_is(c->error.message, "could not change the name of CalDAV list \"/h/a/\": HTTP status 403", "says so");
	c = update("the list is gone", (Reply[]) {{FIND("/h/a/"), NULL, 404, NULL, ""}, {NULL}});
	tap_ok(c->list_gone, "list_gone");
}

static TsConversation *
delete(const char *name, int status, const char *body)
{
	TsOp	   *op = palloc0(sizeof(TsOp));

	op->kind = TS_OP_LIST_DELETE;
	op->list_id = "/h/a/";
	return replay(name, op, (Reply[]) {{"DELETE " LIST, NULL, status, XML_TYPE, body}, {NULL}});
}

static void
test_delete(void)
{
	tap_ok(!ts_failed(&delete("delete", 204, "")->error), "done");
	tap_ok(!ts_failed(&delete("delete, 404 although it worked (Cyrus)", 404, "")->error), "done");
	tap_is(delete("delete, refused", 403, "")->error.sqlstate, "TS502", "TS502");
	tap_is(delete("delete, 207 with a refusal inside", 207, MULTISTATUS(RESPONSE("/h/a/1.ics", STATUS("423 Locked"))))->error.sqlstate,
	   "TS503", "TS503");
}

int
main(void)
{
	tap_start();
	test_discovery();
	test_create();
	test_update();
	test_delete();
	return tap_done();
}
