/*-------------------------------------------------------------------------
 *
 * lists.c
 *	  TS_OP_LIST_CREATE, TS_OP_LIST_UPDATE, TS_OP_LIST_DELETE.
 *
 * A list is made with MKCALENDAR (RFC 4791 5.3.1) or, where that is refused,
 * with extended MKCOL (RFC 5689).  Its name comes from a uuid that the engine
 * keeps across attempts: a task list that is there already under that name was
 * made by an attempt whose answer was lost, and is taken over.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

static const DavStep make_step;
static const DavStep made_step;
static const DavStep finish_step;
static const DavStep before_step;
static const DavStep update_step;
static const DavStep delete_step;

static void
append_element(StringInfo out, const char *name, const char *text)
{
	if (text == NULL)
		return;
	appendStringInfo(out, "<%s>", name);
	dav_append_xml(out, text);
	appendStringInfo(out, "</%s>", name);
}

/* ---------- creating ---------- */

/*
 * dav_list_create_at
 *		Discovery has found the home: make the list in it.
 */
void
dav_list_create_at(DavConversation *c, const char *home)
{
	c->target.id = psprintf("%s/", dav_id_child(home, c->base.op->new_list_hint, ""));
	c->step = &make_step;
}

static void
ask_make(DavConversation *c, TsRequest *req)
{
	const TsOp *op = c->base.op;
	bool		mkcol = c->target.extended_mkcol;
	const char *root = mkcol ? "D:mkcol" : "C:mkcalendar";
	StringInfoData body;

	initStringInfo(&body);
	appendStringInfo(&body, DAV_XML_HEAD "<%s" DAV_NAMESPACES "><D:set><D:prop>", root);
	if (mkcol)
		appendStringInfoString(&body, "<D:resourcetype><D:collection/><C:calendar/></D:resourcetype>");
	append_element(&body, "D:displayname", op->name);
	append_element(&body, "A:calendar-color", op->color);
	appendStringInfo(&body, "<C:supported-calendar-component-set><C:comp name=\"VTODO\"/>"
					 "</C:supported-calendar-component-set></D:prop></D:set></%s>", root);
	dav_xml_request(c, req, mkcol ? "MKCOL" : "MKCALENDAR", c->target.id, NULL, body.data);
}

/*
 * A refusal may mean that the request is unknown, that the list is there
 * already, or a real one; servers use the same statuses for all of them.  So
 * the other request is tried, and then the place itself is looked at.
 */
static void
make_answer(DavConversation *c, const DavAnswer *a)
{
	DavTarget  *t = &c->target;

	if (a->status / 100 == 2)
		c->step = &made_step;
	else if (a->status >= 500 && a->status != 501 && a->status != 507)
		dav_fail(c, a, t->id);
	else
	{
		dav_describe(a, &t->refusal, c->step->failed, t->id);
		if (t->extended_mkcol)
			c->step = &made_step;
		t->extended_mkcol = true;
	}
}

static const DavStep make_step = {
	.doing = "creating the list",
	.failed = "could not create CalDAV list",
	.ask = ask_make,
	.answer = make_answer,
};

static void
ask_target(DavConversation *c, TsRequest *req)
{
	dav_propfind(c, req, c->target.id, "0", DAV_LIST_PROPS);
}

/* What of the wanted name and colour the server did not take over in creating. */
static void
note_missing(DavConversation *c, const TsList *list)
{
	const TsOp *op = c->base.op;

	if (op->name != NULL && strcmp(list->name, op->name) != 0)
		c->target.name = pstrdup(op->name);
	if (op->color != NULL && (list->color == NULL || strcmp(list->color, op->color) != 0))
		c->target.color = pstrdup(op->color);
}

static void
made_entry(DavConversation *c, const DavEntry *entry)
{
	if (!dav_entry_is_task_list(entry) || c->base.nlists > 0)
		return;
	dav_add_list(c, c->target.id, entry);
	note_missing(c, &c->base.lists[0]);
	c->target.found = true;
}

static void
made_answer(DavConversation *c, const DavAnswer *a)
{
	DavTarget  *t = &c->target;

	if (!t->found && ts_failed(&t->refusal))
	{
		c->base.error = t->refusal;
		c->step = NULL;
	}
	else if (!a->understood)
		dav_fail(c, a, t->id);
	else if (!t->found)
	{
		ts_error(&c->base.error, "TS502",
				 "the CalDAV server made \"%s\", but not as a list that takes tasks", t->id);
		c->step = NULL;
	}
	else
		c->step = t->name != NULL || t->color != NULL ? &finish_step : NULL;
}

static const DavStep made_step = {
	.doing = "creating the list",
	.failed = "could not look at the new CalDAV list",
	.ask = ask_target,
	.entry = made_entry,
	.answer = made_answer,
};

/* ---------- properties ---------- */

/* RFC 4918 9.2 */
static void
ask_proppatch(DavConversation *c, TsRequest *req)
{
	StringInfoData body;

	c->target.name_status = c->target.color_status = 0;
	initStringInfo(&body);
	appendStringInfoString(&body, DAV_XML_HEAD "<D:propertyupdate" DAV_NAMESPACES "><D:set><D:prop>");
	append_element(&body, "D:displayname", c->target.name);
	append_element(&body, "A:calendar-color", c->target.color);
	appendStringInfoString(&body, "</D:prop></D:set></D:propertyupdate>");
	dav_xml_request(c, req, "PROPPATCH", c->target.id, NULL, body.data);
}

