/*-------------------------------------------------------------------------
 *
 * dav_fuzz.c
 *	  Whole conversations of the CalDAV provider with a service that answers
 *	  anything.
 *
 * Input: a line that chooses the operation by its first letters (see ops), a
 * line with a cursor or nothing, then the answers:
 *
 *		207 13					status, size of the pieces it comes in
 *		content-type: text/xml	headers
 *								an empty line
 *		<multistatus ...		the body, up to a line of two percent signs
 *		%%
 *
 * Where the answers end there is none any more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "fuzz.h"
#include "provider/caldav/caldav.h"
#include "provider/caldav/provider.h"

#define MAX_REQUESTS 1200		/* a pull may have 1000 pages */

/* What the operations are about. */
static const char *ids[] = {"/c/1.ics", "/c/2.ics", "/c/a%20b.ics"};
static TsPush pushes[3];

/* What is known of the conversation so far, from outside. */
typedef struct Watch
{
	FuzzInput	in;
	TsConversation *conv;
	bool		write_accepted; /* the service said that it did a write ... */
	bool		write_made;		/* … and not with a 207, which may hold its failure */
	bool		write_in_doubt; /* ... or left it open */
	bool		missing;		/* the last answer spoke of a 404 or 410 ... */
	bool		ever_missing;	/* ... or one before it */
} Watch;

static void
make_pushes(void)
{
	static const TsPush all[] = {
		{.kind = TS_PUSH_CREATE,.external_id = "/c/1.ics",.payload = "x",.payload_len = 1},
		{.kind = TS_PUSH_UPDATE,.external_id = "/c/2.ics",.etag = "\"a\"",.payload = "x",.payload_len = 1},
		{.kind = TS_PUSH_DELETE,.external_id = "/c/2.ics",.etag = "W/\"a\""},
		{.kind = TS_PUSH_MOVE,.external_id = "/c/2.ics",.etag = "\"a\"",.target_list = "/d/"}
	};

	for (int i = 0; i < lengthof(pushes); i++)
		pushes[i] = all[(i + (pushes[0].kind == TS_PUSH_CREATE ? 0 : 1)) % lengthof(all)];
}

/* The operation by the letters of the first line. */
static TsOp
choose_op(const char *letters, const char *cursor)
{
	TsOp		op = {.list_id = "/c/",.cursor = *cursor ? cursor : NULL};

	switch (*letters)
	{
		case 'l':
			op.kind = TS_OP_LISTS;
			if (letters[1] != '1')
				op.list_id = NULL;
			break;
		case 'f':
			op.kind = TS_OP_FETCH;
			op.ids = ids;
			op.nids = letters[1] == '1' ? 1 : lengthof(ids);
			break;
		case 'w':
			op.kind = TS_OP_PUSH;
			make_pushes();
			if (letters[1] >= '1' && letters[1] <= '3')
				pushes[0] = pushes[letters[1] - '1'];
			if (letters[1] == '4')
				pushes[0] = (TsPush) {.kind = TS_PUSH_MOVE,.external_id = "/c/2.ics",.etag = "\"a\"",.target_list = "/d/"};
			op.push = pushes;
			op.npush = letters[1] != '\0' ? 1 : lengthof(pushes);
			break;
		case 'c':
			op.kind = TS_OP_LIST_CREATE;
			op.list_id = NULL;
			op.name = "Name & <more>";
			op.color = "#aabbcc";
			op.new_list_hint = "0000";
			break;
		case 'u':
			op.kind = TS_OP_LIST_UPDATE;
			op.name = "Name";
			op.color = "#aabbcc";
			break;
		case 'd':
			op.kind = TS_OP_LIST_DELETE;
			break;
		default:
			op.kind = TS_OP_PULL;
			op.full = strchr(letters, 'F') != NULL;
			op.want_payloads = strchr(letters, 'P') != NULL;
	}
	if (strchr(letters, 'X') != NULL)
		op.caps = "{\"lax_conditions\": true, \"no_query\": true, \"strict_multiget\": true}";
	return op;
}

/* ---------- what a request has to be like ---------- */

static void
check_request(const TsRequest *req)
{
	bool		is_absolute = pg_strncasecmp(req->url, "http://", 7) == 0 ||
		pg_strncasecmp(req->url, "https://", 8) == 0;

	/* the net room refuses these with an error */
	fuzz_check(is_absolute && !fuzz_has_control(req->url), "\"%s\"", req->url);
	fuzz_check(!fuzz_has_control(req->method), "\"%s\"", req->method);
	fuzz_check(req->nheaders <= TS_MAX_HEADERS, "%d", req->nheaders);
	for (int i = 0; i < req->nheaders; i++)
		fuzz_check(!fuzz_has_control(req->headers[i].value), "%s: \"%s\"",
				   req->headers[i].name, req->headers[i].value);
	fuzz_check(req->body == NULL || memchr(req->body, '\0', req->body_len) == NULL,
			   "%s", req->method);
}

