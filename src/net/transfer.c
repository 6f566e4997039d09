/*-------------------------------------------------------------------------
 *
 * transfer.c
 *	  One request on its way: the easy handle, its callbacks, its answer.
 *
 * The callbacks run inside libcurl: no palloc, no ereport, only malloc and
 * flags.  ts_transfer_finish() turns the flags into a TsResponse.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base64.h"
#include "miscadmin.h"
#include "net/host.h"
#include "net/transfer.h"
#include "tasksync.h"
#include "utils/memutils.h"

/*
 * A streamed answer may take longer than request_timeout, as long as it comes:
 * not when for the time of one there are fewer bytes a second than these, and
 * never longer than so many of them.
 */
#define LOW_SPEED_BYTES 20L
#define STREAM_TIMEOUTS 10

static long
status_of(TsTransfer *t)
{
	long		status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t
on_body(char *data, size_t size, size_t nmemb, void *arg)
{
	TsTransfer *t = arg;
	size_t		n = size * nmemb;
	long		status = status_of(t);

	t->streaming = t->stream && status >= 200 && status < 300;
	if (t->streaming && t->len >= TS_PIECE_SIZE)
	{
		t->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (t->total + n > (size_t) ts_max_response_size_kb * 1024)
	{
		t->too_large = true;
		return 0;
	}
	if (t->len + n + 1 > t->size)
	{
		size_t		size_wanted = Max(t->size * 2, t->len + n + 1);
		char	   *p = realloc(t->body, size_wanted);

		if (p == NULL)
		{
			t->no_memory = true;
			return 0;
		}
		t->body = p;
		t->size = size_wanted;
	}
	memcpy(t->body + t->len, data, n);
	t->len += n;
	t->total += n;
	t->body[t->len] = '\0';
	return n;
}

static size_t
on_header(char *data, size_t size, size_t nmemb, void *arg)
{
	TsTransfer *t = arg;
	size_t		n = size * nmemb;
	char	   *p;

	if (n >= 5 && memcmp(data, "HTTP/", 5) == 0)
		t->header_len = 0;		/* an interim answer (100) was not the one */
	t->header_total += n;
	if (t->header_total > TS_MAX_HEADER_BYTES)
	{
		t->header_too_large = true;
		return 0;
	}
	p = realloc(t->header_text, t->header_len + n + 1);
	if (p == NULL)
	{
		t->no_memory = true;
		return 0;
	}
	memcpy(p + t->header_len, data, n);
	t->header_text = p;
	t->header_len += n;
	p[t->header_len] = '\0';
	return n;
}

/* The host policy: why an address may not be talked to, or NULL. */
static const char *
refusal(const TsTransfer *t, const struct sockaddr *address)
{
	if (!ts_allow_private_networks && ts_address_is_private(address))
		return "private networks are not allowed";
	if (ts_require_tls && !ts_url_is_https(t->url) && !ts_address_is_loopback(address))
		return "TLS is required";
	return NULL;
}

/* Applied to the address that is really about to be connected to, … */
static curl_socket_t
on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	TsTransfer *t = arg;

	t->refused = refusal(t, &address->addr);
	if (t->refused)
		return CURL_SOCKET_BAD;
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/*
 * … and again before each request: a kept connection may be older than the policy.
 *
 * libcurl sends a request once more, by itself, when a kept connection ends
 * without an answer.  What has an effect there may have had it the first time.
 */
static int
on_connected(void *arg, char *ip, char *local_ip, int port, int local_port)
{
	TsTransfer *t = arg;
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};

	t->unanswered = t->sent && !t->safe;
	if (t->unanswered)
		return CURL_PREREQFUNC_ABORT;
	t->sent = true;
	if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1)
		t->refused = refusal(t, (struct sockaddr *) &v4);
	else if (inet_pton(AF_INET6, ip, &v6.sin6_addr) == 1)
		t->refused = refusal(t, (struct sockaddr *) &v6);
	else
		t->refused = "its address is not known";
	return t->refused ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static char *
copy(const char *s)
{
	char	   *p;

	if (s == NULL)
		return NULL;
	p = strdup(s);
	if (p == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	return p;
}

static void
wipe_and_free(char *s)
{
	if (s)
		explicit_bzero(s, strlen(s));
	free(s);
}

bool
ts_auth_is_due(const TsAuth *auth)
{
	return auth->refreshable &&
		(auth->bearer == NULL || (auth->refresh_at != 0 && time(NULL) >= auth->refresh_at));
}

void
ts_auth_wipe(TsAuth *auth)
{
	if (auth->username)
		explicit_bzero(auth->username, strlen(auth->username));
	if (auth->password)
		explicit_bzero(auth->password, strlen(auth->password));
	if (auth->bearer)
		explicit_bzero(auth->bearer, strlen(auth->bearer));
	memset(auth, 0, sizeof(*auth));
}

void
ts_transfer_free(TsTransfer *t)
{
	curl_easy_cleanup(t->easy);
	curl_slist_free_all(t->headers);
	free(t->method);
	free(t->url);
	free(t->body_out);
	free(t->origin);
	wipe_and_free(t->userinfo_name);
	wipe_and_free(t->userinfo_password);
	wipe_and_free(t->bearer);
	free(t->body);
	free(t->header_text);
	free(t);
}

static bool
has_control(const char *s)
{
	for (; *s; s++)
		if ((unsigned char) *s < 0x20 || *s == 0x7f)
			return true;
	return false;
}

/* Line breaks in a header or URL would let data become protocol. */
static void
check_request(const TsRequest *req, const TsAuth *auth)
{
	bool		bad = has_control(req->url) || has_control(req->method) ||
		(auth && auth->bearer && has_control(auth->bearer));

	for (int i = 0; i < req->nheaders; i++)
		bad |= has_control(req->headers[i].name) || has_control(req->headers[i].value);
	if (bad)
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("control character in a request to a task service")));
}

