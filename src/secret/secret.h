/*-------------------------------------------------------------------------
 *
 * secret.h
 *	  Credentials at rest, and which database this is.
 *
 * Credentials are sealed with a key that is kept outside the data directory
 * and opened only in the process that sends the request.  A sealed secret is
 * libsodium's XChaCha20-Poly1305 (IETF) of the account's credentials as JSON
 * text, bound to its row (account and user are the associated data) and
 * marked with its key's id.
 *
 * Beside the key file lies a file that names this database.  A copy of the
 * database (a dump restored elsewhere, a staging clone) finds no such file, or
 * one that names another: it touches no service until adopt_clone().
 *
 * key.c the key file; secret.c sealing and opening; rotate.c new keys for old;
 * instance.c the identity; login.c what an account's login by OAuth needs, and
 * leaves.
 * All functions are to be called in a transaction with SPI connected, as the
 * extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_SECRET_H
#define TASKSYNC_SECRET_H

#include "net/net.h"
#include "net/oauth.h"

/* Seal and store (replacing what was there).  55000 where no key can be had. */
extern void ts_secret_store(const char *account_id, const char *user_id, const char *json);

/*
 * The credentials of an account as a TsAuth for requests to "origin", in
 * CurrentMemoryContext; to be wiped by the caller.  False with err set: 55000
 * when there is no key, or not the one it was sealed with; TS401 when they are an
 * application's and nobody has logged in yet.  An account without a secret gives
 * an empty TsAuth.
 */
extern bool ts_auth_load(const char *account_id, const char *user_id, const char *origin,
						 TsAuth *auth, TsError *err);

/*
 * The same with the token that there is by now.  False with err set (55006) when
 * the credentials are others than those of that version, or have none.
 */
extern bool ts_auth_renew(const char *account_id, const char *user_id, const char *origin,
						  const char *version, TsAuth *auth, TsError *err);

/* The error (TS401) of a provider whose account waits for other credentials. */
extern void ts_auth_refused(const char *provider, const TsOAuthKind *oauth, TsError *err);

/*
 * Changing a part of them, over a pause for the network.
 *
 * ts_secret_get: the credentials as JSON text; "" members where there are none.
 *		False with err set as above.
 * ts_secret_renew: as they are now, which they stay until the transaction ends:
 *		the account is locked.  False, and the secret as it was, when a member of
 *		them (not NULL then) is another one by now, or has gone.
 * ts_secret_put: replaces them, as they were renewed.
 * ts_secret_is_ours: were they set by this very transaction?  Then nobody else
 *		sees them, and who wants to change them waits.
 * ts_secret_patched: the JSON text with the members of another one over its own;
 *		null takes a member away.
 * ts_secret_member: a member as text, or NULL.
 * ts_secret_wipe: for all of these texts.
 */
typedef struct TsSecret
{
	char	   *account_id;
	char	   *user_id;
	char	   *json;
	char	   *version;		/* when the user set it, for comparisons */
} TsSecret;

extern bool ts_secret_get(const char *account_id, const char *user_id, TsSecret *secret,
						  TsError *err);
extern bool ts_secret_renew(TsSecret *secret, const char *member);
extern void ts_secret_put(const TsSecret *secret, const char *json);
extern bool ts_secret_is_ours(const char *account_id, const char *user_id);
extern char *ts_secret_patched(const char *json, const char *patch);
extern char *ts_secret_member(const char *json, const char *name);
extern void ts_secret_wipe(char *text);

/*
 * An account's login by OAuth.
 *
 * ts_login_load: false with err set: there is no such account (P0002), its type
 *		has no such login (22023), its credentials are incomplete (22023) or
 *		cannot be read (55000), or this database is a copy (55000).
 * ts_login_granted: the tokens are kept, with a patch of the credentials beside
 *		(JSON or NULL), and the account is OK; false: the member that they were
 *		had for (a refresh_token, say) was replaced since, and they are of no use.
 * ts_login_refused: the account NEEDS_AUTH, and its providers say why; false, and
 *		nothing of that, when there is another refresh token by now.
 */
