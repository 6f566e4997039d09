/*-------------------------------------------------------------------------
 *
 * tasksync.c
 *	  The module: its magic block and its settings.
 *
 * All settings but user_id are PGC_SIGHUP: the worker reads them, and a session
 * must not be able to point it at another host or key file.  None is
 * PGC_POSTMASTER, so that the library can be loaded without being preloaded.
 *
 *-------------------------------------------------------------------------
 */
#include "tasksync.h"

#include <limits.h>

#include "api/redact.h"
#include "fmgr.h"
#include "pgtime.h"
#include "utils/guc.h"
#include "worker/failpoint.h"
#include "worker/worker.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

char	   *ts_databases;
int			ts_max_concurrent_syncs;
int			ts_connect_timeout_ms;
int			ts_request_timeout_ms;
int			ts_max_response_size_kb;
int			ts_retry_base_delay_ms;
int			ts_max_attempts;
int			ts_push_delay_ms;
int			ts_list_gone_after_s;
bool		ts_require_tls;
bool		ts_allow_private_networks;
char	   *ts_ca_file;
char	   *ts_secret_key_file;
int			ts_mass_delete_threshold;
int			ts_mass_delete_minimum;
int			ts_mass_change_threshold;
int			ts_mass_change_minimum;
char	   *ts_default_time_zone;
int			ts_history_retention_s;
char	   *ts_user_id;

static void define_worker_settings(void);
static void define_network_settings(void);
static void define_rules_settings(void);
static bool check_time_zone(char **newval, void **extra, GucSource source);

void
_PG_init(void)
{
	define_worker_settings();
	define_network_settings();
	define_rules_settings();
	ts_define_failpoints();
	MarkGUCPrefixReserved("tasksync");
	ts_worker_init();
	ts_redact_init();
}

/* When, where and how much the workers work. */
static void
define_worker_settings(void)
{
	DefineCustomStringVariable("tasksync.databases",
							   "Databases to synchronise, comma separated.",
							   "Empty: every database that has the extension.",
							   &ts_databases, "",
							   PGC_SIGHUP, GUC_LIST_INPUT, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.max_concurrent_syncs",
							"Conversations that a worker holds at the same time.",
							NULL, &ts_max_concurrent_syncs, 64, 1, 10000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.retry_base_delay",
							"Delay before the first retry of a failed job.",
							"Each further retry waits twice as long.",
							&ts_retry_base_delay_ms, 5000, 1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.max_attempts",
							"Attempts that a new job is given.",
							NULL, &ts_max_attempts, 3, 1, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.push_delay",
							"How long edits gather before they are sent.",
							NULL, &ts_push_delay_ms, 1000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.history_retention",
							"How long finished jobs, sent changes and the trash are kept.",
							NULL, &ts_history_retention_s, 30 * 24 * 3600, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
}

/* What may be reached, and within which bounds. */
static void
define_network_settings(void)
{
	DefineCustomIntVariable("tasksync.connect_timeout",
							"Longest wait for a connection to a service.",
							NULL, &ts_connect_timeout_ms, 10 * 1000, 1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.request_timeout",
							"Longest wait for the whole answer to a request.",
							NULL, &ts_request_timeout_ms, 60 * 1000, 1, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.max_response_size",
							"Largest answer of a service, as decompressed.",
							NULL, &ts_max_response_size_kb, 128 * 1024, 1, 1024 * 1024,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomBoolVariable("tasksync.require_tls",
							 "Refuse plain http, but for loopback addresses.",
							 NULL, &ts_require_tls, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("tasksync.allow_private_networks",
							 "Allow services at private, link-local and loopback addresses.",
							 NULL, &ts_allow_private_networks, false,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("tasksync.ca_file",
							   "File of the certificate authorities that services are checked against.",
							   "Empty: the system's trust store.",
							   &ts_ca_file, "",
							   PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("tasksync.secret_key_file",
							   "File of the key that secrets are encrypted with.",
							   "Empty: in a folder beside the data directory.",
							   &ts_secret_key_file, "",
							   PGC_SIGHUP, GUC_SUPERUSER_ONLY, NULL, NULL, NULL);
}

/* What a sync may do, and for whom. */
static void
define_rules_settings(void)
{
	DefineCustomIntVariable("tasksync.list_gone_after",
							"How long a list must be gone to count as disconnected.",
							NULL, &ts_list_gone_after_s, 24 * 3600, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.mass_delete_threshold",
							"Share of a list, in per cent, above which deletions are held.",
							"They are held when they also exceed tasksync.mass_delete_minimum.",
							&ts_mass_delete_threshold, 30, 0, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.mass_delete_minimum",
							"Number of tasks above which deletions are held.",
							"They are held when they also exceed tasksync.mass_delete_threshold.",
							&ts_mass_delete_minimum, 10, 0, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.mass_change_threshold",
							"Share of a list, in per cent, above which changes of one field at a service are held.",
							"They are held when they also exceed tasksync.mass_change_minimum.",
							&ts_mass_change_threshold, 50, 0, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("tasksync.mass_change_minimum",
							"Number of tasks above which changes of one field at a service are held.",
							"They are held when they also exceed tasksync.mass_change_threshold.",
							&ts_mass_change_minimum, 50, 0, INT_MAX,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("tasksync.default_time_zone",
							   "Time zone that floating times are taken to be in.",
							   "Empty: the server's time zone.",
							   &ts_default_time_zone, "",
							   PGC_SIGHUP, 0, check_time_zone, NULL, NULL);
	DefineCustomStringVariable("tasksync.user_id",
							   "The user whose rows this session works with.",
							   "Empty: the current role's name.",
							   &ts_user_id, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
}

static bool
check_time_zone(char **newval, void **extra, GucSource source)
{
	pg_tz	   *zone;

	if (**newval == '\0')
		return true;
	zone = pg_tzset(*newval);
	if (zone == NULL || !pg_tz_acceptable(zone))
	{
		GUC_check_errdetail("Time zone \"%s\" is not known.", *newval);
		return false;
	}
	return true;
}