static void
add_header(TsTransfer *t, const char *line)
{
	struct curl_slist *list = curl_slist_append(t->headers, line);

	if (list == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	t->headers = list;
}

/*
 * A transfer with all it needs copied.  Between the calloc and the caller's
 * linking it into its net an ERROR (out of memory) loses it: once, then the
 * process has other troubles.
 */
TsTransfer *
ts_transfer_make(const TsRequest *req, const TsAuth *auth, const TsReceiver *receiver)
{
	TsTransfer *t;

	check_request(req, auth);
	t = calloc(1, sizeof(TsTransfer));
	if (t == NULL || (t->easy = curl_easy_init()) == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	t->receiver = *receiver;
	t->method = copy(req->method);
	t->url = copy(req->url);
	t->stream = req->stream;
	t->safe = req->safe;
	if (req->body)
	{
		t->body_out = malloc(req->body_len + 1);
		if (t->body_out == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		memcpy(t->body_out, req->body, req->body_len);
		t->body_out_len = req->body_len;
	}
	for (int i = 0; i < req->nheaders; i++)
		add_header(t, psprintf("%s: %s", req->headers[i].name, req->headers[i].value));
	add_header(t, "Expect:");
	if (auth)
	{
		t->origin = copy(auth->origin);
		t->userinfo_name = copy(auth->username);
		t->userinfo_password = copy(auth->password);
		t->bearer = copy(auth->bearer);
	}
	return t;
}

static void
set_credentials(TsTransfer *t)
{
	CURL	   *e = t->easy;

	if (t->origin == NULL || !ts_same_origin(t->origin, t->url))
		return;
	if (t->bearer)
	{
		curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
		curl_easy_setopt(e, CURLOPT_XOAUTH2_BEARER, t->bearer);
	}
	else if (t->userinfo_name)
	{
		curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
		curl_easy_setopt(e, CURLOPT_USERNAME, t->userinfo_name);
		curl_easy_setopt(e, CURLOPT_PASSWORD, t->userinfo_password ? t->userinfo_password : "");
	}
}

/* Set up the easy handle for t->url, from a blank state. */
void
ts_transfer_prepare(TsTransfer *t)
{
	CURL	   *e = t->easy;

	if (ts_require_tls && !ts_url_is_https(t->url) && !ts_url_is_loopback(t->url))
		t->refused = "TLS is required";
	t->sent = false;
	curl_easy_reset(e);
	curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	curl_easy_setopt(e, CURLOPT_URL, t->url);
	curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, t->method);
	if (t->body_out)
	{
		curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t) t->body_out_len);
		curl_easy_setopt(e, CURLOPT_POSTFIELDS, t->body_out);
	}
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(e, CURLOPT_USERAGENT, "tasksync/" TASKSYNC_VERSION);
	/* Within a machine compressing takes longer than what it saves. */
	curl_easy_setopt(e, CURLOPT_ACCEPT_ENCODING, ts_url_is_loopback(t->url) ? "identity" : "");
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long) CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(e, CURLOPT_PIPEWAIT, 1L);
	curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(e, CURLOPT_PROXY, "");
	curl_easy_setopt(e, CURLOPT_SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (ts_ca_file[0])
	{
		curl_easy_setopt(e, CURLOPT_CAINFO, ts_ca_file);
		curl_easy_setopt(e, CURLOPT_CAPATH, NULL);
	}
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long) ts_connect_timeout_ms);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS,
					 t->stream ? STREAM_TIMEOUTS * (long) ts_request_timeout_ms
					 : (long) ts_request_timeout_ms);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_LIMIT, LOW_SPEED_BYTES);
	curl_easy_setopt(e, CURLOPT_LOW_SPEED_TIME, (long) Max(1, ts_request_timeout_ms / 1000));
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->errbuf);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_PREREQFUNCTION, on_connected);
	curl_easy_setopt(e, CURLOPT_PREREQDATA, t);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(e, CURLOPT_OPENSOCKETDATA, t);
	set_credentials(t);
}

