/*-------------------------------------------------------------------------
 *
 * oauth.c
 *	  OAuth 2.0 requests and answers (see oauth.h).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sodium.h>

#include "common/base64.h"
#include "net/oauth.h"

#define DEVICE_GRANT "urn:ietf:params:oauth:grant-type:device_code"
#define MAX_ERROR_NAME 64
#define MAX_SECONDS (366 * 86400)
#define DEFAULT_INTERVAL 5		/* seconds between polls (RFC 8628 3.2) */

/*
 * The client
 */

static char *
member(const char *json, const char *name)
{
	TsError		ignored = {0};

	return ts_json_setting(json, name, &ignored);
}

static bool
is_address(const char *url)
{
	return strncmp(url, "https://", 8) == 0 || strncmp(url, "http://", 7) == 0;
}

static char *
endpoint(const char *root, const char *tenant, const char *path)
{
	StringInfoData url;
	size_t		len = strlen(root);

	while (len > 0 && root[len - 1] == '/')
		len--;
	initStringInfo(&url);
	appendBinaryStringInfo(&url, root, len);
	if (tenant)
	{
		appendStringInfoChar(&url, '/');
		ts_url_escape(&url, tenant);
	}
	appendStringInfoString(&url, path);
	return url.data;
}

bool
ts_oauth_client(const TsOAuthKind *kind, const char *credentials, const char *settings,
				TsOAuthClient *client, TsError *err)
{
	char	   *root = member(settings, "login_url");
	char	   *tenant = kind->tenant ? member(credentials, "tenant") : NULL;

	memset(client, 0, sizeof(*client));
	client->client_id = member(credentials, "client_id");
	client->client_secret = member(credentials, "client_secret");
	client->redirect_uri = member(settings, "redirect_uri");
	client->scope = kind->scope;
	if (client->redirect_uri == NULL)
		client->redirect_uri = pstrdup(kind->redirect_uri);
	if (root == NULL)
		root = pstrdup(kind->login_url);
	if (tenant == NULL && kind->tenant)
		tenant = pstrdup(kind->tenant);
	if (client->client_id == NULL)
	{
		ts_error(err, "22023", "the account's credentials have no \"client_id\"");
		ts_error_hint(err, "Register an application with the service, and give its id with set_credentials().");
		return false;
	}
	if (!is_address(root))
	{
		ts_error(err, "22023", "invalid login_url: \"%s\"", root);
		ts_error_hint(err, "It must begin with https:// or http://.");
		return false;
	}
	client->device_url = endpoint(root, tenant, kind->device_path);
	client->authorize_url = endpoint(root, tenant, kind->authorize_path);
	client->token_url = endpoint(root, tenant, kind->token_path);
	return true;
}

/*
 * Requests
 */

static void
append_parameter(StringInfo form, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(form, "%s%s=", form->len > 0 ? "&" : "", name);
	ts_url_escape(form, value);
}

static void
begin_form(const TsOAuthClient *client, const char *grant_type, StringInfo form)
{
	initStringInfo(form);
	append_parameter(form, "grant_type", grant_type);
	append_parameter(form, "client_id", client->client_id);
}

static void
post_form(const char *url, const StringInfo form, TsRequest *req)
{
	memset(req, 0, sizeof(*req));
	req->method = "POST";
	req->url = url;
	req->body = form->data;
	req->body_len = form->len;
	ts_request_header(req, "Content-Type", "application/x-www-form-urlencoded");
	ts_request_header(req, "Accept", "application/json");
}

void
ts_oauth_device_request(const TsOAuthClient *client, TsRequest *req)
{
	StringInfoData form;

	begin_form(client, NULL, &form);
	append_parameter(&form, "scope", client->scope);
	post_form(client->device_url, &form, req);
}

void
ts_oauth_poll_request(const TsOAuthClient *client, const char *device_code, TsRequest *req)
{
	StringInfoData form;

	begin_form(client, DEVICE_GRANT, &form);
	append_parameter(&form, "client_secret", client->client_secret);
	append_parameter(&form, "device_code", device_code);
	post_form(client->token_url, &form, req);
}

void
ts_oauth_code_request(const TsOAuthClient *client, const char *code, const char *verifier,
					  TsRequest *req)
{
	StringInfoData form;

	begin_form(client, "authorization_code", &form);
	append_parameter(&form, "client_secret", client->client_secret);
	append_parameter(&form, "scope", client->scope);
	append_parameter(&form, "code", code);
	append_parameter(&form, "redirect_uri", client->redirect_uri);
	append_parameter(&form, "code_verifier", verifier);
	post_form(client->token_url, &form, req);
}

void
ts_oauth_refresh_request(const TsOAuthClient *client, const char *refresh_token, TsRequest *req)
{
	StringInfoData form;

	begin_form(client, "refresh_token", &form);
	append_parameter(&form, "client_secret", client->client_secret);
	append_parameter(&form, "scope", client->scope);
	append_parameter(&form, "refresh_token", refresh_token);
	post_form(client->token_url, &form, req);
}

