/*-------------------------------------------------------------------------
 *
 * oauth.h
 *	  OAuth 2.0, without I/O: which request, and what an answer means.
 *
 * Two ways to a first token: the device authorization grant (RFC 8628), where
 * a person types a code into any browser, and the authorization code grant
 * with PKCE (RFC 6749 4.1, RFC 7636), where the person brings back a code.
 * After that tokens are refreshed (RFC 6749 6).
 *
 * Secrets stand in the requests' bodies only.  What a service says in words is
 * given without what was sent to it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_OAUTH_H
#define TASKSYNC_OAUTH_H

#include "net/http.h"

/* How a kind of service does OAuth; a constant of its provider. */
typedef struct TsOAuthKind
{
	const char *login_url;		/* the root, unless settings have a login_url */
	const char *tenant;			/* unless the credentials name one; NULL: there are none */
	const char *device_path;	/* below login_url/tenant */
	const char *authorize_path;
	const char *token_path;
	const char *scope;			/* what we ask for */
	const char *redirect_uri;	/* where the code comes back, unless settings have one */
} TsOAuthKind;

/* One account with it. */
typedef struct TsOAuthClient
{
	char	   *device_url;
	char	   *authorize_url;
	char	   *token_url;
	const char *scope;
	char	   *redirect_uri;
	char	   *client_id;
	char	   *client_secret;	/* NULL: a public client */
} TsOAuthClient;

/*
 * The client for credentials and settings, both JSON texts.  False with err set
 * (22023) without a client_id, or with a login_url or tenant that is none.
 */
extern bool ts_oauth_client(const TsOAuthKind *kind, const char *credentials, const char *settings,
							TsOAuthClient *client, TsError *err);

extern void ts_oauth_device_request(const TsOAuthClient *client, TsRequest *req);
extern void ts_oauth_poll_request(const TsOAuthClient *client, const char *device_code,
								  TsRequest *req);
extern void ts_oauth_code_request(const TsOAuthClient *client, const char *code,
								  const char *verifier, TsRequest *req);
extern void ts_oauth_refresh_request(const TsOAuthClient *client, const char *refresh_token,
									 TsRequest *req);

/* Where the person goes for a code; verifier: 43 to 128 unreserved characters. */
extern char *ts_oauth_authorize_url(const TsOAuthClient *client, const char *state,
									const char *verifier);

/* 32 random bytes in the form of verifiers and states: 43 characters and a NUL. */
#define TS_OAUTH_NONCE_LEN 44
extern void ts_oauth_nonce(const unsigned char random[32], char *nonce);

/*
 * The code that a person brought: as it is, or in the URL that the browser was
 * led to.  NULL with err set where the URL tells of an error (TS401) or belongs
 * to another login than that of "state" (22023).
 */
extern char *ts_oauth_given_code(const char *given, const char *state, TsError *err);

/* The device that a person is to allow. */
typedef struct TsOAuthDevice
{
	char	   *device_code;
	char	   *user_code;
	char	   *verification_uri;
	int			expires_in;		/* seconds */
	int			interval;		/* … between polls */
} TsOAuthDevice;

extern bool ts_oauth_read_device(const TsRequest *req, const TsResponse *resp,
								 TsOAuthDevice *device, TsError *err);

typedef enum TsOAuthOutcome
{
	TS_OAUTH_GRANTED,
	TS_OAUTH_PENDING,			/* the person has not decided yet */
	TS_OAUTH_SLOW_DOWN,			/* … and is to be asked for less often */
	TS_OAUTH_REFUSED,			/* a person must log in again; err says why (TS401) */
	TS_OAUTH_TROUBLE			/* not now; err says why */
} TsOAuthOutcome;

typedef struct TsOAuthGrant
{
	char	   *access_token;
	char	   *refresh_token;	/* NULL: the one before stays good */
	int			expires_in;		/* seconds; 0: not told */
} TsOAuthGrant;

extern TsOAuthOutcome ts_oauth_read_grant(const TsRequest *req, const TsResponse *resp,
										  TsOAuthGrant *grant, TsError *err);

#endif							/* TASKSYNC_OAUTH_H */
