/*-------------------------------------------------------------------------
 *
 * host.h
 *	  Which hosts may be reached, and which may see credentials.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_HOST_H
#define TASKSYNC_HOST_H

#include <sys/socket.h>

/* Loopback, private, link-local, carrier-grade NAT, multicast, unspecified …, v4 in v6 too. */
extern bool ts_address_is_private(const struct sockaddr *addr);
extern bool ts_address_is_loopback(const struct sockaddr *addr);

/*
 * May credentials for "origin" be sent to "url"?  The same scheme, host and
 * port; or the same host with http become https on the default ports.
 */
extern bool ts_same_origin(const char *origin, const char *url);

/* Is the host of this URL a name or address of the machine itself? */
extern bool ts_url_is_loopback(const char *url);
extern bool ts_url_is_https(const char *url);

#endif							/* TASKSYNC_HOST_H */