/* Base64 in the alphabet of URLs, without padding (RFC 4648 5). */
static char *
base64url(const unsigned char *bytes, int n)
{
	int			room = pg_b64_enc_len(n);
	char	   *text = palloc0(room + 1);
	int			len = pg_b64_encode((const char *) bytes, n, text, room);

	for (int i = 0; i < len; i++)
		if (text[i] == '+')
			text[i] = '-';
		else if (text[i] == '/')
			text[i] = '_';
		else if (text[i] == '=')
			text[i] = '\0';
	return text;
}

void
ts_oauth_nonce(const unsigned char random[32], char *nonce)
{
	strlcpy(nonce, base64url(random, 32), TS_OAUTH_NONCE_LEN);
}

char *
ts_oauth_authorize_url(const TsOAuthClient *client, const char *state, const char *verifier)
{
	unsigned char hash[crypto_hash_sha256_BYTES];
	StringInfoData query;

	crypto_hash_sha256(hash, (const unsigned char *) verifier, strlen(verifier));
	initStringInfo(&query);
	append_parameter(&query, "response_type", "code");
	append_parameter(&query, "client_id", client->client_id);
	append_parameter(&query, "redirect_uri", client->redirect_uri);
	append_parameter(&query, "response_mode", "query");
	append_parameter(&query, "scope", client->scope);
	append_parameter(&query, "state", state);
	append_parameter(&query, "code_challenge", base64url(hash, sizeof(hash)));
	append_parameter(&query, "code_challenge_method", "S256");
	return psprintf("%s?%s", client->authorize_url, query.data);
}

/*
 * What a person brings back
 */

/* A parameter of a form or of a URL's query, unescaped; NULL: it is not there. */
static char *
parameter(const char *form, const char *name)
{
	size_t		n = strlen(name);
	StringInfoData value;

	while (form && (strncmp(form, name, n) != 0 || form[n] != '='))
	{
		form = strchr(form, '&');
		if (form)
			form++;
	}
	if (form == NULL)
		return NULL;
	initStringInfo(&value);
	for (const char *p = form + n + 1; *p && *p != '&' && *p != '#'; p++)
		if (*p == '%' && ts_hex_digit(p[1]) >= 0 && ts_hex_digit(p[2]) >= 0)
		{
			appendStringInfoChar(&value, ts_hex_digit(p[1]) * 16 + ts_hex_digit(p[2]));
			p += 2;
		}
		else
			appendStringInfoChar(&value, *p == '+' ? ' ' : *p);
	return value.data;
}

/*
 * Errors have names like "invalid_grant" (RFC 6749 5.2, RFC 8628 3.5).  What has
 * another form is no name, and may be anything.
 */
static char *
error_name(const char *error)
{
	bool		is_name = error[0] && strlen(error) == strspn(error, "abcdefghijklmnopqrstuvwxyz_") &&
		strlen(error) <= MAX_ERROR_NAME;

	return pstrdup(is_name ? error : "an error without a name");
}

/* Without the blanks and line ends that come of copying. */
static char *
trimmed(const char *text)
{
	static const char blanks[] = " \t\r\n";
	size_t		len;

	text += strspn(text, blanks);
	len = strlen(text);
	while (len > 0 && strchr(blanks, text[len - 1]) != NULL)
		len--;
	return pnstrdup(text, len);
}

char *
ts_oauth_given_code(const char *given, const char *state, TsError *err)
{
	char	   *whole = trimmed(given);
	const char *query = strchr(whole, '?');
	char	   *error;
	char	   *code;
	char	   *given_state;

	if (query == NULL)
		return whole;
	query++;
	error = parameter(query, "error");
	code = parameter(query, "code");
	given_state = parameter(query, "state");
	if (error)
	{
		ts_error(err, "TS401", "the service did not grant access: %s", error_name(error));
		ts_error_hint(err, "Begin again with begin_oauth().");
	}
	else if (code == NULL)
	{
		ts_error(err, "22023", "there is no code in that address");
		ts_error_hint(err, "Give the whole address that the browser ended at, or the code alone.");
	}
	else if (given_state == NULL || strcmp(given_state, state) != 0)
	{
		ts_error(err, "22023", "the code belongs to another login");
		ts_error_hint(err, "Use the address that the last begin_oauth() gave.");
	}
	return ts_failed(err) ? NULL : code;
}

/*
 * Answers
 */

typedef struct Answer
{
	TsOAuthDevice device;
	TsOAuthGrant grant;
	char	   *error;
	char	   *description;
} Answer;

/* A number of seconds, which some services write as a text; 0: not told, or no such number. */
static int
seconds(const char *value)
{
	double		number = strtod(value, NULL);

	return number >= 1 ? (int) Min(number, MAX_SECONDS) : 0;
}