/*
 * The answer
 */

/*
 * A redirect to the same origin is followed with method and body as they are;
 * any other is left to the provider, which cannot follow it: our credentials
 * are not for others.
 */
bool
ts_transfer_redirect(TsTransfer *t)
{
	long		status = t->result == CURLE_OK && !t->refused ? status_of(t) : 0;
	char	   *location = NULL;
	const char *origin = t->origin ? t->origin : t->url;

	if (status != 301 && status != 302 && status != 307 && status != 308)
		return false;
	curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &location);
	if (location == NULL || !ts_same_origin(origin, location) ||
		t->redirects++ >= TS_MAX_REDIRECTS)
		return false;
	location = copy(location);
	free(t->url);
	t->url = location;
	t->finished = false;
	t->streaming = t->paused = false;
	t->len = t->total = 0;
	t->header_len = t->header_total = 0;
	ts_transfer_prepare(t);
	return !t->refused;
}

static char *
host_of(const char *url)
{
	const char *start = strstr(url, "://");
	const char *host = start ? start + 3 : url;
	const char *at = memchr(host, '@', strcspn(host, "/?#"));

	if (at)
		host = at + 1;
	return pnstrdup(host, strcspn(host, "/?#"));
}

/* Which phase ate the time, or what else kept the answer away. */
static void
no_answer(TsTransfer *t, TsResponse *resp)
{
	const char *host = host_of(t->url);
	long		sent = 0;

	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &sent);
	resp->maybe_applied = sent > 0 || t->unanswered;
	if (t->refused)
	{
		ts_error(&resp->error, "42501", "connection to \"%s\" is not allowed: %s", host, t->refused);
		ts_error_hint(&resp->error, strcmp(t->refused, "TLS is required") == 0
					  ? "Use an https URL, or turn tasksync.require_tls off."
					  : "If the host is meant, turn tasksync.allow_private_networks on.");
		resp->maybe_applied = false;
	}
	else if (t->too_large)
	{
		ts_error(&resp->error, "TS502", "the answer of \"%s\" is too large", host);
		ts_error_detail(&resp->error, "The limit is %d kB.", ts_max_response_size_kb);
		ts_error_hint(&resp->error, "Raise tasksync.max_response_size if answers of this size are right.");
	}
	else if (t->header_too_large)
	{
		ts_error(&resp->error, "TS502", "the header of the answer of \"%s\" is too large", host);
		ts_error_detail(&resp->error, "The limit is %d kB.", TS_MAX_HEADER_BYTES / 1024);
	}
	else if (t->no_memory)
		ts_error(&resp->error, "TS503", "out of memory while receiving from \"%s\"", host);
	else
	{
		ts_error(&resp->error, "TS503", "could not get an answer from \"%s\"", host);
		ts_error_detail(&resp->error, "%s.", t->errbuf[0] ? t->errbuf
						: curl_easy_strerror(t->result));
	}
}

