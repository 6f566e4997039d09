/*-------------------------------------------------------------------------
 *
 * link.h
 *	  The service's address, and where its links lead.
 *
 * Graph's answers hold absolute links that are to be followed as they are.
 * They are taken apart, and only what is below the configured address is kept
 * of them; every request is put together from that address.  So no link can
 * lead to another host, whatever it says.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_OUTLOOK_LINK_H
#define TASKSYNC_OUTLOOK_LINK_H

typedef struct TsBaseUrl
{
	char	   *root;			/* without a '/' at its end */
	char	   *origin;			/* scheme, host and port, in one form */
	char	   *path;			/* without a '/' at its end, so maybe empty */
} TsBaseUrl;

/*
 * ts_base_url: takes a configured address apart; false unless it is http or
 *		https, without user name, query and fragment.
 * ts_link_below: what follows the base's path in an absolute link, with its
 *		query; NULL where the link leads elsewhere.
 * ts_link_origin: scheme and host of a link, for people, or NULL.
 * ts_path_segment: text as a segment of a path.
 */
extern bool ts_base_url(const char *url, TsBaseUrl *base);
extern char *ts_link_below(const TsBaseUrl *base, const char *link);
extern char *ts_link_origin(const char *link);
extern char *ts_path_segment(const char *text);

#endif							/* TASKSYNC_OUTLOOK_LINK_H */
