/*-------------------------------------------------------------------------
 *
 * graph_fuzz.c
 *	  todoTasks of Microsoft Graph, and whole conversations with a service
 *	  that answers anything.
 *
 * Input: a line that begins with "t": the rest is a payload.  Else a line that
 * chooses the operation by its first letters (see choose_op), a line with a
 * cursor or nothing, a line with caps or nothing, then the answers, each up to
 * a line of two percent signs:
 *
 *		429 2.5					status, Retry-After
 *		{"value": [...			the body
 *		%%
 *
 * Where the answers end there is none any more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <stdlib.h>

#include "fuzz.h"
#include "provider/outlook/jsontree.h"
#include "provider/outlook/provider.h"
#include "provider/outlook/todo.h"

#define ROOT "https://graph.test/v1.0"
#define MAX_REQUESTS 4100		/* two rounds of pages, and what is around them */

static const TsCodecOptions options = {
	.marker = "00000000-0000-4000-8000-000000000001",.now = INT64CONST(1795348800000000),
	.default_time_zone = "Europe/Berlin"
};

/* ---------- the codec ---------- */

static void
check_text(const char *text)
{
	fuzz_check(text == NULL || fuzz_is_utf8(text), "\"%s\"", text);
}

/* What was decoded can be made anew, also in the place of "copy_of", and is the same. */
static void
check_new(const TsTask *task, const char *copy_of, size_t len)
{
	TsFieldMask same = TS_TODO_FIELDS & ~TS_FIELD_BIT(TS_COMPLETED_AT);
	TsCodecOptions opt = options;
	TsRemoteTask again;
	TsError		err;
	char	   *text;

	opt.copy_of = copy_of;
	opt.copy_len = len;
	text = ts_todo_encode(task, TS_ALL_FIELDS, NULL, 0, &opt, &err);
	if (text == NULL)
	{
		fuzz_check(strcmp(err.sqlstate, "22023") == 0 &&
				   (copy_of != NULL || task->value[TS_RECURRENCE_RULE] != NULL), "%s %s", err.sqlstate, err.message);
		return;
	}
	fuzz_check(ts_todo_decode(text, strlen(text), &options, &again, &err), "%s: %s", err.message, text);
	if (strcmp(again.task.value[TS_TITLE], TS_TODO_NO_TITLE) == 0)
		same &= ~TS_FIELD_BIT(TS_TITLE);	/* of blanks, perhaps */
	fuzz_check(ts_task_diff(task, &again.task, same) == 0, "%s", text);
	fuzz_check(again.marker != NULL && strcmp(again.marker, options.marker) == 0, "%s", text);
}

/* Is it an object of the service, and not one that is to be made yet? */
static bool
has_id(const char *data, size_t len)
{
	TsError		err;

	return ts_json_get_string(ts_json_parse(data, len, &err), "id") != NULL;
}

static void
check_payload(const char *data, size_t len)
{
	TsRemoteTask remote;
	TsError		err;
	char	   *text;

	if (!ts_todo_decode(data, len, &options, &remote, &err))
	{
		fuzz_check(strcmp(err.sqlstate, "TS502") == 0, "%s", err.sqlstate);
		fuzz_check_error(&err);
		return;
	}
	fuzz_check(remote.task.known == TS_TODO_FIELDS, "%x", remote.task.known);
	for (int f = 0; f < TS_NFIELDS; f++)
		fuzz_check_value(f, remote.task.value[f]);
	check_text(remote.uid);
	check_text(remote.marker);
	check_text(remote.modified_at);

	text = ts_todo_encode(&remote.task, 0, data, len, &options, &err);
	fuzz_check(text != NULL && strlen(text) == len && memcmp(text, data, len) == 0, "%s", text);
	text = ts_todo_encode(&remote.task, TS_ALL_FIELDS, data, len, &options, &err);
	fuzz_check(text != NULL || strcmp(err.sqlstate, "22023") == 0, "%s %s", err.sqlstate, err.message);
	if (text != NULL && has_id(data, len))
		fuzz_check(ts_todo_body(text, strlen(text), &err) == NULL, "%s", text);
	check_new(&remote.task, NULL, 0);
	check_new(&remote.task, data, len);
}

/* ---------- conversations ---------- */

static const char *ids[] = {"a=", "b", "c/../d"};
static TsPush pushes[4];

typedef struct Watch
{
	FuzzInput	in;
	TsConversation *conv;
	bool		write_accepted; /* the service said so, or left it open */
	bool		missing;		/* something was not there */
} Watch;

