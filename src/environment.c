/*-------------------------------------------------------------------------
 *
 * environment.c
 *	  What the engine may not know by itself, in a server process.
 *
 *-------------------------------------------------------------------------
 */
#include "tasksync.h"

#include "fmgr.h"
#include "store/backend.h"
#include "sync/sync.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/timestamp.h"
#include "utils/uuid.h"

const char *
ts_floating_time_zone(void)
{
	return ts_default_time_zone[0] != '\0' ? ts_default_time_zone
		: GetConfigOptionResetString("TimeZone");
}

int64
ts_unix_microseconds(int64 timestamptz)
{
	return timestamptz +
		(int64) (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
}

static int64
now_us(void *arg)
{
	return ts_unix_microseconds(GetCurrentTimestamp());
}

void
ts_random_uuid(void *arg, char *buf)
{
	Datum		uuid = DirectFunctionCall1(gen_random_uuid, (Datum) 0);

	strlcpy(buf, DatumGetCString(DirectFunctionCall1(uuid_out, uuid)), 37);
}

void
ts_server_environment(TsEnv *env, TsDb *db)
{
	memset(env, 0, sizeof(*env));
	env->store = &ts_sql_store;
	env->db = db;
	env->now = now_us;
	env->uuid = ts_random_uuid;
	env->mass_delete_percent = ts_mass_delete_threshold;
	env->mass_delete_minimum = ts_mass_delete_minimum;
	env->default_time_zone = ts_floating_time_zone();
}