static void
proppatch_entry(DavConversation *c, const DavEntry *entry)
{
	int			whole = entry->status >= 400 ? entry->status : 0;

	c->target.name_status = Max(whole, entry->prop_status[DAV_DISPLAYNAME]);
	c->target.color_status = Max(whole, entry->prop_status[DAV_COLOR]);
}

/* A new list without its colour is a list all the same. */
static void
finish_answer(DavConversation *c, const DavAnswer *a)
{
	TsList	   *list = &c->base.lists[0];

	if (a->understood && c->target.name != NULL && c->target.name_status < 400)
		list->name = c->target.name;
	if (a->understood && c->target.color != NULL && c->target.color_status < 400)
		list->color = c->target.color;
	c->step = NULL;
}

static const DavStep finish_step = {
	.doing = "creating the list",
	.failed = "could not set the properties of CalDAV list",
	.ask = ask_proppatch,
	.entry = proppatch_entry,
	.answer = finish_answer,
};

/* ---------- updating ---------- */

/*
 * dav_list_update_begin
 *		Looks first: what is so already is not written, and a colour is written
 *		in the form that the server's other clients use.
 */
void
dav_list_update_begin(DavConversation *c)
{
	c->target.id = c->list;
	c->target.name = c->base.op->name != NULL ? pstrdup(c->base.op->name) : NULL;
	c->target.color = c->base.op->color != NULL ? pstrdup(c->base.op->color) : NULL;
	c->step = &before_step;
}

static void
before_entry(DavConversation *c, const DavEntry *entry)
{
	DavTarget  *t = &c->target;
	const char *name = entry->value[DAV_DISPLAYNAME];
	const char *raw = entry->value[DAV_COLOR];
	char	   *color = dav_color(raw);

	t->found = entry->status < 400;
	if (t->name != NULL && name != NULL && strcmp(name, t->name) == 0)
		t->name = NULL;
	if (t->color != NULL && color != NULL && strcmp(color, t->color) == 0)
		t->color = NULL;
	if (t->color != NULL && raw != NULL && raw[0] == '#' && strlen(raw) == 9)
		t->color = psprintf("%s%s", t->color, raw + 7);
}

static void
before_answer(DavConversation *c, const DavAnswer *a)
{
	if (dav_is_missing(a->status) || (a->understood && dav_is_missing(a->failure) && !c->target.found))
		dav_list_gone(c);
	else if (!a->understood)
		dav_fail(c, a, c->list);
	else
		c->step = c->target.name != NULL || c->target.color != NULL ? &update_step : NULL;
}

static const DavStep before_step = {
	.doing = "updating the list",
	.failed = "could not look at CalDAV list",
	.ask = ask_target,
	.entry = before_entry,
	.answer = before_answer,
};

/*
 * A PROPPATCH is all or nothing.  Where the colour was what the server would
 * not take, the name is written without it: the colour is an ornament.
 */
static void
update_answer(DavConversation *c, const DavAnswer *a)
{
	DavTarget  *t = &c->target;

	if (dav_is_missing(a->status))
		dav_list_gone(c);
	else if (!a->understood && a->status / 100 != 2)
		dav_fail(c, a, c->list);
	else if (t->name != NULL && t->color != NULL && t->color_status >= 400)
		t->color = NULL;
	else if (t->name_status >= 400 || t->color_status >= 400)
	{
		ts_error(&c->base.error, "TS502", "could not change the %s of CalDAV list \"%s\": HTTP status %d",
				 t->name_status >= 400 ? "name" : "color", c->list,
				 Max(t->name_status, t->color_status));
		if (a->condition != NULL || a->message != NULL)
			ts_error_detail(&c->base.error, "The server said: %s",
							a->condition != NULL ? a->condition : a->message);
		c->step = NULL;
	}
	else
		c->step = NULL;
}

static const DavStep update_step = {
	.doing = "updating the list",
	.failed = "could not change the properties of CalDAV list",
	.ask = ask_proppatch,
	.entry = proppatch_entry,
	.answer = update_answer,
};

/* ---------- deleting ---------- */

/*
 * dav_list_delete_begin
 *		One request; that it is not there any more is success (Cyrus answers
 *		404 to the DELETE that did it).
 */
void
dav_list_delete_begin(DavConversation *c)
{
	c->step = &delete_step;
}

static void
ask_delete(DavConversation *c, TsRequest *req)
{
	dav_request(c, req, "DELETE", c->list);
}

static void
delete_answer(DavConversation *c, const DavAnswer *a)
{
	if (a->status / 100 != 2 && !dav_is_missing(a->status))
		dav_fail(c, a, c->list);
	c->step = NULL;
}

static const DavStep delete_step = {
	.doing = "deleting the list",
	.failed = "could not delete CalDAV list",
	.ask = ask_delete,
	.answer = delete_answer,
};