static bool
is_write(const TsRequest *req)
{
	return strcmp(req->method, "PUT") == 0 || strcmp(req->method, "DELETE") == 0 ||
		strcmp(req->method, "MOVE") == 0;
}

/* ---------- answers ---------- */

static void
note_missing(void *arg, const DavEntry *entry)
{
	if (dav_is_missing(entry->status) || dav_is_missing(entry->failure))
		*(bool *) arg = true;
}

/* Is a body an answer of WebDAV's, all of it?  Read by a reader of its own. */
static bool
is_understood(const char *body, size_t len, bool *missing)
{
	DavXml	   *xml = dav_xml_begin(CurrentMemoryContext, note_missing, missing);
	TsError		err = {{0}};
	bool		understood;

	dav_xml_feed(xml, body, len);
	understood = dav_xml_finish(xml, &err);
	dav_xml_end(xml);
	return understood;
}

static char *
take_headers(FuzzInput *in)
{
	StringInfoData lines;
	char	   *line;

	initStringInfo(&lines);
	while (in->len > 0 && *(line = fuzz_line(in, '\n')) != '\0')
		appendStringInfo(&lines, "%s\n", line);
	return lines.data;
}

static void
send_body(TsConversation *conv, const char *body, size_t len, size_t size)
{
	for (size_t i = 0; i < len; i += size)
	{
		size_t		n = Min(size, len - i);
		char	   *piece = palloc(n);

		memcpy(piece, body + i, n);
		conv->provider->data(conv, piece, n);
		pfree(piece);
	}
}

/* What an answer that cannot be read must leave as it was. */
static void
check_unread(const TsConversation *before, const TsConversation *after)
{
	fuzz_check(after->complete == before->complete, "complete");
	fuzz_check(after->unchanged == before->unchanged, "unchanged");
	fuzz_check(after->list_gone == before->list_gone, "list_gone");
	fuzz_check(after->cursor == before->cursor, "cursor %s", after->cursor);
}

static void
answer(Watch *w, const TsRequest *req)
{
	char	   *line = fuzz_line(&w->in, '\n');
	TsResponse	resp = {.status = atoi(line),.url = req->url,.body = "",.retry_after = -1};
	size_t		size = strchr(line, ' ') ? atoi(strchr(line, ' ')) : 0;
	char	   *headers = take_headers(&w->in);
	TsConversation before = *w->conv;
	size_t		len;
	char	   *body = fuzz_body(&w->in, &len);
	bool		understood;
	bool		wants_xml = strcmp(req->method, "PROPFIND") == 0 || strcmp(req->method, "REPORT") == 0;

	if (resp.status < 200 || resp.status > 599)
		resp.status = 0;
	ts_response_headers(&resp, headers);
	resp.retry_after = ts_retry_after(ts_response_header(&resp, "retry-after"), 1795348800);
	w->missing = dav_is_missing(resp.status);
	understood = is_understood(body, len, &w->missing);
	w->ever_missing |= w->missing;
	if (resp.status == 0)
	{
		ts_error(&resp.error, "TS503", "no answer");
		resp.maybe_applied = strchr(line, '?') != NULL;
		len = 0;
	}
	if (is_write(req))
	{
		w->write_accepted |= resp.status / 100 == 2;
		w->write_made |= resp.status / 100 == 2 && resp.status != 207;
		w->write_in_doubt |= (resp.status == 0 && resp.maybe_applied) || resp.status == 408 ||
			resp.status >= 500;
	}
	if (req->stream && resp.status / 100 == 2)
		send_body(w->conv, body, len, size > 0 ? size : Max(len, 1));
	else if (resp.status != 0)
	{
		resp.body = body;
		resp.body_len = len;
	}
	w->conv->provider->response(w->conv, &resp);
	if (wants_xml && (resp.status == 0 || (resp.status / 100 == 2 && !understood)))
		check_unread(&before, w->conv);
	fuzz_check(!w->conv->list_gone || before.list_gone || w->missing, "list_gone");
}

/* ---------- what came of it ---------- */

static void
check_text(const char *text)
{
	fuzz_check(text == NULL || fuzz_is_utf8(text), "\"%s\"", text);
}

