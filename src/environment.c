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

/*
 * As gen_random_uuid() makes them (RFC 4122, 4.4), but many at once: the
 * generator takes as long for one as for a kilobyte.
 */
void
ts_make_uuid(pg_uuid_t *uuid)
{
	static pg_uuid_t pool[64];
	static int	left = 0;

	if (left == 0)
	{
		if (!pg_strong_random(pool, sizeof(pool)))
			ereport(ERROR,
					(errcode(ERRCODE_INTERNAL_ERROR),
					 errmsg("could not generate random values")));
		left = lengthof(pool);
	}
	*uuid = pool[--left];
	uuid->data[6] = (uuid->data[6] & 0x0f) | 0x40;
	uuid->data[8] = (uuid->data[8] & 0x3f) | 0x80;
}

void
ts_random_uuid(void *arg, char *buf)
{
	pg_uuid_t	uuid;

	ts_make_uuid(&uuid);
	strlcpy(buf, DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&uuid))), 37);
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
	env->mass_change_percent = ts_mass_change_threshold;
	env->mass_change_minimum = ts_mass_change_minimum;
	env->default_time_zone = ts_floating_time_zone();
}
