/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  TS_OP_LISTS and the lists themselves: made, renamed, deleted.
 *
 * A new list gets its id from the service, and nothing that the service would
 * know again can be sent with it but its name.  So it is made under a working
 * name that holds the engine's uuid for it, and called what it is to be called
 * once its id is known.  An attempt whose answer was lost, or whose process
 * ended, leaves a list of the working name, which the next attempt looks for
 * and takes over.  What can not be told is a process that ended after the list
 * got its name and before its id was recorded: then an empty list remains.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/outlook/graph.h"

#define LISTS_PATH	"/me/todo/lists"
#define MAX_PAGES	1000

static const GraphStep lists_step;
static const GraphStep list_step;
static const GraphStep account_step;
static const GraphStep find_step;
static const GraphStep make_step;
static const GraphStep name_step;
static const GraphStep rename_step;
static const GraphStep delete_step;

/* ---------- reading ---------- */

/*
 * One more list of the result.  Tasks made of flagged mail are in a list that
 * nothing can be put into.
 */
static void
add_list(GraphConversation *c, const TsJson *seen)
{
	TsConversation *conv = &c->base;
	const char *id = ts_json_get_string(seen, "id");
	const char *name = ts_json_get_string(seen, "displayName");
	const char *kind = ts_json_get_string(seen, "wellknownListName");
	TsList	   *list;

	if (id == NULL || id[0] == '\0' || ts_json_get(seen, "@removed") != NULL)
		return;
	if (conv->nlists == c->lists.max)
	{
		c->lists.max = Max(16, conv->nlists * 2);
		conv->lists = conv->lists == NULL ?
			palloc(c->lists.max * sizeof(TsList)) :
			repalloc(conv->lists, c->lists.max * sizeof(TsList));
	}
	list = &conv->lists[conv->nlists++];
	memset(list, 0, sizeof(*list));
	list->id = pstrdup(id);
	list->name = pstrdup(name != NULL ? name : "");
	list->is_writable = kind == NULL || strcmp(kind, "flaggedEmails") != 0;
}

static void
ask_page(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "GET", c->lists.at, NULL);
}

/*
 * Takes in a page of lists.  True when it was the last; on an error the
 * conversation's is set.
 */
static bool
read_page(GraphConversation *c, const GraphAnswer *a)
{
	const TsJson *value = ts_json_get_kind(a->json, "value", TS_JSON_ARRAY);
	char	   *next;

	if (a->status / 100 != 2 || value == NULL)
	{
		graph_fail(c, a, "");
		return false;
	}
	for (const TsJson *l = value->first; l != NULL; l = l->next)
		add_list(c, l);
	next = graph_page_link(c, a, "@odata.nextLink");
	if (next == NULL)
		return !ts_failed(&c->base.error);
	if (!graph_set_add(c, &c->lists.pages, next) || ++c->lists.npages >= MAX_PAGES)
	{
		ts_error(&c->base.error, "TS502", "%s: its pages never end", c->step->failed);
		return false;
	}
	c->lists.at = next;
	return false;
}

static void
lists_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (read_page(c, a))
		c->step = &account_step;
}

static const GraphStep lists_step = {
	.doing = "reading the lists",
	.failed = "could not read the lists of Outlook",
	.ask = ask_page,
	.answer = lists_answer,
};

static void
ask_list(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "GET", c->list, NULL);
}

/* One that is not there is simply not in the result. */
static void
list_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (a->status / 100 == 2 && ts_json_get_string(a->json, "id") != NULL)
		add_list(c, a->json);
	else if (!graph_is_missing(a))
	{
		graph_fail(c, a, graph_object(c));
		return;
	}
	c->step = &account_step;
}

static const GraphStep list_step = {
	.doing = "reading the list",
	.failed = "could not read Outlook list",
	.ask = ask_list,
	.answer = list_answer,
};

static void
ask_account(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "GET", "/me?$select=id", NULL);
}

/* Consent to User.Read is not needed for anything else: a refusal leaves it unknown. */
static void
account_answer(GraphConversation *c, const GraphAnswer *a)
{
	const char *id = a->status / 100 == 2 ? ts_json_get_string(a->json, "id") : NULL;

	if (id != NULL && id[0] != '\0')
		c->base.account = pstrdup(id);
	c->step = NULL;
}

static const GraphStep account_step = {
	.doing = "asking whose account it is",
	.failed = "could not read the account of Outlook",
	.ask = ask_account,
	.answer = account_answer,
};

/*
 * graph_lists_begin
 *		All lists, or the one of op.
 */
void
graph_lists_begin(GraphConversation *c)
{
	c->lists.at = LISTS_PATH;
	c->step = c->list != NULL ? &list_step : &lists_step;
}