/* What was sent to prove who we are, in the forms in which it may come back. */
static const char **
secrets_of(const TsTransfer *t)
{
	const char **secrets = palloc0(sizeof(char *) * 4);
	int			n = 0;

	if (t->bearer)
		secrets[n++] = pstrdup(t->bearer);
	if (t->userinfo_password)
		secrets[n++] = pstrdup(t->userinfo_password);
	if (t->userinfo_name && t->userinfo_password)
	{
		char	   *pair = psprintf("%s:%s", t->userinfo_name, t->userinfo_password);
		int			room = pg_b64_enc_len(strlen(pair));
		char	   *encoded = palloc0(room + 1);

		if (pg_b64_encode(pair, strlen(pair), encoded, room) > 0)
			secrets[n++] = encoded;
		explicit_bzero(pair, strlen(pair));
	}
	return secrets;
}

/*
 * Providers quote error pages, and such a page may show the request that the
 * service did not like.  What is no error page is not touched: it holds the user's
 * words, and what is quoted from it goes through ts_response_words().
 */
static void
mask_credentials(const TsResponse *resp, char *text, size_t len)
{
	for (const char *const *secret = resp->secrets; *secret != NULL; secret++)
		ts_mask(text, len, *secret);
}

static void
wipe_secrets(const TsResponse *resp)
{
	for (const char *const *secret = resp->secrets; *secret != NULL; secret++)
		explicit_bzero(unconstify(char *, *secret), strlen(*secret));
}

/* Deliver the end to the receiver, and free the transfer. */
void
ts_transfer_finish(TsTransfer *t)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "tasksync response",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	TsReceiver	receiver = t->receiver;
	TsResponse	resp = {0};

	resp.retry_after = -1;
	resp.url = pstrdup(t->url);
	resp.body = "";
	resp.secrets = secrets_of(t);
	if (!t->attached && t->result == CURLE_OK && t->header_text == NULL && !t->refused)
		t->result = CURLE_FAILED_INIT;
	if (t->result != CURLE_OK || t->refused)
		no_answer(t, &resp);
	else
	{
		resp.status = status_of(t);
		if (resp.status >= 300)
		{
			mask_credentials(&resp, t->header_text, t->header_len);
			mask_credentials(&resp, t->body, t->len);
		}
		ts_response_headers(&resp, t->header_text ? t->header_text : "");
		resp.retry_after = ts_retry_after(ts_response_header(&resp, "retry-after"), ts_response_time(&resp));
		if (t->len > 0)
		{
			resp.body = pnstrdup(t->body, t->len);
			resp.body_len = t->len;
		}
	}
	ts_transfer_free(t);
	MemoryContextSwitchTo(old);
	receiver.done(receiver.arg, &resp);
	wipe_secrets(&resp);
	MemoryContextDelete(cxt);
}