static void
make_pushes(void)
{
	static const TsPush all[] = {
		{.kind = TS_PUSH_CREATE,.payload = "{\"title\":\"x\"}",.payload_len = 13},
		{.kind = TS_PUSH_UPDATE,.external_id = "a=",.etag = "W/\"1\"",
		.payload = "{\"id\":\"a=\",\"@tasksync.patch\":{\"title\":\"y\"}}",.payload_len = 43},
		{.kind = TS_PUSH_DELETE,.external_id = "b",.etag = "modified 2026"},
		{.kind = TS_PUSH_CREATE,.payload = "{\"title\":\"z\"}",.payload_len = 13},
	};

	memcpy(pushes, all, sizeof(pushes));
}

/* Tasks that were made anew in another list, with the steps that we knew of, and are to be deleted. */
static void
make_moves(void)
{
	static const char known[] = "{\"checklistItems\":["
		"{\"id\":\"s1\",\"displayName\":\"one\",\"isChecked\":false},"
		"{\"id\":\"s2\",\"displayName\":\"two\",\"isChecked\":true}]}";

	for (int i = 0; i < lengthof(pushes); i++)
		pushes[i] = (TsPush) {
			.kind = TS_PUSH_DELETE,.external_id = psprintf("b%d", i),.etag = "W/\"1\"",
			.payload = i > 0 ? known : NULL,.payload_len = i > 0 ? sizeof(known) - 1 : 0,
			.has_moved = true,.target_list = "L=2",.target_id = psprintf("n%d", i)
		};
}

static TsOp
choose_op(const char *letters, const char *cursor, const char *caps)
{
	TsOp		op = {
		.list_id = "L=1",.cursor = *cursor ? cursor : NULL,.caps = *caps ? caps : NULL,
		.name = "Name \"x\"",.new_list_hint = "0000"
	};

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
		case 'm':
			op.kind = TS_OP_PUSH;
			if (letters[0] == 'w')
				make_pushes();
			else
				make_moves();
			op.push = pushes;
			op.npush = letters[1] >= '1' && letters[1] <= '4' ? letters[1] - '0' : lengthof(pushes);
			break;
		case 'c':
			op.kind = TS_OP_LIST_CREATE;
			op.list_id = NULL;
			break;
		case 'u':
			op.kind = TS_OP_LIST_UPDATE;
			break;
		case 'd':
			op.kind = TS_OP_LIST_DELETE;
			break;
		default:
			op.kind = TS_OP_PULL;
			op.full = strchr(letters, 'F') != NULL;
			op.want_payloads = strchr(letters, 'P') != NULL;
	}
	return op;
}

static void
check_request(const TsRequest *req)
{
	TsError		err = {0};

	fuzz_check(strncmp(req->url, ROOT "/", strlen(ROOT) + 1) == 0 && !fuzz_has_control(req->url),
			   "\"%s\"", req->url);
	fuzz_check(req->nheaders <= TS_MAX_HEADERS, "%d", req->nheaders);
	for (int i = 0; i < req->nheaders; i++)
		fuzz_check(!fuzz_has_control(req->headers[i].value), "\"%s\"", req->headers[i].value);
	fuzz_check(req->body == NULL || ts_json_parse(req->body, req->body_len, &err) != NULL, "%s", req->body);
}

static bool
is_write(const TsRequest *req)
{
	return strcmp(req->method, "GET") != 0 &&
		!(strstr(req->url, "/$batch") != NULL && strstr(req->body, "\"GET\"") != NULL);
}

static void
answer(Watch *w, const TsRequest *req)
{
	char	   *line = fuzz_line(&w->in, '\n');
	TsResponse	resp = {.status = atoi(line),.url = req->url,.body = ""};

	resp.body = fuzz_body(&w->in, &resp.body_len);
	if (resp.status < 200 || resp.status > 599)
		resp.status = 0;
	resp.retry_after = strchr(line, ' ') ? ts_retry_after(strchr(line, ' ') + 1, 1795348800) : -1;
	if (resp.status == 0)
	{
		ts_error(&resp.error, "TS503", "no answer");
		resp.maybe_applied = strchr(line, '?') != NULL;
		resp.body_len = 0;
	}
	w->missing |= resp.status == 404 || resp.status == 410 ||
		strstr(resp.body, "404") != NULL || strstr(resp.body, "410") != NULL || strstr(resp.body, "@removed") != NULL;
	if (is_write(req))
		w->write_accepted |= resp.status / 100 == 2 || resp.status == 408 || resp.status >= 500 ||
			(resp.status == 0 && resp.maybe_applied);
	w->conv->provider->response(w->conv, &resp);
}

