/*-------------------------------------------------------------------------
 *
 * transfer.h
 *	  One request on its way; shared by the files of this room only.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_TRANSFER_H
#define TASKSYNC_TRANSFER_H

#include <curl/curl.h>

#include "lib/ilist.h"
#include "net/net.h"

#define TS_PIECE_SIZE	(256 * 1024)	/* a streamed body is handed on in pieces of about this size */
#define TS_MAX_HEADER_BYTES (64 * 1024)
#define TS_MAX_REDIRECTS 5

/*
 * Everything that libcurl's callbacks touch is malloc'd: they must not throw.
 */
struct TsTransfer
{
	dlist_node	node;
	TsNet	   *net;
	TsReceiver	receiver;
	CURL	   *easy;
	struct curl_slist *headers;
	bool		attached;
	bool		finished;
	CURLcode	result;

	/* the request, for redirects */
	char	   *method;
	char	   *url;
	char	   *body_out;
	size_t		body_out_len;
	bool		stream;
	bool		once;
	int			redirects;
	char	   *origin;			/* credentials go to this host only */
	char	   *userinfo_name;
	char	   *userinfo_password;
	char	   *bearer;

	/* the answer so far */
	bool		streaming;		/* a 2xx body that is handed on in pieces */
	bool		paused;
	char	   *body;
	size_t		len;
	size_t		size;
	size_t		total;			/* of the body, decoded */
	char	   *header_text;	/* raw lines of the last response */
	size_t		header_len;
	size_t		header_total;	/* with those of interim answers */
	bool		too_large;
	bool		header_too_large;
	bool		no_memory;
	const char *refused;		/* why we would not connect, or NULL */
	char		refused_address[64];
	char		errbuf[CURL_ERROR_SIZE];
};

extern TsTransfer *ts_transfer_make(const TsRequest *req, const TsAuth *auth,
									const TsReceiver *receiver);
extern void ts_transfer_prepare(TsTransfer *t);
extern bool ts_transfer_redirect(TsTransfer *t);
extern void ts_transfer_finish(TsTransfer *t);
extern void ts_transfer_free(TsTransfer *t);

#endif							/* TASKSYNC_TRANSFER_H */
