/*-------------------------------------------------------------------------
 *
 * secret.c
 *	  Sealing and opening credentials.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sodium.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "secret/secret.h"
#include "store/sql.h"
#include "tasksync.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG crypto_aead_xchacha20poly1305_ietf_ABYTES

/* What a ciphertext is bound to: it opens in its own row only. */
static char *
associated_data(const char *account_id, const char *user_id)
{
	return psprintf("%s/%s", account_id, user_id);
}

bytea *
ts_secret_seal(const char *account_id, const char *user_id, const char *json,
			   const unsigned char *key)
{
	const char *ad = associated_data(account_id, user_id);
	size_t		len = strlen(json);
	bytea	   *sealed = palloc(VARHDRSZ + NONCE + len + TAG);
	unsigned char *nonce = (unsigned char *) VARDATA(sealed);
	unsigned long long sealed_len;

	randombytes_buf(nonce, NONCE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(nonce + NONCE, &sealed_len,
											   (const unsigned char *) json, len,
											   (const unsigned char *) ad, strlen(ad),
											   NULL, nonce, key);
	SET_VARSIZE(sealed, VARHDRSZ + NONCE + sealed_len);
	return sealed;
}

char *
ts_secret_open(const char *account_id, const char *user_id, const char *key_id,
			   const bytea *sealed, TsError *err)
{
	unsigned char key[TS_KEY_BYTES];
	char		found_id[TS_KEY_ID_CHARS + 1];
	const char *ad = associated_data(account_id, user_id);
	const unsigned char *nonce = (const unsigned char *) VARDATA(sealed);
	unsigned long long len;
	char	   *json;
	int			rc;

	if (!ts_key_load(key_id, false, key, found_id, err))
		return NULL;
	json = palloc0(VARSIZE(sealed));
	rc = VARSIZE(sealed) < VARHDRSZ + NONCE + TAG ? -1 :
		crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *) json, &len, NULL,
												   nonce + NONCE,
												   VARSIZE(sealed) - VARHDRSZ - NONCE,
												   (const unsigned char *) ad, strlen(ad),
												   nonce, key);
	sodium_memzero(key, sizeof(key));
	if (rc == 0)
		return json;
	ts_error(err, "55000", "the credentials of account \"%s\" cannot be decrypted", account_id);
	ts_error_hint(err, "Set them again with set_credentials().");
	return NULL;
}

/*
 * Sealed with the newest key.  The table is locked before the key is read: while
 * somebody changes keys (rotate.c) nothing can be sealed with one that is about
 * to go.
 */
static TsArg
seal_with_newest(const char *account_id, const char *user_id, const char *json, char *key_id)
{
	static TsStatement lock = {"LOCK TABLE tasksync.secret IN ROW EXCLUSIVE MODE"};
	unsigned char key[TS_KEY_BYTES];
	TsError		err = {0};
	TsArg		sealed = {0};

	ts_run_args(&lock, 0, NULL);
	if (!ts_key_load(NULL, true, key, key_id, &err))
		ts_ereport(&err);
	sealed.value = PointerGetDatum(ts_secret_seal(account_id, user_id, json, key));
	sodium_memzero(key, sizeof(key));
	return sealed;
}

void
ts_secret_store(const char *account_id, const char *user_id, const char *json)
{
	static TsStatement stmt = {
		"INSERT INTO tasksync.secret (account_id, user_id, key_id, sealed, updated_at)"
		" VALUES ($1, $2, $3, $4, pg_catalog.now())"
		" ON CONFLICT (account_id, user_id) DO UPDATE SET key_id = EXCLUDED.key_id,"
		" sealed = EXCLUDED.sealed, updated_at = EXCLUDED.updated_at",
		{UUIDOID, TEXTOID, TEXTOID, BYTEAOID}
	};
	char		key_id[TS_KEY_ID_CHARS + 1];
	TsArg		sealed = seal_with_newest(account_id, user_id, json, key_id);

	ts_run(&stmt, ts_uuid(account_id), ts_text(user_id), ts_text(key_id), sealed);
}

bool
ts_secret_get(const char *account_id, const char *user_id, TsSecret *secret, TsError *err)
{
	static TsStatement stmt = {
		"SELECT s.key_id, s.sealed, (pg_catalog.date_part('epoch', s.updated_at) * 1000000)::int8::text"
		" FROM tasksync.secret s WHERE s.account_id = $1 AND s.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	bool		isnull;
	char	   *key_id;
	bytea	   *sealed;

	memset(secret, 0, sizeof(*secret));
	secret->account_id = pstrdup(account_id);
	secret->user_id = pstrdup(user_id);
	if (ts_run(&stmt, ts_uuid(account_id), ts_text(user_id)) == 0)
	{
		secret->json = pstrdup("{}");
		return true;
	}
	key_id = ts_col(0, 1);
	secret->version = ts_col(0, 3);
	sealed = DatumGetByteaPCopy(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2,
											  &isnull));
	secret->json = ts_secret_open(account_id, user_id, key_id, sealed, err);
	return secret->json != NULL;
}

static bool
have_same(const char *a, const char *b, const char *member)
{
	char	   *one = ts_secret_member(a, member);
	char	   *other = ts_secret_member(b, member);
	bool		same = one && other && strcmp(one, other) == 0;

	ts_secret_wipe(one);
	ts_secret_wipe(other);
	return same;
}

