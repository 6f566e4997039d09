/*-------------------------------------------------------------------------
 *
 * dav_live.c
 *	  The CalDAV provider against a real server.
 *
 *		dav_live URL [USER PASSWORD]
 *
 * Makes a list of its own in the account's home, goes through a task's whole
 * life in it, and deletes it again.  What servers are known to do differently
 * is accepted where the engine can live with it; each request is counted.
 * With DAV_LIVE_TRACE set, requests and statuses go to stderr.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <curl/curl.h>
#include <unistd.h>

#include "dav_replay.h"
#include "provider/caldav/provider.h"
#include "utils/memutils.h"

static CURL *curl;
static TsSite site = {.user_agent = "tasksync-test"};
static const char *user_password;

typedef struct Exchange
{
	TsConversation *conv;
	bool		stream;
	StringInfoData body;
	TsHeader	headers[64];
	int			nheaders;
} Exchange;

static size_t
on_header(char *data, size_t size, size_t n, void *arg)
{
	Exchange   *x = arg;
	char	   *line = pnstrdup(data, size * n);
	char	   *colon = strchr(line, ':');

	if (strncmp(line, "HTTP/", 5) == 0)
		x->nheaders = 0;		/* of an answer that is not the last */
	else if (colon != NULL && x->nheaders < lengthof(x->headers))
	{
		*colon++ = '\0';
		for (char *s = line; *s != '\0'; s++)
			*s = pg_ascii_tolower(*s);
		colon += strspn(colon, " \t");
		colon[strcspn(colon, "\r\n")] = '\0';
		x->headers[x->nheaders].name = line;
		x->headers[x->nheaders++].value = colon;
	}
	return size * n;
}

static size_t
on_body(char *data, size_t size, size_t n, void *arg)
{
	Exchange   *x = arg;
	long		status;

	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (x->stream && status / 100 == 2)
		ts_caldav_provider.data(x->conv, data, size * n);
	else if (status / 100 != 3)
		appendBinaryStringInfo(&x->body, data, size * n);
	return size * n;
}

static void
exchange(TsConversation *conv, const TsRequest *req)
{
	Exchange	x = {.conv = conv, .stream = req->stream};
	TsResponse	resp = {.retry_after = -1};
	struct curl_slist *headers = curl_slist_append(NULL, "Expect:");
	long		status = 0;
	char	   *url = NULL;
	CURLcode	code;

	initStringInfo(&x.body);
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, req->url);
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, 30L);
	if (user_password != NULL)
		curl_easy_setopt(curl, CURLOPT_USERPWD, user_password);
	for (int i = 0; i < req->nheaders; i++)
		headers = curl_slist_append(headers, psprintf("%s: %s", req->headers[i].name, req->headers[i].value));
	if (req->body != NULL)
	{
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, req->body);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, (long) req->body_len);
	}
	curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, req->method);
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(curl, CURLOPT_HEADERDATA, &x);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &x);

	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &url);
	if (code != CURLE_OK)
		ts_error(&resp.error, "TS503", "%s", curl_easy_strerror(code));
	resp.status = code == CURLE_OK ? status : 0;
	resp.headers = x.headers;
	resp.nheaders = x.nheaders;
	resp.body = x.body.data;
	resp.body_len = x.body.len;
	resp.url = url;
	if (getenv("DAV_LIVE_TRACE") != NULL)
		fprintf(stderr, "%-10s %s %d\n", req->method, req->url, resp.status);
	ts_caldav_provider.response(conv, &resp);
	curl_slist_free_all(headers);
}

/* Runs an op to its end; prints its error, if any, as a diagnostic. */
static TsConversation *
run(const TsOp *op)
{
	TsConversation *conv = ts_caldav_provider.begin(&site, op);
	TsRequest	req;

	while (ts_caldav_provider.next(conv, &req))
		exchange(conv, &req);
	if (ts_failed(&conv->error))
		tap_note("%s %s (%s)", conv->error.sqlstate, conv->error.message,
			   conv->error.detail ? conv->error.detail : "");
	if (conv->caps != NULL)
		tap_note("learned %s", conv->caps);
	return conv;
}