/* What is empty is as good as not there: an empty token must not take the place of one. */
static void
take_member(void *arg, const char *name, const char *value, bool is_string)
{
	Answer	   *a = arg;

	if (strcmp(name, "expires_in") == 0)
		a->grant.expires_in = a->device.expires_in = seconds(value);
	else if (strcmp(name, "interval") == 0)
		a->device.interval = seconds(value);
	else if (!is_string || value[0] == '\0')
		return;
	else if (strcmp(name, "access_token") == 0)
		a->grant.access_token = pstrdup(value);
	else if (strcmp(name, "refresh_token") == 0)
		a->grant.refresh_token = pstrdup(value);
	else if (strcmp(name, "device_code") == 0)
		a->device.device_code = pstrdup(value);
	else if (strcmp(name, "user_code") == 0)
		a->device.user_code = pstrdup(value);
	else if (strcmp(name, "verification_uri") == 0 || strcmp(name, "verification_url") == 0)
		a->device.verification_uri = pstrdup(value);
	else if (strcmp(name, "error") == 0)
		a->error = pstrdup(value);
	else if (strcmp(name, "error_description") == 0)
		a->description = pstrdup(value);
}

/* Nothing that was sent in confidence is shown in what the service said. */
static void
mask_secrets(const TsRequest *req, char *said)
{
	static const char *const secrets[] = {
		"client_secret", "device_code", "code", "code_verifier", "refresh_token"
	};

	for (int i = 0; said && i < lengthof(secrets); i++)
	{
		char	   *secret = parameter(req->body, secrets[i]);

		ts_mask(said, strlen(said), secret);
		if (secret)
			explicit_bzero(secret, strlen(secret));
	}
}

static bool
read_answer(const TsRequest *req, const TsResponse *resp, Answer *a)
{
	memset(a, 0, sizeof(*a));
	if (resp->status == 0 || !ts_json_members(resp->body, resp->body_len, take_member, a))
		return false;
	mask_secrets(req, a->error);
	mask_secrets(req, a->description);
	if (a->error)
		a->error = error_name(a->error);
	return true;
}

/* What the service said, its first line. */
static void
describe(const Answer *a, TsError *err)
{
	if (a->description)
		ts_error_detail(err, "%s", pnstrdup(a->description, strcspn(a->description, "\r\n")));
}

/* Not an answer of OAuth's, or one that says "not now". */
static void
trouble(const TsResponse *resp, const Answer *a, TsError *err)
{
	if (resp->status == 0)
		*err = resp->error;
	else
	{
		ts_error(err, resp->status / 100 == 2 ? "TS502" : "TS503",
				 "the login service's answer is of no use: HTTP status %d%s%s", resp->status,
				 a->error ? ", " : "", a->error ? a->error : "");
		describe(a, err);
		if (resp->status == 404)
			ts_error_hint(err, "Check \"tenant\" of the credentials and \"login_url\" of the settings.");
	}
}

bool
ts_oauth_read_device(const TsRequest *req, const TsResponse *resp, TsOAuthDevice *device,
					 TsError *err)
{
	Answer		a;
	bool		is_json = read_answer(req, resp, &a);

	*device = a.device;
	if (device->interval <= 0)
		device->interval = DEFAULT_INTERVAL;
	if (is_json && resp->status == 200 && device->device_code && device->user_code &&
		device->verification_uri && device->expires_in > 0)
		return true;
	if (is_json && a.error && resp->status / 100 == 4 && resp->status != 429)
	{
		ts_error(err, "TS401", "the login service refused to begin: %s", a.error);
		describe(&a, err);
		ts_error_hint(err, "Check client_id and tenant, and that the application may be used by public clients.");
	}
	else
		trouble(resp, &a, err);
	return false;
}

/* Errors that will be others by themselves (RFC 6749 5.2 and 4.1.2.1). */
static bool
is_temporary(const TsResponse *resp, const char *error)
{
	return resp->status / 100 == 5 || resp->status == 429 || resp->status == 408 ||
		strcmp(error, "temporarily_unavailable") == 0 || strcmp(error, "server_error") == 0;
}

TsOAuthOutcome
ts_oauth_read_grant(const TsRequest *req, const TsResponse *resp, TsOAuthGrant *grant, TsError *err)
{
	Answer		a;
	bool		is_json = read_answer(req, resp, &a);

	*grant = a.grant;
	if (is_json && a.error == NULL && resp->status == 200 && grant->access_token)
		return TS_OAUTH_GRANTED;
	if (!is_json || a.error == NULL || is_temporary(resp, a.error))
	{
		trouble(resp, &a, err);
		return TS_OAUTH_TROUBLE;
	}
	if (strcmp(a.error, "authorization_pending") == 0)
		return TS_OAUTH_PENDING;
	if (strcmp(a.error, "slow_down") == 0)
		return TS_OAUTH_SLOW_DOWN;
	ts_error(err, "TS401", "the login service refused: %s", a.error);
	describe(&a, err);
	ts_error_hint(err, "Log in again with begin_oauth(), or use set_credentials().");
	return TS_OAUTH_REFUSED;
}