/* ---------- what came of it ---------- */

static void
check_observations(const Watch *w)
{
	for (int i = 0; i < w->conv->nobs; i++)
	{
		const TsObservation *obs = &w->conv->obs[i];

		fuzz_check(obs->external_id != NULL && obs->external_id[0] != '\0', "%d", i);
		check_text(obs->external_id);
		check_text(obs->etag);
		check_text(obs->payload);
		fuzz_check_error(&obs->error);
		fuzz_check(obs->payload == NULL || strlen(obs->payload) == obs->payload_len, "%zu", obs->payload_len);
		fuzz_check(!obs->gone || (obs->payload == NULL && !ts_failed(&obs->error)), "%s", obs->external_id);
		fuzz_check(!obs->gone || w->missing || w->conv->op->kind == TS_OP_PULL, "%s", obs->external_id);
	}
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
	for (int i = 0; i < w->conv->op->npush; i++)
	{
		const TsPush *p = &w->conv->op->push[i];

		fuzz_check(p->outcome != TS_OUTCOME_PENDING, "%d", i);
		fuzz_check_error(&p->error);
		check_text(p->new_external_id);
		check_text(p->new_etag);
		fuzz_check(p->outcome != TS_OUTCOME_DONE || w->write_accepted, "%d is done", i);
		fuzz_check(p->outcome != TS_OUTCOME_IN_DOUBT || w->write_accepted, "%d is not in doubt", i);
		fuzz_check(p->outcome != TS_OUTCOME_DONE || p->kind != TS_PUSH_CREATE || p->new_external_id != NULL, "%d", i);
		fuzz_check(p->seen == NULL || p->seen->payload != NULL, "%d", i);
	}
}

static void
check_result(const Watch *w)
{
	TsConversation *conv = w->conv;
	TsError		err = {0};

	fuzz_check_error(&conv->error);
	fuzz_check(!ts_failed(&conv->error) || (!conv->complete && !conv->unchanged), "%s", conv->error.message);
	fuzz_check(!conv->list_gone || (ts_failed(&conv->error) && w->missing), "list_gone");
	fuzz_check(conv->retry_after >= -1 && conv->retry_after <= 7200, "%d", conv->retry_after);
	fuzz_check(conv->cursor == NULL || ts_json_parse(conv->cursor, strlen(conv->cursor), &err) != NULL, "%s", conv->cursor);
	fuzz_check(conv->caps == NULL || ts_json_parse(conv->caps, strlen(conv->caps), &err) != NULL, "%s", conv->caps);
	check_text(conv->cursor);
	check_text(conv->account);
	check_observations(w);
	for (int i = 0; i < conv->nlists; i++)
	{
		fuzz_check(conv->lists[i].id != NULL && conv->lists[i].name != NULL, "%d", i);
		check_text(conv->lists[i].id);
		check_text(conv->lists[i].name);
	}
	fuzz_check(conv->op->kind != TS_OP_LIST_CREATE || ts_failed(&conv->error) || conv->nlists == 1, "%d", conv->nlists);
	if (conv->op->kind == TS_OP_FETCH)
		check_fetched(conv);
	if (conv->op->kind == TS_OP_PUSH)
		check_pushed(w);
}

void
fuzz_one(const char *data, size_t len)
{
	static const TsSite site = {.url = ROOT,.user_agent = "tasksync-fuzz"};
	Watch		w = {.in = {data, len}};
	char	   *letters = fuzz_line(&w.in, '\n');
	TsOp		op;
	TsRequest	req;
	char	   *cursor;
	char	   *caps;
	int			n = 0;

	if (letters[0] == 't')
	{
		check_payload(w.in.data, w.in.len);
		return;
	}
	cursor = fuzz_line(&w.in, '\n');
	caps = fuzz_line(&w.in, '\n');
	op = choose_op(letters, cursor, caps);
	w.conv = ts_outlook_provider.begin(&site, &op);
	while (ts_outlook_provider.next(w.conv, &req))
	{
		fuzz_check(++n <= MAX_REQUESTS, "%d requests", n);
		check_request(&req);
		answer(&w, &req);
	}
	check_result(&w);
	ts_conversation_end(w.conv);
}
