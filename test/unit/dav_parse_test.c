/*-------------------------------------------------------------------------
 *
 * dav_parse_test.c
 *	  hrefs, colours, ETags and the XML of answers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "dav_replay.h"
#include "provider/caldav/caldav.h"
#include "provider/caldav/provider.h"

/* Everything of a document that the reader tells, in one line. */
static void
show_entry(void *arg, const DavEntry *e)
{
	StringInfo	out = arg;

	appendStringInfo(out, "[%s %d", e->href ? e->href : "-", e->status);
	for (int i = 0; i < DAV_NPROPS; i++)
	{
		if (e->prop_status[i] != 0)
			appendStringInfo(out, " %d:%d=%s", i, e->prop_status[i], e->value[i] ? e->value[i] : "-");
	}
	if (e->condition != NULL)
		appendStringInfo(out, " !%s", e->condition);
	appendStringInfo(out, "%s]", e->too_long ? " long" : "");
}

static char *
read_xml_in(const char *text, size_t len, size_t piece, TsError *err)
{
	StringInfoData out;
	DavXml	   *xml;

	memset(err, 0, sizeof(*err));
	initStringInfo(&out);
	xml = dav_xml_begin(CurrentMemoryContext, show_entry, &out);
	for (size_t i = 0; i < len; i += piece)
		dav_xml_feed(xml, text + i, Min(piece, len - i));
	if (dav_xml_finish(xml, err) && xml->sync_token != NULL)
		appendStringInfo(&out, "token %s", xml->sync_token);
	if (xml->top.condition != NULL)
		appendStringInfo(&out, "top !%s", xml->top.condition);
	dav_xml_end(xml);
	return out.data;
}

/* Reads it as a whole and byte by byte, which must come to the same. */
static char *
read_xml(const char *text, TsError *err)
{
	TsError		err2;
	char	   *whole = read_xml_in(text, strlen(text), 100000, err);
	char	   *bytes = read_xml_in(text, strlen(text), 1, &err2);

	if (strcmp(whole, bytes) != 0 || strcmp(err->sqlstate, err2.sqlstate) != 0)
		tap_ok(false, "byte by byte: %s", bytes);
	return whole;
}

static void
test_multistatus(void)
{
	TsError		err;

	tap_is(read_xml(MULTISTATUS(RESPONSE("\n /a/ ", PROPSTAT("200 OK", "<d:getetag>&quot;1&quot;</d:getetag>")
									 PROPSTAT("404 Not Found", "<cal:calendar-data/>"))
							MISSING("/b") TOKEN("t2")), &err),
	   "[/a/ 0 0:200=\"1\" 2:404=-][/b 404]token t2", "several propstats, a tombstone, a token");
	tap_is(read_xml("<multistatus xmlns='DAV:'><response><href>/a</href><propstat><status>HTTP/1.1 200 OK</status>"
				"<prop><x:calendar-data xmlns:x='urn:ietf:params:xml:ns:caldav'><![CDATA[A<&B]]>&lt;C</x:calendar-data></prop>"
				"</propstat></response></multistatus>", &err),
	   "[/a 0 2:200=A<&B<C]", "any prefix or none, the status first, CDATA");
	tap_is(read_xml("<x:mkcol-response xmlns:x='DAV:'>" "<x:propstat><x:prop><x:displayname/></x:prop>"
				"<x:status>HTTP/1.1 403 Forbidden</x:status></x:propstat></x:mkcol-response>", &err),
	   "[- 0 6:403=-]", "the answer to an extended MKCOL");
	tap_is(read_xml(MULTISTATUS(RESPONSE("/a", STATUS("412 Precondition Failed")
									 "<d:error><cal:no-uid-conflict><d:href>/b</d:href></cal:no-uid-conflict></d:error>")), &err),
	   "[/a 412 !no-uid-conflict]", "a precondition inside a response");
	tap_is(read_xml(DAV_ERROR("<s:exception>E</s:exception><d:valid-sync-token/><s:message>M</s:message>"), &err),
	   "top !valid-sync-token", "an error body");
	tap_is(read_xml(MULTISTATUS(RESPONSE("/a", PROPSTAT("200 OK", "<d:unknown><d:propstat><d:status>HTTP/1.1 500 x</d:status></d:propstat></d:unknown>"
													"<d:getetag>e</d:getetag>"))), &err),
	   "[/a 0 0:200=e]", "what is inside unknown elements is passed over");
}