typedef struct TsLogin
{
	TsSecret	secret;
	char	   *type;
	TsOAuthClient client;
} TsLogin;

extern int	ts_login_grant(const char *json);	/* the how-manieth token there is; 0: none was had */
extern bool ts_login_load(const char *account_id, const char *user_id, TsLogin *login, TsError *err);
extern bool ts_login_granted(TsLogin *login, const char *member, const TsOAuthGrant *grant,
							 const char *patch);
extern bool ts_login_refused(TsLogin *login, const TsError *err);

/*
 * A service has refused credentials.
 *
 * ts_account_refused: the account NEEDS_AUTH, unless its credentials or its token
 *		are others by now than those that were refused (TsAuth's version and
 *		grant); whether it does.
 * ts_credentials_changed: the error (55006) of what was begun with others.
 */
extern bool ts_account_refused(const char *account_id, const char *user_id, const char *version, int grant);
extern void ts_credentials_changed(const char *account_id, TsError *err);

/*
 * Another key for all secrets of this database; how many were sealed anew.  The
 * old one stays in the file until ts_keys_prune() finds that nothing needs it.
 * 55000 where the file can't be written, or this database is a copy.
 */
extern int	ts_keys_rotate(void);

/* Takes keys out of the file that no database needs; for the worker. */
extern void ts_keys_prune(void);

/* The identity: made with the first provider; checked before any request. */
extern void ts_instance_ensure(void);
extern bool ts_instance_check(TsError *err);

/* adopt_clone(): this database is the one now */
extern void ts_instance_adopt(void);

/*
 * Within this room: whoever changes an account or its credentials has locked the
 * account first, so that what is compared stays so, and nobody waits in a circle.
 */
extern void ts_account_lock(const char *account_id, const char *user_id);

/*
 * Within this room: the key file.
 *
 * ts_key_load: the key of an id (NULL: the newest) into key[32]; its id into
 *		key_id[17].  With ensure, a first key is made.  False with err set.
 * ts_key_add: a new key, the last line of the file from now on; its id.
 * ts_key_file_lock: for who changes the file; a transient file to be closed.
 * ts_key_file_read: its whole text, to be wiped; NULL with err set.
 * ts_write_new_file, ts_replace_file: false with errno set.
 */
#define TS_KEY_BYTES 32
#define TS_KEY_ID_CHARS 16

extern char *ts_key_file_path(void);
extern char *ts_key_folder(void);
extern bool ts_key_load(const char *wanted_id, bool ensure, unsigned char *key, char *key_id,
						TsError *err);
extern bool ts_key_add(char *key_id, TsError *err);
extern int	ts_key_file_lock(const char *path);
extern char *ts_key_file_read(const char *path, TsError *err);
extern bool ts_write_new_file(const char *path, const char *text);
extern bool ts_replace_file(const char *path, const char *text);

/*
 * secret.c: the JSON text that a row of the table secret holds, NULL with err
 * set; and the row's new value.
 */
extern char *ts_secret_open(const char *account_id, const char *user_id, const char *key_id,
							const bytea *sealed, TsError *err);
extern bytea *ts_secret_seal(const char *account_id, const char *user_id, const char *json,
							 const unsigned char *key);

/*
 * instance.c: what <identity>.instance says.  "needs" is the oldest key that the
 * database's secrets may be sealed with, "" where that was never looked at: then
 * it may need any of them.
 */
typedef struct TsInstance
{
	Oid			database;
	uint64		system;			/* 0: an old file, which says no more */
	char		data[MAXPGPATH];	/* the data directory … */
	uint64		data_device;
	uint64		data_inode;
	uint64		folder_device;	/* … and the folder of this file */
	uint64		folder_inode;
	uint32		timeline;
	char		needs[TS_KEY_ID_CHARS + 1];
} TsInstance;

extern bool ts_instance_read(const char *path, TsInstance *instance);
extern bool ts_instance_needs(const char *key_id);

#endif							/* TASKSYNC_SECRET_H */