/* ---------- creating ---------- */

/* {"displayName": …} */
static char *
name_body(const char *name)
{
	StringInfoData body;

	initStringInfo(&body);
	ts_json_open(&body);
	ts_json_put_string(&body, "displayName", name);
	ts_json_close(&body);
	return body.data;
}

/*
 * graph_list_create_begin
 *		Looks whether an earlier attempt has made it.
 */
void
graph_list_create_begin(GraphConversation *c)
{
	const TsOp *op = c->base.op;

	c->lists.working_name = psprintf("%s (tasksync %s)", op->name, op->new_list_hint);
	c->lists.at = LISTS_PATH;
	c->step = &find_step;
}

/* Only the list of this attempt or an earlier one; its project's name may have changed since. */
static bool
keep_only_ours(GraphConversation *c)
{
	TsConversation *conv = &c->base;
	char	   *mark = psprintf("(tasksync %s)", conv->op->new_list_hint);

	for (int i = 0; i < conv->nlists; i++)
	{
		if (strstr(conv->lists[i].name, mark) == NULL)
			continue;
		conv->lists[0] = conv->lists[i];
		conv->nlists = 1;
		return true;
	}
	conv->nlists = 0;
	return false;
}

static void
find_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (read_page(c, a))
		c->step = keep_only_ours(c) ? &name_step : &make_step;
}

static const GraphStep find_step = {
	.doing = "looking for the list",
	.failed = "could not read the lists of Outlook",
	.ask = ask_page,
	.answer = find_answer,
};

static void
ask_make(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "POST", LISTS_PATH, name_body(c->lists.working_name));
}

static void
make_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (a->status / 100 == 2)
		add_list(c, a->json);
	if (c->base.nlists == 0)
		graph_fail(c, a, psprintf(" \"%s\"", c->base.op->name));
	else
		c->step = &name_step;
}

static const GraphStep make_step = {
	.doing = "creating the list",
	.failed = "could not create Outlook list",
	.ask = ask_make,
	.answer = make_answer,
};

static void
ask_name(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "PATCH",
				  psprintf(LISTS_PATH "/%s", ts_path_segment(c->base.lists[0].id)),
				  name_body(c->base.op->name));
}

/*
 * Whether it got its name is of less account than which list it is: that is
 * known, and lost if an error ended the conversation here.  Only where the name
 * was certainly not written is it tried again, by another attempt that will
 * find the list by the name that it has.
 */
static void
name_answer(GraphConversation *c, const GraphAnswer *a)
{
	bool		untouched = a->status == 401 || graph_is_busy(a) || a->status / 100 == 3 ||
		(a->status == 0 && !a->resp->maybe_applied);

	if (untouched)
	{
		graph_fail(c, a, psprintf(" \"%s\"", c->base.op->name));
		c->base.nlists = 0;
		return;
	}
	c->base.lists[0].name = pstrdup(c->base.op->name);
	c->step = NULL;
}

static const GraphStep name_step = {
	.doing = "naming the list",
	.failed = "could not name Outlook list",
	.ask = ask_name,
	.answer = name_answer,
	.sees_all = true,
};

/* ---------- renaming, deleting ---------- */

/*
 * graph_list_update_begin
 *		A list has a name here, and no colour.
 */
void
graph_list_update_begin(GraphConversation *c)
{
	c->step = c->base.op->name != NULL ? &rename_step : NULL;
}

static void
ask_rename(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "PATCH", c->list, name_body(c->base.op->name));
}

static void
rename_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (graph_is_missing(a))
		graph_list_gone(c);
	else if (a->status / 100 != 2)
		graph_fail(c, a, graph_object(c));
	c->step = NULL;
}

static const GraphStep rename_step = {
	.doing = "renaming the list",
	.failed = "could not rename Outlook list",
	.ask = ask_rename,
	.answer = rename_answer,
};

/*
 * graph_list_delete_begin
 *		Deletes it, whatever is in it.
 */
void
graph_list_delete_begin(GraphConversation *c)
{
	c->step = &delete_step;
}

static void
ask_delete(GraphConversation *c, TsRequest *req)
{
	graph_request(c, req, "DELETE", c->list, NULL);
}

static void
delete_answer(GraphConversation *c, const GraphAnswer *a)
{
	if (a->status / 100 != 2 && !graph_is_missing(a))
		graph_fail(c, a, graph_object(c));
	c->step = NULL;
}

static const GraphStep delete_step = {
	.doing = "deleting the list",
	.failed = "could not delete Outlook list",
	.ask = ask_delete,
	.answer = delete_answer,
};