static void
test_bad_xml(void)
{
	TsError		err;
	StringInfoData deep;

	tap_is(read_xml(MULTISTATUS(OBJECT("/a", "1", "SUMMARY:\x0b" "a&#11;b&#x1F;c&#10;d &#xE9; & amp;")), &err), "",
	   "a lone ampersand is still an error");
	tap_is(err.sqlstate, "TS502", "with its SQLSTATE");
	tap_is(read_xml(MULTISTATUS(OBJECT("/a", "1", "SUMMARY:\x0b" "a&#11;b&#x1F;c&#10;d &#233;&amp;")), &err),
	   "[/a 0 0:200=\"1\" 2:200=SUMMARY:abc\nd \xc3\xa9&]", "control characters are dropped, raw or escaped");
	tap_is(err.sqlstate, "", "without an error");
	tap_is(read_xml("<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]>" "<a/>", &err), "", "a document type");
	tap_is(err.sqlstate, "TS502", "is refused");
	tap_is(read_xml("<!DOCTYPE html>\n<html><head>", &err), "", "a page");
	tap_is(err.detail, "It begins: <!DOCTYPE html>", "is refused, and its first line shown");
	tap_is(read_xml("<html><body/></html>", &err), "", "a page that is XML");
	tap_is(err.message, "the CalDAV server's answer is not a multistatus", "is refused as well");
	read_xml("", &err);
	tap_is(err.message, "the CalDAV server's answer is empty where XML was expected", "so is nothing");
	tap_is(read_xml("<d:multistatus xmlns:d='DAV:'>" MEMBER("/a", "1") "<d:response><d:href>/b", &err),
	   "[/a 0 0:200=\"1\"]", "what is cut short is read as far as it goes");
	tap_is(err.sqlstate, "TS502", "and is an error");

	initStringInfo(&deep);
	for (int i = 0; i < 100; i++)
		appendStringInfoString(&deep, "<a>");
	read_xml(deep.data, &err);
	tap_is(err.message, "the CalDAV server's answer cannot be read: elements nested too deeply", "depth is limited");
}

static void
test_long_text(void)
{
	TsError		err;
	StringInfoData text;
	char	   *shown;

	initStringInfo(&text);
	appendStringInfoString(&text, "<d:multistatus xmlns:d='DAV:'><d:response><d:href>/a</d:href><d:propstat><d:prop><d:getetag>");
	for (int i = 0; i < 9 * 1024; i++)
		appendStringInfo(&text, "%1024s", "x");
	appendStringInfoString(&text, "</d:getetag></d:prop></d:propstat></d:response>" MEMBER("/b", "1") "</d:multistatus>");
	shown = read_xml_in(text.data, text.len, 65536, &err);
	tap_is(shown, "[/a 0 0:200=- long][/b 0 0:200=\"1\"]", "a property that is too long is left out, and only that");
	tap_is(err.sqlstate, "", "without an error");
}