static const char *
vtodo(const char *uid, const char *title)
{
	return psprintf("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//tasksync//test//EN\r\nBEGIN:VTODO\r\n"
					"UID:%s\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:%s\r\nEND:VTODO\r\nEND:VCALENDAR\r\n",
					uid, title);
}

static TsPush
push(const char *list, TsPushKind kind, const char *id, const char *etag,
	 const char *payload, const char *target, const char *caps)
{
	TsPush		p = {.kind = kind, .external_id = id, .etag = etag, .payload = payload,
	.payload_len = payload != NULL ? strlen(payload) : 0, .target_list = target};
	TsOp		op = {.kind = TS_OP_PUSH, .list_id = list, .push = &p, .npush = 1, .caps = caps};
	TsConversation *conv = run(&op);

	if (ts_failed(&p.error))
		tap_note("%s %s (%s)", p.error.sqlstate, p.error.message, p.error.detail ? p.error.detail : "");
	tap_note("push kind %d: outcome %d, %d request(s)", kind, p.outcome, conv->nrequests);
	return p;
}

static TsConversation *
pull(const char *list, const char *cursor, bool full, bool payloads, const char *caps)
{
	TsOp		op = {.kind = TS_OP_PULL, .list_id = list, .cursor = cursor, .full = full,
	.want_payloads = payloads, .caps = caps};

	return run(&op);
}

static TsObservation *
find(TsConversation *conv, const char *id)
{
	for (int i = 0; i < conv->nobs; i++)
	{
		if (strcmp(conv->obs[i].external_id, id) == 0)
			return &conv->obs[i];
	}
	return NULL;
}

static TsConversation *
fetch(const char *list, const char **ids, int n, const char *caps)
{
	TsOp		op = {.kind = TS_OP_FETCH, .list_id = list, .ids = ids, .nids = n, .caps = caps};

	return run(&op);
}

static char *
make_list(const char *name)
{
	TsOp		op = {.kind = TS_OP_LIST_CREATE, .name = name, .color = "#12ab9f",
	.new_list_hint = psprintf("tasksync-%s-%d", name, (int) getpid())};
	TsConversation *conv = run(&op);

	tap_ok(!ts_failed(&conv->error) && conv->nlists == 1, "list %s is made (%d requests)", name, conv->nrequests);
	if (conv->nlists != 1)
		exit(1);
	tap_is(conv->lists[0].name, name, "it has its name");
	tap_is(conv->lists[0].color, "#12ab9f", "it has its colour");
	return conv->lists[0].id;
}

static void
check_lists(const char *id, bool expected)
{
	TsOp		op = {.kind = TS_OP_LISTS};
	TsConversation *conv = run(&op);
	bool		found = false;

	for (int i = 0; i < conv->nlists; i++)
		found = found || strcmp(conv->lists[i].id, id) == 0;
	tap_ok(!ts_failed(&conv->error) && found == expected, "the list %s listed (%d lists, %d requests)",
	   expected ? "is" : "is not", conv->nlists, conv->nrequests);
}