static void
check_observation(const TsOp *op, const TsObservation *obs)
{
	fuzz_check(obs->external_id != NULL && obs->external_id[0] == '/', "%d", op->kind);
	check_text(obs->external_id);
	check_text(obs->etag);
	check_text(obs->payload);
	fuzz_check_error(&obs->error);
	fuzz_check(obs->payload == NULL || strlen(obs->payload) == obs->payload_len,
			   "%zu", obs->payload_len);
	fuzz_check(!obs->gone || (obs->payload == NULL && !ts_failed(&obs->error)), "%s", obs->external_id);
}

static void
check_fetched(const TsConversation *conv)
{
	for (int i = 0; i < conv->op->nids; i++)
	{
		int			n = 0;

		for (int j = 0; j < conv->nobs; j++)
			n += strcmp(conv->obs[j].external_id, conv->op->ids[i]) == 0;
		fuzz_check(n == 1 || (n == 0 && ts_failed(&conv->error)), "%s: %d", conv->op->ids[i], n);
	}
}

static void
check_pushed(const Watch *w)
{
	const TsOp *op = w->conv->op;

	for (int i = 0; i < op->npush; i++)
	{
		const TsPush *p = &op->push[i];

		fuzz_check(p->outcome != TS_OUTCOME_PENDING, "%d", i);
		fuzz_check_error(&p->error);
		check_text(p->new_external_id);
		check_text(p->new_etag);
		fuzz_check(p->outcome != TS_OUTCOME_DONE || p->kind == TS_PUSH_DELETE || w->write_accepted,
				   "%d is done, and no write was accepted", i);
		fuzz_check(p->outcome != TS_OUTCOME_NOT_SENT || op->npush > 1 || !w->write_made,
				   "%d was accepted", i);
		fuzz_check(p->outcome != TS_OUTCOME_IN_DOUBT || w->write_in_doubt || w->write_accepted,
				   "%d is not in doubt", i);
		fuzz_check(p->outcome != TS_OUTCOME_DONE || p->kind == TS_PUSH_UPDATE ||
				   p->kind == TS_PUSH_DELETE || p->new_external_id != NULL, "%d", i);
	}
}

static void
check_lists(const TsConversation *conv)
{
	for (int i = 0; i < conv->nlists; i++)
	{
		const TsList *list = &conv->lists[i];

		fuzz_check(dav_id_is_collection(list->id) && list->name != NULL, "%s", list->id);
		check_text(list->id);
		check_text(list->name);
		check_text(list->path);
		check_text(list->description);
		check_text(list->sync_token);
		check_text(list->color);
	}
}

static void
check_result(const Watch *w)
{
	TsConversation *conv = w->conv;
	TsTask		task;
	TsError		err;

	fuzz_check_error(&conv->error);
	fuzz_check(!ts_failed(&conv->error) || (!conv->complete && !conv->unchanged), "%s",
			   conv->error.message);
	fuzz_check(!conv->list_gone || ts_failed(&conv->error), "list_gone");
	fuzz_check(conv->retry_after >= -1 && conv->retry_after <= 7200, "%d", conv->retry_after);
	/* both are kept as JSON */
	fuzz_check(conv->cursor == NULL || ts_task_from_json(conv->cursor, strlen(conv->cursor), &task, &err),
			   "%s", conv->cursor);
	fuzz_check(conv->caps == NULL || ts_task_from_json(conv->caps, strlen(conv->caps), &task, &err),
			   "%s", conv->caps);
	check_text(conv->cursor);
	for (int i = 0; i < conv->nobs; i++)
	{
		check_observation(conv->op, &conv->obs[i]);
		fuzz_check(!conv->obs[i].gone || w->ever_missing, "%s", conv->obs[i].external_id);
	}
	check_lists(conv);
	if (conv->op->kind == TS_OP_FETCH)
		check_fetched(conv);
	if (conv->op->kind == TS_OP_PUSH)
		check_pushed(w);
}

void
fuzz_one(const char *data, size_t len)
{
	static const TsSite site = {.url = "https://dav.test/",.user_agent = "tasksync-fuzz"};
	Watch		w = {.in = {data, len}};
	char	   *letters = fuzz_line(&w.in, '\n');
	char	   *cursor = fuzz_line(&w.in, '\n');
	TsOp		op = choose_op(letters, cursor);
	TsRequest	req;
	int			n = 0;

	w.conv = ts_caldav_provider.begin(&site, &op);
	while (ts_caldav_provider.next(w.conv, &req))
	{
		fuzz_check(++n <= MAX_REQUESTS, "%d requests", n);
		check_request(&req);
		answer(&w, &req);
	}
	check_result(&w);
	ts_conversation_end(w.conv);
}
