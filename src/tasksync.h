/*-------------------------------------------------------------------------
 *
 * tasksync.h
 *	  What every room that runs in a backend shares: the settings, the
 *	  extension's owner, the caller's identity, and raising an error that a
 *	  pure room has handed back by value.
 *
 * The rules of identity.  A function that users call takes ts_current_user_id()
 * first and then, to touch our tables, ts_become_owner(); its statements name
 * the user_id themselves, since row security does not hold for the owner.  The
 * way back is ts_restore_identity(), or an ERROR: the abort of a transaction or
 * subtransaction undoes both the identity and the settings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_H
#define TASKSYNC_H

#include "postgres.h"

#include "task/task.h"

/*
 * Settings (tasksync.<name>).  Times are in the unit that the name ends with;
 * a string that is not set is "".
 */
extern char *ts_databases;				/* comma separated; "" = all */
extern int	ts_max_concurrent_syncs;
extern int	ts_connect_timeout_ms;
extern int	ts_request_timeout_ms;
extern int	ts_max_response_size_kb;
extern int	ts_retry_base_delay_ms;
extern int	ts_max_attempts;
extern int	ts_push_delay_ms;
extern int	ts_list_gone_after_s;
extern bool ts_require_tls;
extern bool ts_allow_private_networks;
extern char *ts_ca_file;				/* "" = the system's trust store */
extern char *ts_secret_key_file;		/* "" = beside the data directory */
extern int	ts_mass_delete_threshold;	/* per cent */
extern int	ts_mass_delete_minimum;		/* tasks */
extern int	ts_mass_change_threshold;	/* per cent */
extern int	ts_mass_change_minimum;		/* tasks */
extern char *ts_default_time_zone;		/* "" = the server's */
extern int	ts_history_retention_s;
extern char *ts_user_id;				/* "" = the session's current_user */

/*
 * ts_extension_oid: the extension in this database, or InvalidOid.
 * ts_extension_version: its version, palloc'd, or NULL.
 * ts_check_version: false, with err set, where that is not this library's.
 * ts_require_version: … and 55000.
 * ts_owner: the role that owns the extension and its tables; 55000 where the
 *		database has no tasksync.
 */
extern Oid	ts_extension_oid(void);
extern Oid	ts_owner(void);
extern char *ts_extension_version(void);
extern bool ts_check_version(const char *version, TsError *err);
extern void ts_require_version(void);

/* Who we were, and the settings, before ts_become_owner. */
typedef struct TsIdentity
{
	Oid			role;
	int			security_context;
	int			guc_nest_level;
} TsIdentity;

/*
 * ts_become_owner: act as the extension's owner, in restricted mode, with
 *		search_path = pg_catalog, pg_temp and the canonical formats (time zone
 *		UTC, ISO dates) that the bases of links are kept in.
 * ts_restore_identity: the exact reverse.
 */
extern void ts_become_owner(TsIdentity *saved);
extern void ts_restore_identity(const TsIdentity *saved);

/*
 * ts_current_user_id: whose rows the caller works with, palloc'd: the setting
 *		tasksync.user_id, else current_user.  To be called before any switch
 *		of identity.
 */
extern char *ts_current_user_id(void);

/*
 * What the pure rooms are told from outside (environment.c).
 *
 * ts_server_environment: fills in the engine's environment over "db"; a
 *		progress function and its argument are left to the caller.
 * ts_floating_time_zone: the zone that floating times are taken to be in.
 * ts_unix_microseconds: a timestamptz counted from 1970, as the pure rooms do.
 * ts_make_uuid: a random one.
 * ts_random_uuid: … as text, into 37 bytes; arg is not used.
 */
struct TsEnv;
struct TsDb;
struct pg_uuid_t;
extern void ts_server_environment(struct TsEnv *env, struct TsDb *db);
extern const char *ts_floating_time_zone(void);
extern int64 ts_unix_microseconds(int64 timestamptz);
extern void ts_make_uuid(struct pg_uuid_t *uuid);
extern void ts_random_uuid(void *arg, char *buf);

/* ts_ereport: raise an error held by value (ERROR; does not return) */
extern void ts_ereport(const TsError *err) pg_attribute_noreturn();

#endif							/* TASKSYNC_H */