/* A task's life; "caps" is what the server's quirks were found to be. */
static void
check_tasks(const char *list, const char *other)
{
	TsConversation *conv = pull(list, NULL, false, true, NULL);
	const char *cursor = conv->cursor;
	const char *caps = conv->caps;
	TsPush		a,
				b,
				p;
	TsObservation *obs;
	const char *ids[3];

	tap_ok(conv->complete && conv->nobs == 0, "a new list is empty (%d requests)", conv->nrequests);

	a = push(list, TS_PUSH_CREATE, "aaaa-1", NULL, vtodo("aaaa-1", "one"), NULL, caps);
	tap_ok(a.outcome == TS_OUTCOME_DONE, "a task is created");
	b = push(list, TS_PUSH_CREATE, "bbbb-2.ics", NULL, vtodo("bbbb-2", "two"), NULL, caps);
	tap_ok(b.outcome == TS_OUTCOME_DONE, "another one");

	conv = pull(list, cursor, false, false, caps);
	tap_ok(find(conv, a.new_external_id) != NULL && find(conv, b.new_external_id) != NULL,
	   "a pull shows both (%d requests)", conv->nrequests);
	cursor = conv->cursor;
	conv = pull(list, cursor, false, false, caps);
	tap_ok(conv->nrequests == 1, "a pull without news is one request");
	tap_ok(conv->unchanged, "and unchanged");

	conv = pull(list, NULL, false, true, caps);
	obs = find(conv, a.new_external_id);
	tap_ok(conv->complete && conv->nobs == 2 && obs != NULL && obs->payload != NULL &&
	   strstr(obs->payload, "SUMMARY:one") != NULL, "a first pull brings the tasks' text (%d requests)", conv->nrequests);
	if (conv->caps != NULL)
		caps = conv->caps;
	tap_is(a.new_etag, obs->etag, "the etag of the PUT is that of the listing");

	p = push(list, TS_PUSH_CREATE, "aaaa-1", NULL, vtodo("aaaa-1", "again"), NULL, caps);
	tap_ok(p.outcome == TS_OUTCOME_EXISTS, "creating it again finds it there");
	tap_is(p.new_external_id, a.new_external_id, "under its id");
	p = push(list, TS_PUSH_UPDATE, a.new_external_id, a.new_etag, vtodo("aaaa-1", "uno"), NULL, caps);
	tap_ok(p.outcome == TS_OUTCOME_DONE, "an update");
	p = push(list, TS_PUSH_UPDATE, a.new_external_id, a.new_etag, vtodo("aaaa-1", "eins"), NULL, caps);
	tap_ok(p.outcome == TS_OUTCOME_CONFLICT, "an update of what has changed is a conflict");
	p = push(list, TS_PUSH_DELETE, a.new_external_id, a.new_etag, NULL, NULL, caps);
	tap_ok(p.outcome == TS_OUTCOME_CONFLICT, "so is a deletion");
	p = push(list, TS_PUSH_CREATE, "cccc-3", NULL, "garbage", NULL, caps);
	tap_ok(p.outcome == TS_OUTCOME_REFUSED, "garbage is refused");

	conv = pull(list, cursor, false, false, caps);
	tap_ok(find(conv, a.new_external_id) != NULL, "a pull shows the update (%d requests, %d objects)",
	   conv->nrequests, conv->nobs);
	cursor = conv->cursor;
	ids[0] = a.new_external_id;
	ids[1] = psprintf("%snever-there.ics", list);
	ids[2] = b.new_external_id;
	conv = fetch(list, ids, 1, caps);
	tap_ok(conv->nobs == 1 && conv->nrequests == 1 && conv->obs[0].payload != NULL, "fetching one is one request");
	a.new_etag = conv->obs[0].etag;
	conv = fetch(list, ids, 3, caps);
	tap_ok(conv->nobs == 3 && find(conv, ids[0])->payload != NULL && find(conv, ids[2])->payload != NULL &&
	   find(conv, ids[1])->gone, "fetching three, one of them missing (%d requests)", conv->nrequests);

	p = push(list, TS_PUSH_MOVE, b.new_external_id, b.new_etag, NULL, other, caps);
	tap_ok(p.outcome == TS_OUTCOME_DONE || p.outcome == TS_OUTCOME_UNSUPPORTED, "a move, or none");
	if (p.outcome == TS_OUTCOME_DONE)
	{
		conv = fetch(other, (const char **) &p.new_external_id, 1, caps);
		tap_ok(conv->nobs == 1 && conv->obs[0].payload != NULL, "it is there now");
		p = push(list, TS_PUSH_UPDATE, b.new_external_id, b.new_etag, vtodo("bbbb-2", "zwei"), NULL, caps);
		tap_ok(p.outcome == TS_OUTCOME_GONE, "and no longer here");
	}

	p = push(list, TS_PUSH_DELETE, a.new_external_id, a.new_etag, NULL, NULL, caps);
	tap_ok(p.outcome == TS_OUTCOME_DONE, "a deletion");
	p = push(list, TS_PUSH_DELETE, a.new_external_id, a.new_etag, NULL, NULL, caps);
	tap_ok(p.outcome == TS_OUTCOME_GONE, "a deletion of what is gone");
	conv = pull(list, cursor, false, false, caps);
	obs = find(conv, a.new_external_id);
	tap_ok(obs != NULL ? obs->gone : conv->complete, "a pull shows the deletion, or by its absence (%d requests)",
	   conv->nrequests);

	conv = pull(list, "{\"token\": \"http://sabre.io/ns/sync/nonsense\"}", false, false, caps);
	tap_ok(!ts_failed(&conv->error) && conv->cursor != NULL, "a cursor that is no good costs %d requests", conv->nrequests);
	conv = pull(list, cursor, true, false, caps);
	tap_ok(conv->complete, "an audit (%d requests)", conv->nrequests);
}

