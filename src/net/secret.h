/*-------------------------------------------------------------------------
 *
 * secret.h
 *	  Credentials at rest: sealed with a key that is kept outside the data
 *	  directory, opened only in the process that sends the request.
 *
 * A sealed secret is libsodium's XChaCha20-Poly1305 (IETF) of the account's
 * credentials as JSON text, bound to its row (account and user are the
 * associated data) and marked with its key's id.
 *
 * All of these are to be called in a transaction with SPI connected, as the
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

#endif							/* TASKSYNC_SECRET_H */
