/*-------------------------------------------------------------------------
 *
 * oauth_test.c
 *	  OAuth's requests and answers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "net/oauth.h"
#include "tap.h"

static const TsOAuthKind kind = {
	.login_url = "https://login.example.com",
	.tenant = "common",
	.device_path = "/device",
	.authorize_path = "/authorize",
	.token_path = "/token",
	.scope = "Tasks.ReadWrite offline_access",
	.redirect_uri = "https://login.example.com/native",
};

static TsOAuthClient client;

static void
make_client(const char *credentials, const char *settings)
{
	TsError		err = {0};

	tap_ok(ts_oauth_client(&kind, credentials, settings, &client, &err), "a client of %s", credentials);
}

static void
test_client(void)
{
	TsError		err = {0};

	make_client("{\"client_id\": \"app\"}", NULL);
	tap_is(client.token_url, "https://login.example.com/common/token", "the kind's root and tenant");
	make_client("{\"client_id\": \"app\", \"tenant\": \"a b/c\"}", "{\"login_url\": \"http://127.0.0.1:1/x//\", \"redirect_uri\": \"http://localhost/\"}");
	tap_is(client.device_url, "http://127.0.0.1:1/x/a%20b%2Fc/device", "... or the settings' and the credentials'");
	tap_is(client.redirect_uri, "http://localhost/", "... with their redirect_uri");
	tap_ok(!ts_oauth_client(&kind, "{\"client_secret\": \"x\"}", NULL, &client, &err), "without a client_id");
	tap_is(err.sqlstate, "22023", "... it is refused");
	memset(&err, 0, sizeof(err));
	tap_ok(!ts_oauth_client(&kind, "{\"client_id\": \"x\"}", "{\"login_url\": \"ftp://x\"}", &client, &err), "... or with another scheme");
}

static void
test_requests(void)
{
	TsRequest	req;
	char		nonce[TS_OAUTH_NONCE_LEN];

	make_client("{\"client_id\": \"app & co\", \"client_secret\": \"s+t\"}", NULL);
	ts_oauth_device_request(&client, &req);
	tap_is(req.body, "client_id=app%20%26%20co&scope=Tasks.ReadWrite%20offline_access", "a device's request");
	ts_oauth_poll_request(&client, "dev", &req);
	tap_is(req.body, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=app%20%26%20co"
		   "&client_secret=s%2Bt&device_code=dev", "its poll");
	ts_oauth_refresh_request(&client, "r/1", &req);
	tap_is(req.body, "grant_type=refresh_token&client_id=app%20%26%20co&client_secret=s%2Bt"
		   "&scope=Tasks.ReadWrite%20offline_access&refresh_token=r%2F1", "a refresh");
	tap_is(req.url, "https://login.example.com/common/token", "... goes to the token endpoint");
	ts_oauth_code_request(&client, "c", "v", &req);
	tap_ok(strstr(req.body, "&code=c&redirect_uri=https%3A%2F%2Flogin.example.com%2Fnative&code_verifier=v") != NULL, "a code with its verifier");

	/* RFC 7636, appendix B */
	tap_ok(strstr(ts_oauth_authorize_url(&client, "st", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
				  "&state=st&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256") != NULL,
		   "the challenge of the RFC's verifier");
	ts_oauth_nonce((const unsigned char *) "\x74\x18\xdf\xb4\x97\x99\xe0\x25\x4f\xfa\x60\x7d\xd8\xad\xbb\xba\x16\xd4\x25\x4d\x69\xd6\xbf\xf0\x5b\x58\x05\x58\x53\x84\x8d\x79", nonce);
	tap_is(nonce, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "... and that of its bytes");
}

static void
test_given_code(void)
{
	TsError		err = {0};

	tap_is(ts_oauth_given_code("0.AX-y", "st", &err), "0.AX-y", "the code alone");
	tap_is(ts_oauth_given_code("https://x/native?code=0.A%2FB&state=st#", "st", &err), "0.A/B", "the whole address");
	tap_is(ts_oauth_given_code(" \r\n https://x/native?code=0.A&state=st\r\n ", "st", &err), "0.A", "... with what comes of copying");
	tap_is(ts_oauth_given_code("\t0.AX-y \n", "st", &err), "0.AX-y", "... the code, too");
	tap_is(ts_oauth_given_code("https://x/native?code=1&state=other", "st", &err), NULL, "another login's");
	tap_is(err.sqlstate, "22023", "... is refused");
	tap_is(ts_oauth_given_code("https://x/native?code=1", "st", &err), NULL, "one that does not say whose it is");
	memset(&err, 0, sizeof(err));
	tap_is(ts_oauth_given_code("https://x/native?error=access_denied&state=st", "st", &err), NULL, "the person said no");
	tap_is(err.sqlstate, "TS401", "... which is told");
}

