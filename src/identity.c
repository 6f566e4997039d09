/*-------------------------------------------------------------------------
 *
 * identity.c
 *	  Whose rows a caller works with, and acting as the extension's owner.
 *
 *-------------------------------------------------------------------------
 */
#include "tasksync.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(tasksync_current_user_id);

static void set_for_this_level(const char *name, const char *value);

Oid
ts_extension_oid(void)
{
	return get_extension_oid("tasksync", true);
}

char *
ts_extension_version(void)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	char	   *version = NULL;

	ScanKeyInit(&key, Anum_pg_extension_extname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum("tasksync"));
	scan = systable_beginscan(rel, ExtensionNameIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, Anum_pg_extension_extversion,
										 RelationGetDescr(rel), &isnull);

		if (!isnull)
			version = TextDatumGetCString(value);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return version;
}

/* Is version a later one than b?  Numbers between dots. */
static bool
is_later(const char *a, const char *b)
{
	for (;;)
	{
		char	   *a_end;
		char	   *b_end;
		long		x = strtol(a, &a_end, 10);
		long		y = strtol(b, &b_end, 10);

		if (x != y)
			return x > y;
		if (*a_end != '.' || *b_end != '.')
			return *a_end == '.';
		a = a_end + 1;
		b = b_end + 1;
	}
}

/*
 * Our statements are those of the tables as this version's script makes them.
 * After an upgrade of the files the server has the new library once it was
 * restarted, and a database its new tables once they were updated.
 */
bool
ts_check_version(const char *version, TsError *err)
{
	if (strcmp(version, TASKSYNC_VERSION) == 0)
		return true;
	ts_error(err, "55000", "extension \"tasksync\" is of version %s in this database, its library of version %s",
			 version, TASKSYNC_VERSION);
	if (is_later(version, TASKSYNC_VERSION))
		ts_error_hint(err, "Install the library of version %s, and restart the server.", version);
	else
		ts_error_hint(err, "Run ALTER EXTENSION tasksync UPDATE.");
	return false;
}

void
ts_require_version(void)
{
	char	   *version = ts_extension_version();
	TsError		err = {0};

	if (version && !ts_check_version(version, &err))
		ts_ereport(&err);
}

/*
 * The extension script makes the schema, so its owner is the extension's, and
 * the syscache has it; pg_extension itself is in no cache.
 */
Oid
ts_owner(void)
{
	HeapTuple	tuple;
	Oid			owner;

	tuple = SearchSysCache1(NAMESPACENAME, CStringGetDatum("tasksync"));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("this database has no extension \"tasksync\""),
				 errhint("Run CREATE EXTENSION tasksync.")));
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * PostgreSQL 16 has SwitchToUntrustedUser() for this; what it does is the same.
 * Restricted mode keeps whatever our statements may call from leaving anything
 * behind in the session, the nested level of settings takes back what they set.
 */
void
ts_become_owner(TsIdentity *saved)
{
	Oid			owner = ts_owner();

	GetUserIdAndSecContext(&saved->role, &saved->security_context);
	SetUserIdAndSecContext(owner, saved->security_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	saved->guc_nest_level = NewGUCNestLevel();
	set_for_this_level("search_path", "pg_catalog, pg_temp");
	set_for_this_level("TimeZone", "UTC");
	set_for_this_level("DateStyle", "ISO, YMD");
}

void
ts_restore_identity(const TsIdentity *saved)
{
	AtEOXact_GUC(false, saved->guc_nest_level);
	SetUserIdAndSecContext(saved->role, saved->security_context);
}

static void
set_for_this_level(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

char *
ts_current_user_id(void)
{
	if (ts_user_id != NULL && ts_user_id[0] != '\0')
		return pstrdup(ts_user_id);
	return pstrdup(GetUserNameFromId(GetUserId(), false));
}

/* tasksync.current_user_id() */
Datum
tasksync_current_user_id(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(ts_current_user_id()));
}

void
ts_ereport(const TsError *err)
{
	const char *s = err->sqlstate;

	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(s[0], s[1], s[2], s[3], s[4])),
			 errmsg("%s", err->message),
			 err->detail ? errdetail("%s", err->detail) : 0,
			 err->hint ? errhint("%s", err->hint) : 0));
}