static void
test_href(void)
{
	char	   *origin;
	char	   *path;

	tap_is(dav_id_member("/c/", "/c/%c3%a9%40%3a.ics"), "/c/%C3%A9@%3A.ics", "escapes in one form");
	tap_is(dav_id_member("/c/", "/c/\xc3\xa9@:.ics"), "/c/%C3%A9@%3A.ics", "none at all come to the same");
	tap_is(dav_id_member("/c/", "/c/a%2fb%2Fc"), "/c/a%2Fb%2Fc", "an escaped slash stays one");
	tap_is(dav_id_member("/c/", "/c/50%2525.ics"), "/c/50%2525.ics", "a percent sign");
	tap_is(dav_id_member("/c/", "/c/50%.ics"), "/c/50%25.ics", "a lone one");
	tap_is(dav_id_member("/c/", "urn:uuid:1.ics"), "/c/urn%3Auuid%3A1.ics", "a relative href that looks like a URL");
	tap_is(dav_id_member("/c/", "http://inner.local:8080/c/1.ics"), "/c/1.ics", "a member's host is not believed");
	tap_is(dav_id_member("/c/", "//c//1.ics"), "/c/1.ics", "doubled slashes");
	tap_is(dav_id_member("/c/", ""), "/c/", "an empty href is the collection");
	tap_is(dav_id_member("https://h2/c/", "/c/1"), "https://h2/c/1", "a member of a list on another host");
	tap_is(dav_id_resolve("https://h:8443", "/x", "http://H/home/"), "/home/", "the same host under another scheme");
	tap_is(dav_id_resolve("https://h", "/x", "https://p01.h/1/home/"), "https://p01.h/1/home/", "another host");
	tap_is(dav_id_resolve("https://h", "/x", "https://a:b@evil/c/"), "/c/", "a host with a user before it");
	tap_is(dav_id_resolve("https://h", "/x", "https://ev\til/c/"), "/c/", "a host that is none");
	tap_is(dav_id_resolve("https://h", "/x", " https://h\r\n"), "/", "a host with white space around it");
	tap_is(dav_id_collection("/a/b"), "/a/b/", "a collection has a slash");
	tap_is(dav_id_child("/a/", "b c", ".ics"), "/a/b%20c.ics", "a child");
	tap_is(dav_id_child("/a/", "b.ics", ".ics"), "/a/b.ics", "with its suffix once");
	tap_is(dav_id_name("/a/caf%C3%A9/"), "caf\xc3\xa9", "a name for people");
	tap_is(dav_id_name("/a/%FF/"), "/a/%FF/", "or the id, if that is not UTF-8");
	tap_ok(dav_id_same("/a/", "/a") && !dav_id_same("/a", "/ab"), "with and without slash");

	tap_is(dav_id_given("https://h", "/a/caf\xc3\xa9"), "/a/caf%C3%A9/", "a list as a user names it");
	tap_is(dav_id_given("https://h", "https://h/a/b/?x"), "/a/b/", "by its URL");
	tap_is(dav_id_given("https://h", "https://other/a/"), "https://other/a/", "on another host");
	tap_ok(dav_id_given("https://h", "a/b/") == NULL && dav_id_given("https://h", "@other/") == NULL &&
		   dav_id_given("https://h", "https://u@h/a/") == NULL, "what is neither a path nor a URL");
	tap_ok(dav_url_split("HTTPS://h:1/a b?x=1#y", &origin, &path), "a URL");
	tap_is(origin, "HTTPS://h:1", "its origin");
	tap_is(path, "/a%20b", "its path");
	tap_ok(dav_url_split("http://[::1]:5232", &origin, &path), "an address");
	tap_is(path, "/", "without path");
	tap_ok(!dav_url_split("http:///x", &origin, &path) && !dav_url_split("ftp://h/", &origin, &path) &&
	   !dav_url_split("https://u:p@h/", &origin, &path) && !dav_url_split("https://h h/", &origin, &path) &&
	   !dav_url_split("", &origin, &path), "what is none");
}

static void
test_small_things(void)
{
	TsError		err = {0};

	tap_is(dav_color("#AABBCCFF"), "#aabbcc", "a colour with alpha");
	tap_is(dav_color("#abc"), "#aabbcc", "a short one");
	tap_is(dav_color("RebeccaPurple"), "#663399", "a named one");
	tap_is(dav_color("#12345"), NULL, "none of these");
	tap_is(dav_etag("abc"), "\"abc\"", "an ETag without quotes");
	tap_is(dav_etag(" W/\"a\" "), "W/\"a\"", "a weak one");
	tap_is(dav_etag("\"abc-gzip\""), "\"abc\"", "one that mod_deflate changed");
	tap_is(dav_etag(""), NULL, "an empty one");
	tap_is(dav_etag("\xc3\xa9"), NULL, "an unusable one");

	tap_ok(!ts_caldav_provider.check_settings("{}", &err) && strcmp(err.sqlstate, "22023") == 0, "no url");
	memset(&err, 0, sizeof(err));
	tap_ok(!ts_caldav_provider.check_settings("{\"url\": \"ftp://x\"}", &err) && strcmp(err.sqlstate, "22023") == 0, "a bad url");
	memset(&err, 0, sizeof(err));
	tap_ok(!ts_caldav_provider.check_settings("{\"url\": \"https://u:topsecret@x\"}", &err) &&
	   strstr(err.message, "topsecret") == NULL && strstr(err.hint, "topsecret") == NULL, "a url with a password, which is not shown");
	memset(&err, 0, sizeof(err));
	tap_ok(!ts_caldav_provider.check_settings("{\"url\": \"https://x\", \"recurring_completion\": \"LATER\"}", &err), "a bad completion");
	memset(&err, 0, sizeof(err));
	tap_ok(!ts_caldav_provider.check_settings("{", &err), "no JSON");
	memset(&err, 0, sizeof(err));
	tap_ok(ts_caldav_provider.check_settings("{\"x\": {\"url\": 1}, \"url\": \"https://x/dav\"}", &err) && !ts_failed(&err), "a good url");
	tap_ok(ts_provider_lookup("CALDAV") == &ts_caldav_provider && ts_provider_lookup("caldav") == NULL, "the registry");
}