bool
ts_secret_renew(TsSecret *secret, const char *member)
{
	TsSecret	now;
	TsError		err = {0};

	ts_account_lock(secret->account_id, secret->user_id);
	if (!ts_secret_get(secret->account_id, secret->user_id, &now, &err))
		ts_ereport(&err);
	if (!have_same(secret->json, now.json, member))
	{
		ts_secret_wipe(now.json);
		return false;
	}
	ts_secret_wipe(secret->json);
	*secret = now;
	return true;
}

/*
 * Not a word of it in updated_at: a token that was had anew is not another
 * account's.
 */
void
ts_secret_put(const TsSecret *secret, const char *json)
{
	static TsStatement stmt = {
		"UPDATE tasksync.secret s SET key_id = $3, sealed = $4"
		" WHERE s.account_id = $1 AND s.user_id = $2",
		{UUIDOID, TEXTOID, TEXTOID, BYTEAOID}
	};
	char		key_id[TS_KEY_ID_CHARS + 1];
	TsArg		sealed = seal_with_newest(secret->account_id, secret->user_id, json, key_id);

	ts_run(&stmt, ts_uuid(secret->account_id), ts_text(secret->user_id), ts_text(key_id), sealed);
}

bool
ts_secret_is_ours(const char *account_id, const char *user_id)
{
	static TsStatement stmt = {
		"SELECT s.xmin::text::int8 FROM tasksync.secret s WHERE s.account_id = $1 AND s.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	return ts_run(&stmt, ts_uuid(account_id), ts_text(user_id)) > 0 &&
		TransactionIdIsCurrentTransactionId((TransactionId) ts_col_long(0, 1));
}

char *
ts_secret_patched(const char *json, const char *patch)
{
	Datum		both = DirectFunctionCall2(jsonb_concat,
										   DirectFunctionCall1(jsonb_in, CStringGetDatum(json)),
										   DirectFunctionCall1(jsonb_in, CStringGetDatum(patch)));

	return DatumGetCString(DirectFunctionCall1(jsonb_out,
											   DirectFunctionCall1(jsonb_strip_nulls, both)));
}

char *
ts_secret_member(const char *json, const char *name)
{
	LOCAL_FCINFO(fcinfo, 2);
	Datum		result;

	InitFunctionCallInfoData(*fcinfo, NULL, 2, InvalidOid, NULL, NULL);
	fcinfo->args[0].value = CStringGetTextDatum(json);
	fcinfo->args[0].isnull = false;
	fcinfo->args[1].value = CStringGetTextDatum(name);
	fcinfo->args[1].isnull = false;
	result = json_object_field_text(fcinfo);
	explicit_bzero(DatumGetPointer(fcinfo->args[0].value), VARSIZE_ANY(DatumGetPointer(fcinfo->args[0].value)));
	return fcinfo->isnull ? NULL : TextDatumGetCString(result);
}

void
ts_secret_wipe(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
}

static int64
number(const char *json, const char *name)
{
	char	   *text = ts_secret_member(json, name);

	return text ? strtoll(text, NULL, 10) : 0;
}

bool
ts_auth_load(const char *account_id, const char *user_id, const char *origin, TsAuth *auth,
			 TsError *err)
{
	TsSecret	secret;
	const char *json;
	char	   *refresh_token;
	bool		is_application;

	memset(auth, 0, sizeof(*auth));
	if (!ts_secret_get(account_id, user_id, &secret, err))
		return false;
	json = secret.json;
	refresh_token = ts_secret_member(json, "refresh_token");
	auth->origin = origin ? pstrdup(origin) : NULL;
	auth->version = secret.version;
	auth->username = ts_secret_member(json, "username");
	auth->password = ts_secret_member(json, "password");
	auth->bearer = ts_secret_member(json, "token");
	if (auth->bearer == NULL)
		auth->bearer = ts_secret_member(json, "access_token");
	is_application = ts_secret_member(json, "client_id") != NULL;
	auth->refreshable = refresh_token != NULL && is_application;
	auth->refresh_at = number(json, "refresh_at");
	auth->expires_at = number(json, "expires_at");
	auth->grant = ts_login_grant(json);
	ts_secret_wipe(refresh_token);
	ts_secret_wipe(secret.json);
	if (is_application && auth->bearer == NULL && !auth->refreshable)
	{
		ts_error(err, "TS401", "nobody has logged in to account \"%s\"", account_id);
		ts_error_hint(err, "Log in with begin_oauth(), or use set_credentials().");
		return false;
	}
	return true;
}

bool
ts_auth_renew(const char *account_id, const char *user_id, const char *origin, const char *version,
			  TsAuth *auth, TsError *err)
{
	bool		loaded = ts_auth_load(account_id, user_id, origin, auth, err);

	if (loaded && auth->bearer && auth->version && version && strcmp(auth->version, version) == 0)
		return true;
	ts_auth_wipe(auth);
	ts_credentials_changed(account_id, err);
	return false;
}

void
ts_auth_refused(const char *provider, const TsOAuthKind *oauth, TsError *err)
{
	ts_error(err, "TS401", "the credentials of provider \"%s\" were refused", provider);
	ts_error_hint(err, oauth ? "Log in again with begin_oauth(), or use set_credentials()."
				  : "Set new ones with set_credentials().");
}