static void
check_gone(const char *list)
{
	const char *ids[] = {psprintf("%saaaa-1.ics", list), psprintf("%sbbbb-2.ics", list)};
	TsConversation *conv = pull(list, NULL, false, true, NULL);
	TsPush		p;

	tap_ok(conv->list_gone && !conv->complete, "a pull says that the list is gone");
	conv = fetch(list, ids, 2, NULL);
	tap_ok(conv->list_gone && conv->nobs == 0, "a fetch says so, and calls no task gone");
	p = push(list, TS_PUSH_CREATE, "dddd-4", NULL, vtodo("dddd-4", "late"), NULL, NULL);
	tap_ok(p.outcome == TS_OUTCOME_NOT_SENT, "and nothing can be created in it");
}

int
main(int argc, char **argv)
{
	char	   *list;
	char	   *other;

	if (argc != 2 && argc != 4)
		return 2;
	tap_start();
	site.url = argv[1];
	if (argc == 4)
		user_password = psprintf("%s:%s", argv[2], argv[3]);
	curl = curl_easy_init();

	list = make_list("one");
	other = make_list("two");
	check_lists(list, true);
	check_tasks(list, other);

	{
		TsOp		op = {.kind = TS_OP_LIST_UPDATE, .list_id = list, .name = "caf\xc3\xa9 & <co>", .color = "#000001"};
		TsConversation *conv = run(&op);
		TsOp		again = {.kind = TS_OP_LISTS};

		tap_ok(!ts_failed(&conv->error), "the list is renamed (%d requests)", conv->nrequests);
		site.url = psprintf("%s%s", pnstrdup(argv[1], strcspn(strstr(argv[1], "://") + 3, "/") + (strstr(argv[1], "://") + 3 - argv[1])), list);
		conv = run(&again);
		tap_is(conv->lists[0].name, op.name, "a list's own url works; its name is new");
		tap_is(conv->lists[0].color, op.color, "and its colour");
		tap_ok(conv->nlists >= 2, "and the others are found from there (%d requests)", conv->nrequests);
		site.url = argv[1];
	}
	{
		TsOp		op = {.kind = TS_OP_LIST_DELETE, .list_id = list};
		TsOp		op2 = {.kind = TS_OP_LIST_DELETE, .list_id = other};

		tap_ok(!ts_failed(&run(&op)->error), "the list is deleted");
		tap_ok(!ts_failed(&run(&op)->error), "so it is when it is not there");
		run(&op2);
	}
	check_lists(list, false);
	check_gone(list);
	curl_easy_cleanup(curl);
	return tap_done();
}
