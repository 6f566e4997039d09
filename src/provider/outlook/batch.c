/*-------------------------------------------------------------------------
 *
 * batch.c
 *	  Many small requests in one: Graph's $batch.
 *
 * A batch of one is sent as what it is.  The parts of a $batch come back in
 * any order, each with a status of its own; the answer around them says 200
 * whatever became of them.  The service works on a few at a time, in no order;
 * all parts of ours are about different objects, so that no order matters, and
 * "dependsOn" is not used: a part that failed would keep the others from being
 * tried.
 *
 * What a mailbox does not get to at once may be put off or turned away.  If some
 * parts are turned away and others are not, the next batches are smaller: what
 * is sent again, when the service allows it, would meet the same fate otherwise.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

#define MAX_BATCH_BYTES (1024 * 1024)

/*
 * graph_batch_begin
 *		How many parts a batch of this conversation may have.
 */
void
graph_batch_begin(GraphConversation *c)
{
	if (c->caps.no_batch || c->caps.single_parts)
		c->batch.size = 1;
	else
		c->batch.size = c->caps.small_batches ? GRAPH_SMALL_BATCH : GRAPH_BATCH;
}

void
graph_batch_clear(GraphConversation *c)
{
	c->batch.n = 0;
}

/*
 * graph_batch_add
 *		One more part, unless the batch is full: then what is left over is for the
 *		next.  All strings must last until the answer was read.
 */
void
graph_batch_add(GraphConversation *c, int index, const char *method, const char *path,
				const char *etag, const char *body)
{
	GraphBatch *b = &c->batch;
	size_t		bytes = body != NULL ? strlen(body) : 0;

	for (int i = 0; i < b->n; i++)
		bytes += b->part[i].body != NULL ? strlen(b->part[i].body) : 0;
	if (b->n >= b->size || (b->n > 0 && bytes > MAX_BATCH_BYTES))
		return;
	b->part[b->n++] = (GraphPart) {
		.index = index,.method = method,.path = path,.etag = etag,.body = body
	};
}

static void
write_part(StringInfo out, const GraphPart *part, int number)
{
	StringInfoData headers;

	if (number > 1)
		appendStringInfoChar(out, ',');
	ts_json_open(out);
	ts_json_put_string(out, "id", psprintf("%d", number));
	ts_json_put_string(out, "method", part->method);
	ts_json_put_string(out, "url", part->path);
	initStringInfo(&headers);
	ts_json_open(&headers);
	if (part->etag != NULL)
		ts_json_put_string(&headers, "If-Match", part->etag);
	if (part->body != NULL)
		ts_json_put_string(&headers, "Content-Type", "application/json");
	ts_json_close(&headers);
	if (headers.len > 2)
		ts_json_put_raw(out, "headers", headers.data, headers.len);
	if (part->body != NULL)
		ts_json_put_raw(out, "body", part->body, strlen(part->body));
	ts_json_close(out);
}

/*
 * graph_batch_ask
 *		The request for all parts.
 */
void
graph_batch_ask(GraphConversation *c, TsRequest *req)
{
	const GraphBatch *b = &c->batch;
	bool		safe = true;
	StringInfoData body;

	if (b->n == 1)
	{
		graph_request(c, req, b->part[0].method, b->part[0].path, b->part[0].body);
		if (b->part[0].etag != NULL)
			ts_request_header(req, "If-Match", b->part[0].etag);
		return;
	}
	initStringInfo(&body);
	appendStringInfoString(&body, "{\"requests\":[");
	for (int i = 0; i < b->n; i++)
	{
		write_part(&body, &b->part[i], i + 1);
		safe &= strcmp(b->part[i].method, "GET") == 0;
	}
	appendStringInfoString(&body, "]}");
	graph_request(c, req, "POST", "/$batch", body.data);
	req->safe = safe;
}

/*
 * graph_batch_trouble
 *		The service won't have the batch as such: then its parts go one by one.
 *		True when that is so; they are to be asked for again.
 */
bool
graph_batch_trouble(GraphConversation *c, const GraphAnswer *a)
{
	if (c->batch.n < 2 || !graph_is_refused(a))
		return false;
	if (graph_is_missing(a) || a->status == 405 || a->status == 501)
		graph_learn(c, &c->caps.no_batch, true);
	c->batch.size = 1;
	return true;
}

/* Were some parts turned away, and others not?  If there were but a few, only one at a time is left. */
static void
learn_size(GraphConversation *c)
{
	GraphBatch *b = &c->batch;
	int			nbusy = 0;

	for (int i = 0; i < b->n; i++)
		nbusy += b->part[i].answer.status == 429;
	if (nbusy == 0 || nbusy == b->n)
		return;
	if (c->caps.small_batches && b->n <= GRAPH_SMALL_BATCH)
		graph_learn(c, &c->caps.single_parts, true);
	graph_learn(c, &c->caps.small_batches, true);
	graph_batch_begin(c);
}

/* Parts that went well: the token is good, and another may be had when it is not any more. */
static void
note_token(GraphConversation *c)
{
	const GraphBatch *b = &c->batch;

	for (int i = 0; i < b->n; i++)
	{
		if (b->part[i].answer.status == 401)
			return;
	}
	c->renewed = false;
}

/* A header of a part, names in any case. */
static const char *
part_header(const TsJson *part, const char *name)
{
	const TsJson *headers = ts_json_get_kind(part, "headers", TS_JSON_OBJECT);

	for (const TsJson *h = headers != NULL ? headers->first : NULL; h != NULL; h = h->next)
	{
		if (pg_strcasecmp(h->name, name) == 0 &&
			(h->kind == TS_JSON_STRING || h->kind == TS_JSON_NUMBER))
			return h->text;
	}
	return NULL;
}

/* The part that an element of "responses" is the answer to, or NULL. */
static GraphPart *
part_of(GraphBatch *b, const TsJson *element)
{
	const TsJson *id = ts_json_get(element, "id");
	int			number = -1;

	if (id != NULL && id->kind == TS_JSON_NUMBER)
		number = ts_json_int(id, -1);
	else if (id != NULL && id->kind == TS_JSON_STRING && strlen(id->text) <= 2 &&
			 strspn(id->text, "0123456789") == strlen(id->text))
		number = atoi(id->text);
	return number >= 1 && number <= b->n ? &b->part[number - 1] : NULL;
}

/*
 * graph_batch_read
 *		Gives each part its answer; one that is missing has status 0 and no
 *		response.  False when the answer around them can't be understood.
 */
bool
graph_batch_read(GraphConversation *c, const GraphAnswer *a)
{
	GraphBatch *b = &c->batch;
	const TsJson *responses = ts_json_get_kind(a->json, "responses", TS_JSON_ARRAY);

	if (b->n == 1)
	{
		b->part[0].answer = *a;
		return true;
	}
	for (int i = 0; i < b->n; i++)
		b->part[i].answer = (GraphAnswer) {.retry_after = -1};
	if (a->status / 100 != 2 || responses == NULL)
		return false;
	for (const TsJson *r = responses->first; r != NULL; r = r->next)
	{
		GraphPart  *part = part_of(b, r);
		int			status = ts_json_get_int(r, "status", 0);

		if (part == NULL || part->answer.status != 0 || status < 200 || status > 599)
			continue;
		part->answer.status = status;
		part->answer.whole = a->whole;
		part->answer.json = ts_json_get(r, "body");
		part->answer.retry_after = ts_retry_after(part_header(r, "retry-after"), ts_response_time(a->whole));
		part->answer.request_id = part_header(r, "request-id");
	}
	learn_size(c);
	note_token(c);
	return true;
}