static void
test_codec(void)
{
	TsCodecOptions options = {.uid = "u-1", .settings = "{\"url\": \"https://x\", \"recurring_completion\": \"EXCEPTION\"}"};
	TsTask		task = {.known = TS_FIELD_BIT(TS_TITLE), .value = {[TS_TITLE] = "one"}};
	TsRemoteTask remote;
	TsError		err = {0};
	char	   *text = ts_caldav_provider.encode(&task, TS_ALL_FIELDS, NULL, 0, &options, &err);

	tap_ok(text != NULL && ts_caldav_provider.decode(text, strlen(text), &options, &remote, &err), "there and back");
	tap_ok(remote.is_task && !remote.is_recurring, "a task");
	tap_is(remote.uid, "u-1", "its UID");
	tap_is(remote.task.value[TS_TITLE], "one", "its title");
	options.settings = "[";
	tap_ok(ts_caldav_provider.encode(&task, TS_ALL_FIELDS, NULL, 0, &options, &err) == NULL, "bad settings");
	tap_is(err.sqlstate, "22023", "are said to be bad");
}

/* What is no XML character is left out of what we send. */
static void
test_text_as_xml(void)
{
	StringInfoData xml;

	initStringInfo(&xml);
	dav_append_xml(&xml, "<a> & \x01\x1f\"b\"\n\xEF\xBF\xBE\xEF\xBF\xBF\xEF\xBF\xBD \xc3\xa9");
	tap_is(xml.data, "&lt;a&gt; &amp; \"b\"\n\xEF\xBF\xBD \xc3\xa9", "text as XML");
}

/* The headers of an answer, in one line. */
static char *
headers_of(const char *lines)
{
	TsResponse	resp = {0};
	StringInfoData out;

	initStringInfo(&out);
	ts_response_headers(&resp, lines);
	for (int i = 0; i < resp.nheaders; i++)
		appendStringInfo(&out, "[%s=%s]", resp.headers[i].name, resp.headers[i].value);
	return out.data;
}

static void
test_headers(void)
{
	const int64 now = 1795348800;	/* Sun, 22 Nov 2026 12:00:00 GMT */

	tap_is(headers_of("HTTP/1.1 200 OK\r\nETag: \"a:b\" \r\nX-Empty:\r\nnonsense\r\n\r\n"),
		   "[etag=\"a:b\"][x-empty=]", "headers");
	tap_is(headers_of("a:1\rb:2\rc:3\rd:4\re:5\rf:6\rg:7\rh:8"),
		   "[a=1][b=2][c=3][d=4][e=5][f=6][g=7][h=8]", "headers between bare CRs");
	tap_is_int(ts_retry_after("120", now), 120, "Retry-After in seconds");
	tap_is_int(ts_retry_after("2.128", now), 3, "rounded up");
	tap_is_int(ts_retry_after("2.000", now), 2, "if there is anything");
	tap_is_int(ts_retry_after("0.05", now), 1, "even a little");
	tap_is_int(ts_retry_after("2.soon", now), 2, "and no nonsense");
	tap_is_int(ts_retry_after("99999999999999999999", now), 7200, "at most two hours");
	tap_is_int(ts_retry_after("Sun, 22 Nov 2026 12:05:00 GMT", now), 300, "a date");
	tap_is_int(ts_retry_after("Sun, 22 Nov 2026 11:05:00 GMT", now), 0, "a date that is past");
	{
		TsHeader	date = {"date", "Sun, 22 Nov 2026 11:58:00 GMT"};
		TsResponse	resp = {.status = 429,.headers = &date,.nheaders = 1};

		tap_is_int(ts_retry_after("Sun, 22 Nov 2026 12:05:00 GMT", ts_response_time(&resp)), 420, "by the clock of who has given it");
	}
	tap_is_int(ts_retry_after("soon", now), -1, "nonsense");
	tap_is_int(ts_retry_after(NULL, now), -1, "none");
	tap_reset();
}

int
main(void)
{
	tap_start();
	test_multistatus();
	test_headers();
	test_bad_xml();
	test_long_text();
	test_text_as_xml();
	test_href();
	test_small_things();
	test_codec();
	return tap_done();
}