static TsResponse
answer(int status, const char *body)
{
	TsResponse	resp = {.status = status,.body = body,.body_len = strlen(body),.retry_after = -1};

	return resp;
}

static void
test_device(void)
{
	TsOAuthDevice device;
	TsRequest	req;
	TsError		err = {0};
	TsResponse	resp = answer(200, "{\"device_code\": \"d\", \"user_code\": \"ABC\", \"verification_uri\": \"https://x/dev\", \"expires_in\": 900, \"message\": \"…\"}");

	ts_oauth_device_request(&client, &req);
	tap_ok(ts_oauth_read_device(&req, &resp, &device, &err), "a device");
	tap_is_int(device.interval, 5, "the RFC's interval");
	resp = answer(400, "{\"error\": \"unauthorized_client\", \"error_description\": \"AADSTS700016: no such app\\r\\nTrace\"}");
	tap_ok(!ts_oauth_read_device(&req, &resp, &device, &err), "refused");
	tap_is(err.sqlstate, "TS401", "... a person must look");
	tap_is(err.detail, "AADSTS700016: no such app", "... at the first line of what it said");
	resp = answer(200, "<html>");
	tap_ok(!ts_oauth_read_device(&req, &resp, &device, &err) && strcmp(err.sqlstate, "TS502") == 0, "no JSON");
}

static void
test_grants(void)
{
	static const struct
	{
		int			status;
		const char *body;
		TsOAuthOutcome outcome;
		const char *what;
	}			cases[] = {
		{200, "{\"access_token\": \"a\", \"refresh_token\": \"r\", \"expires_in\": 3599}", TS_OAUTH_GRANTED, "granted"},
		{200, "{\"access_token\": \"a\", \"expires_in\": \"3599\"}", TS_OAUTH_GRANTED, "... with a number as text"},
		{400, "{\"error\": \"authorization_pending\"}", TS_OAUTH_PENDING, "pending"},
		{200, "{\"error\": \"authorization_pending\"}", TS_OAUTH_PENDING, "... with 200"},
		{400, "{\"error\": \"slow_down\"}", TS_OAUTH_SLOW_DOWN, "slow down"},
		{400, "{\"error\": \"invalid_grant\"}", TS_OAUTH_REFUSED, "refused"},
		{400, "{\"error\": \"interaction_required\"}", TS_OAUTH_REFUSED, "... a person is asked for"},
		{400, "{\"error\": \"expired_token\"}", TS_OAUTH_REFUSED, "... too late"},
		{401, "{\"error\": \"invalid_client\"}", TS_OAUTH_REFUSED, "... the application"},
		{400, "{\"error\": \"temporarily_unavailable\"}", TS_OAUTH_TROUBLE, "not now"},
		{503, "{\"error\": \"invalid_grant\"}", TS_OAUTH_TROUBLE, "... whatever an ill server says"},
		{429, "{\"error\": \"invalid_grant\"}", TS_OAUTH_TROUBLE, "... or a busy one"},
		{400, "<html>invalid_grant</html>", TS_OAUTH_TROUBLE, "a page in between is no refusal"},
		{400, "", TS_OAUTH_TROUBLE, "nor is nothing"},
		{403, "{\"error\": {\"code\": \"x\"}}", TS_OAUTH_TROUBLE, "nor an error of another form"},
		{200, "{\"token_type\": \"Bearer\"}", TS_OAUTH_TROUBLE, "nor an answer without a token"},
		{200, "{\"access_token\": \"\"}", TS_OAUTH_TROUBLE, "... or with one that is empty"},
		{200, "[[[[", TS_OAUTH_TROUBLE, "nor half an answer"},
	};
	TsRequest	req;
	TsOAuthGrant grant;
	TsError		err = {0};
	TsResponse	resp = {.status = 0,.body = "",.retry_after = -1};

	ts_oauth_refresh_request(&client, "refresh-me", &req);
	for (int i = 0; i < lengthof(cases); i++)
	{
		resp = answer(cases[i].status, cases[i].body);
		memset(&err, 0, sizeof(err));
		tap_is_int(ts_oauth_read_grant(&req, &resp, &grant, &err), cases[i].outcome, "%s", cases[i].what);
		if (cases[i].outcome == TS_OAUTH_GRANTED)
			tap_is_int(grant.expires_in, 3599, "... for so long");
	}
	resp = answer(200, "{\"access_token\": \"a\", \"refresh_token\": \"\", \"expires_in\": 4294967297}");
	tap_ok(ts_oauth_read_grant(&req, &resp, &grant, &err) == TS_OAUTH_GRANTED && grant.refresh_token == NULL, "an empty refresh token is none");
	tap_is_int(grant.expires_in, 366 * 86400, "what lives for ages is had anew after a year");
	resp = answer(200, "{\"access_token\": \"a\", \"expires_in\": -1e300}");
	ts_oauth_read_grant(&req, &resp, &grant, &err);
	tap_is_int(grant.expires_in, 0, "... and what is no time is not told");
	resp = answer(400, "{\"error\": \"invalid_grant\", \"error_description\": \"bad token refresh-me, sorry\"}");
	ts_oauth_read_grant(&req, &resp, &grant, &err);
	tap_is(err.detail, "bad token **********, sorry", "what was sent is not quoted");
	resp = answer(400, "{\"error\": \"refresh-me\"}");
	ts_oauth_read_grant(&req, &resp, &grant, &err);
	tap_is(err.message, "the login service refused: an error without a name", "nor in the error's name");
}

