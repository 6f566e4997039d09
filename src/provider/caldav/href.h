/*-------------------------------------------------------------------------
 *
 * href.h
 *	  What CalDAV servers call things, brought to one form.
 *
 * An id is the canonical absolute path of an object or a collection ("/a/b/"),
 * or, for something on another host than the configured one (iCloud's homes),
 * its whole URL.  Two hrefs name the same thing if and only if their ids are
 * equal bytes, however the server escaped them this time.  A collection's id
 * ends in a slash.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_CALDAV_HREF_H
#define TASKSYNC_CALDAV_HREF_H

extern bool dav_url_split(const char *url, char **origin, char **path);
extern char *dav_id_resolve(const char *origin, const char *base, const char *href);
extern char *dav_id_member(const char *base, const char *href);
extern char *dav_id_collection(const char *id);
extern char *dav_id_given(const char *origin, const char *given);
extern char *dav_id_child(const char *collection, const char *name, const char *suffix);
extern const char *dav_id_path(const char *id);
extern char *dav_id_url(const char *origin, const char *id);
extern char *dav_id_name(const char *id);
extern bool dav_id_is_collection(const char *id);
extern bool dav_id_same(const char *a, const char *b);
extern bool dav_id_is_plain(const char *id);

#endif							/* TASKSYNC_CALDAV_HREF_H */
