/*-------------------------------------------------------------------------
 *
 * observe.c
 *	  Objects and lists as a multistatus shows them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "provider/caldav/caldav.h"

/*
 * Whether the content type rules a task out: "text/calendar; component=VEVENT"
 * (RFC 5545 8.1), or a type of text that is no calendar at all.
 */
static bool
is_foreign_type(const char *type)
{
	const char *component;

	if (type == NULL)
		return false;
	if (pg_strncasecmp(type, "text/calendar", 13) != 0)
		return pg_strncasecmp(type, "text/vcard", 10) == 0 ||
			pg_strncasecmp(type, "text/html", 9) == 0;
	component = strstr(type, "component=");
	return component != NULL && strstr(component, "VTODO") == NULL &&
		strstr(component, "vtodo") == NULL;
}

/*
 * dav_entry_is_list
 *		Whether an entry speaks of a collection, c->list itself or another,
 *		and so of no task.
 */
bool
dav_entry_is_list(DavConversation *c, const DavEntry *entry)
{
	char	   *id;
	bool		result;

	if (entry->href == NULL || (entry->marks & DAV_IS_COLLECTION) != 0)
		return true;
	id = dav_id_member(c->list, entry->href);
	result = dav_id_is_collection(id) || dav_id_same(id, c->list);
	pfree(id);
	return result;
}

/*
 * dav_observe
 *		The object that an entry shows, as one more observation.
 *
 * SOGo's ETags are counters and it ignores conditions on some requests; the
 * form of its ETags is the surest sign of it there is.
 */
TsObservation *
dav_observe(DavConversation *c, const DavEntry *entry)
{
	TsObservation *obs = ts_conversation_observe(&c->base);
	MemoryContext old = MemoryContextSwitchTo(c->base.batch);
	const char *data = entry->value[DAV_CALENDAR_DATA];

	obs->external_id = dav_id_member(c->list, entry->href);
	obs->etag = dav_etag(entry->value[DAV_ETAG]);
	obs->foreign = is_foreign_type(entry->value[DAV_CONTENT_TYPE]);
	if (dav_is_missing(entry->status))
		obs->gone = true;
	else if (entry->status >= 400)
		ts_error(&obs->error, entry->status >= 500 ? "TS503" : "TS502",
				 "could not read \"%s\": HTTP status %d", obs->external_id, entry->status);
	else if (entry->too_long)
		ts_error(&obs->error, "TS502", "could not read \"%s\": it is too long", obs->external_id);
	else if (data != NULL && data[0] != '\0')
	{
		obs->payload = pstrdup(data);
		obs->payload_len = strlen(data);
	}
	MemoryContextSwitchTo(old);

	if (obs->etag != NULL && strncmp(obs->etag, "\"gcs", 4) == 0)
		dav_caps_learn(c, &c->caps.lax_conditions, true);
	return obs;
}

/*
 * dav_entry_is_task_list
 *		Whether an entry is a calendar that takes tasks.
 *
 * No supported-calendar-component-set: all components are allowed (RFC 4791
 * 5.2.3); an empty one is a server's bug, not a calendar for nothing.
 */
bool
dav_entry_is_task_list(const DavEntry *entry)
{
	if (entry->href == NULL || entry->status >= 400 ||
		(entry->marks & DAV_IS_CALENDAR) == 0 || (entry->marks & DAV_IS_SPECIAL) != 0)
		return false;
	return (entry->marks & DAV_HAS_COMPONENTS) == 0 || (entry->marks & DAV_TAKES_VTODO) != 0;
}

static char *
copy_or_null(const char *s)
{
	return s != NULL && s[0] != '\0' ? pstrdup(s) : NULL;
}

/*
 * dav_add_list
 *		One more list in the conversation's result, unless it is there already.
 */
void
dav_add_list(DavConversation *c, const char *id, const DavEntry *entry)
{
	TsConversation *conv = &c->base;
	TsList	   *list;

	for (int i = 0; i < conv->nlists; i++)
	{
		if (dav_id_same(conv->lists[i].id, id))
			return;
	}
	if (conv->nlists == c->discover.maxlists)
	{
		c->discover.maxlists = Max(16, conv->nlists * 2);
		conv->lists = conv->lists == NULL ?
			palloc(c->discover.maxlists * sizeof(TsList)) :
			repalloc(conv->lists, c->discover.maxlists * sizeof(TsList));
	}

	list = &conv->lists[conv->nlists++];
	memset(list, 0, sizeof(*list));
	list->id = dav_id_collection(id);
	list->name = copy_or_null(entry->value[DAV_DISPLAYNAME]);
	if (list->name == NULL)
		list->name = dav_id_name(id);
	list->color = dav_color(entry->value[DAV_COLOR]);
	list->path = pstrdup(list->id);
	list->description = copy_or_null(entry->value[DAV_DESCRIPTION]);

	/* an empty set of privileges says nothing (Evolution, I#95) */
	list->is_writable = (entry->marks & DAV_HAS_PRIVILEGES) == 0 ||
		(entry->marks & DAV_MAY_WRITE) != 0;
	list->sync_token = copy_or_null(entry->value[DAV_CTAG]);
	if (list->sync_token == NULL)
		list->sync_token = copy_or_null(entry->value[DAV_SYNC_TOKEN]);
}