static void
test_mask(void)
{
	static const struct
	{
		const char *secret;
		const char *text;
		const char *masked;
		const char *what;
	}			cases[] = {
		{"s3same", "s3same, s3same", "******, ******", "a secret, twice"},
		{"s3same", "s3sam", "s3sam", "... is not what is shorter"},
		{"abc", "abc", "abc", "one of three letters is a word"},
		{"a+b/c=", "a%2Bb%2fc%3D.", "************.", "escaped as in a URL"},
		{"a+b/c=", "a+b\\/c\\u003d.", "************.", "... in JSON"},
		{"a<b&c\"", "a&lt;b&amp;c&#34;.", "*****************.", "... in HTML"},
		{"a b c d", "a+b%20c d.", "*********.", "... as in a form"},
		{"p\303\244ss", "p\\u00e4ss.", "*********.", "a letter of two bytes"},
		{"p%20q", "p%20q p%2520q.", "***** *******.", "a secret that looks escaped"},
		{"0123456789abcdefghij", "0123456789abcdef|0123456789abcde", "****************|0123456789abcde", "one that was cut off"},
		{"abcd", "%", "%", "half an escape"},
		{"abcd", "abc\\u00", "abc\\u00", "... and another"},
		{"abcd", "abc&#x6", "abc&#x6", "... and another one"},
		{"abcd", "abc&#100;abc&#x64;abc&#99999999;", "******************abc&#99999999;", "numbers of HTML"},
	};

	for (int i = 0; i < lengthof(cases); i++)
	{
		char	   *text = pstrdup(cases[i].text);

		ts_mask(text, strlen(text), cases[i].secret);
		tap_is(text, cases[i].masked, "%s", cases[i].what);
	}
}

static void
test_words(void)
{
	static const char *const secrets[] = {"hunter2 secret", NULL};
	TsResponse	resp = {.secrets = secrets};
	char	   *said = psprintf("%0195d hunter2 secret", 0);

	tap_ok(strstr(ts_response_words(&resp, said, strlen(said)), "hunt") == NULL, "a secret at the end of what is shown");
	said = "<b>It was</b> hunter2 secret & hunter2%20secret.";
	tap_is(ts_response_words(&resp, said, strlen(said)), "It was ************** & ****************.", "... or in the middle");
}

int
main(void)
{
	tap_start();
	test_client();
	test_requests();
	test_given_code();
	test_device();
	test_grants();
	test_mask();
	test_words();
	return tap_done();
}
