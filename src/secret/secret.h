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
 * key.c the key file; secret.c sealing and opening; instance.c the identity.
 * All functions are to be called in a transaction with SPI connected, as the
 * extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_SECRET_H
#define TASKSYNC_SECRET_H

#include "net/net.h"

/* Seal and store (replacing what was there).  55000 where no key can be had. */
extern void ts_secret_store(const char *account_id, const char *user_id, const char *json);

/*
 * The credentials of an account as a TsAuth for requests to "origin", in
 * CurrentMemoryContext; to be wiped by the caller.  False with err set (55000)
 * when there is no key, or not the one it was sealed with.  An account without
 * a secret gives an empty TsAuth.
 */
extern bool ts_auth_load(const char *account_id, const char *user_id, const char *origin,
						 TsAuth *auth, TsError *err);

/* The identity: made with the first provider; checked before any request. */
extern void ts_instance_ensure(void);
extern bool ts_instance_check(TsError *err);

/* adopt_clone(): this database is the one now */
extern void ts_instance_adopt(void);

/*
 * Within this room: the key file.
 *
 * ts_key_folder: where key and identity are, made if need be (ensure) or NULL.
 * ts_key_load: the key of an id (NULL: the newest) into key[32]; its id into
 *		key_id[17].  With ensure, a first key is made.  False with err set.
 */
#define TS_KEY_BYTES 32
#define TS_KEY_ID_CHARS 16

extern char *ts_key_file_path(void);
extern char *ts_key_folder(void);
extern bool ts_key_load(const char *wanted_id, bool ensure, unsigned char *key, char *key_id,
						TsError *err);
extern bool ts_write_new_file(const char *path, const char *text);

#endif							/* TASKSYNC_SECRET_H */
