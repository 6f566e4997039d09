/*-------------------------------------------------------------------------
 *
 * pure.c
 *	  The codecs and the planner for callers: no network, no table.
 *
 * What a sync does to one task can be looked at here step by step:
 * decode_task() what was read, merge_task() what is to be done, encode_task()
 * what is to be sent.
 *
 *-------------------------------------------------------------------------
 */
#include "api/api.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "provider/provider.h"
#include "task/datetime.h"
#include "task/plan.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(tasksync_decode_task);
PG_FUNCTION_INFO_V1(tasksync_encode_task);
PG_FUNCTION_INFO_V1(tasksync_merge_task);

static TsCodecOptions
codec_options(const char *uid)
{
	TsCodecOptions opt = {
		.uid = uid,
		.default_time_zone = ts_floating_time_zone(),
		.now = ts_unix_microseconds(GetCurrentTimestamp())
	};

	return opt;
}

static Datum
task_datum(const TsTask *task, TsFieldMask mask)
{
	StringInfoData buf;

	initStringInfo(&buf);
	ts_task_to_json(task, mask, &buf);
	return ts_jsonb_datum(buf.data);
}

/* A task argument: false when it is NULL, 22023 when it is no task. */
static bool
arg_task(FunctionCallInfo fcinfo, int n, TsTask *task)
{
	char	   *json = ts_arg_jsonb(fcinfo, n);
	TsError		err = {0};

	if (json == NULL)
		return false;
	if (!ts_task_from_json(json, strlen(json), task, &err))
		ts_ereport(&err);
	return true;
}

/*
 * decode_task(type text, payload text) → jsonb
 *
 * The object of a service as a canonical task: all that the service can say,
 * keys are the columns of tasksync.task, instants are in UTC.  parent_task_id
 * is the parent's id there (CalDAV: its UID), since only a sync knows the task
 * here.  NULL where the object is well formed but no task (an event, say).
 * 22023 for an unknown type, TS502 for a payload that can't be understood.
 */
Datum
tasksync_decode_task(PG_FUNCTION_ARGS)
{
	const TsProvider *provider = ts_known_type(ts_arg_text(fcinfo, 0));
	char	   *payload = ts_arg_text(fcinfo, 1);
	TsCodecOptions opt = codec_options(NULL);
	TsRemoteTask remote = {0};
	TsError		err = {0};

	if (!provider->decode(payload, strlen(payload), &opt, &remote, &err))
		ts_ereport(&err);
	if (!remote.is_task)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(task_datum(&remote.task, provider->carries));
}

/* The name of a new object: the task's own id where the JSON tells it. */
static char *
new_uid(const char *json)
{
	char	   *id = ts_json_member(json, "id");

	if (id == NULL || id[0] == '\0')
	{
		id = palloc(37);
		ts_random_uuid(NULL, id);
	}
	return id;
}

/*
 * encode_task(type text, task jsonb, onto text) → text
 *
 * The task as an object of the service.  With "onto", the object as last
 * seen, only the fields of "task" that differ from it are written, and all
 * else of it stays; without, a new object is made, named after the task's "id"
 * (where there is none, at random).  parent_task_id is the parent's id there.
 * 22023 for an unknown type or a bad task, TS502 for an "onto" that can't be
 * understood.
 */
Datum
tasksync_encode_task(PG_FUNCTION_ARGS)
{
	const TsProvider *provider = ts_known_type(ts_arg_text(fcinfo, 0));
	char	   *onto = ts_arg_text(fcinfo, 2);
	size_t		onto_len = onto ? strlen(onto) : 0;
	TsFieldMask changed = provider->carries;
	TsRemoteTask seen = {0};
	TsError		err = {0};
	TsCodecOptions opt;
	TsTask		task = {0};
	char	   *payload;

	ts_required(fcinfo, 1, "task");
	(void) arg_task(fcinfo, 1, &task);
	opt = codec_options(onto ? NULL : new_uid(ts_arg_jsonb(fcinfo, 1)));
	if (onto)
	{
		if (!provider->decode(onto, onto_len, &opt, &seen, &err))
			ts_ereport(&err);
		changed = ts_task_diff(&seen.task, &task, provider->carries) & task.known;
	}
	payload = provider->encode(&task, changed, onto, onto_len, &opt, &err);
	if (payload == NULL)
		ts_ereport(&err);
	if (provider->shown)
		payload = provider->shown(payload, strlen(payload));
	PG_RETURN_TEXT_P(cstring_to_text(payload));
}

static TsField
field_by_name(const char *name)
{
	int			f = ts_field_by_name(name, strlen(name));

	if (f < 0)
		ts_bad_value("field of a task", name, NULL);
	return f;
}

/* carries text[]: NULL = all fields */
static TsFieldMask
arg_fields(FunctionCallInfo fcinfo, int n)
{
	TsFieldMask mask = 0;
	Datum	   *names;
	bool	   *nulls;
	int			count;

	if (PG_ARGISNULL(n))
		return TS_ALL_FIELDS;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(n), TEXTOID, -1, false, TYPALIGN_INT,
					  &names, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (!nulls[i])
			mask |= TS_FIELD_BIT(field_by_name(TextDatumGetCString(names[i])));
	return mask;
}

/* local_times jsonb: {"field": "timestamp", …} */
static void
arg_times(FunctionCallInfo fcinfo, int n, const char **times)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	TsField		field = TS_TITLE;
	int64		usec;

	if (PG_ARGISNULL(n))
		return;
	if (!JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(n)))
		ts_bad_value("local_times", ts_arg_jsonb(fcinfo, n), "Give an object of fields and times.");
	it = JsonbIteratorInit(&PG_GETARG_JSONB_P(n)->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			field = field_by_name(pnstrdup(v.val.string.val, v.val.string.len));
		else if (token == WJB_VALUE && v.type == jbvString)
		{
			times[field] = pnstrdup(v.val.string.val, v.val.string.len);
			if (!ts_timestamp_parse(times[field], &usec))
				ts_bad_value("time in local_times", times[field], NULL);
		}
		else if (token == WJB_VALUE && v.type != jbvNull)
			ts_bad_value("time in local_times", ts_field_info[field].name,
						 "A time is a string or null.");
	}
}

static TsPolicy
arg_policy(FunctionCallInfo fcinfo, int n)
{
	char	   *name = ts_arg_text(fcinfo, n);
	TsPolicy	policy = TS_LATEST_WINS;

	if (name && !ts_policy_by_name(name, &policy))
		ts_bad_value("policy", name, "Use LATEST_WINS, LOCAL_WINS, REMOTE_WINS or MANUAL.");
	return policy;
}

/* A side's patch: NULL = delete it, {} = leave it. */
static Datum
patch_datum(TsAction action, const TsTask *patch, bool *isnull)
{
	*isnull = action == TS_ACTION_DELETE;
	if (*isnull)
		return (Datum) 0;
	return task_datum(patch, action == TS_ACTION_NONE ? 0 : TS_ALL_FIELDS);
}

/*
 * The five results.  The new bases are those after both patches were carried
 * out; there are none where the task is then nowhere.
 */
static Datum
merge_result(FunctionCallInfo fcinfo, const TsPlanInput *in, const TsPlan *plan)
{
	bool		here = plan->local_action != TS_ACTION_DELETE &&
		(in->local != NULL || plan->local_action == TS_ACTION_CREATE);
	bool		there = plan->remote_action != TS_ACTION_DELETE &&
		(in->remote != NULL || plan->remote_action == TS_ACTION_CREATE);
	TsTask		local_base;
	TsTask		remote_base;
	TupleDesc	desc;
	Datum		values[5];
	bool		nulls[5] = {0};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	ts_plan_delivered(plan, &local_base, &remote_base);
	values[0] = patch_datum(plan->local_action, &plan->local_patch, &nulls[0]);
	values[1] = patch_datum(plan->remote_action, &plan->remote_patch, &nulls[1]);
	values[2] = ts_field_names(plan->conflicts);
	nulls[3] = nulls[4] = !here || !there;
	values[3] = nulls[3] ? (Datum) 0 : task_datum(&local_base, TS_ALL_FIELDS);
	values[4] = nulls[4] ? (Datum) 0 : task_datum(&remote_base, TS_ALL_FIELDS);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

/*
 * merge_task(local_base jsonb, remote_base jsonb, local jsonb, remote jsonb,
 *		policy text, carries text[], local_times jsonb, remote_time timestamptz,
 *		OUT local_patch jsonb, OUT remote_patch jsonb, OUT conflicts text[],
 *		OUT new_local_base jsonb, OUT new_remote_base jsonb)
 *
 * The planner, ts_plan_task(), for one task of a mapping of both directions.
 * Fields that a record does not name are not looked at.  References to the
 * parent are compared as they stand.  "conflicts" names the fields that were
 * changed differently on both sides: with MANUAL they are left as they are,
 * otherwise they are decided in the patches.
 */
Datum
tasksync_merge_task(PG_FUNCTION_ARGS)
{
	TsTask		local_base;
	TsTask		remote_base;
	TsTask		local;
	TsTask		remote;
	const char *times[TS_NFIELDS] = {0};
	TsPlanInput in = {
		.local_base = arg_task(fcinfo, 0, &local_base) ? &local_base : NULL,
		.remote_base = arg_task(fcinfo, 1, &remote_base) ? &remote_base : NULL,
		.local = arg_task(fcinfo, 2, &local) ? &local : NULL,
		.remote = arg_task(fcinfo, 3, &remote) ? &remote : NULL,
		.policy = arg_policy(fcinfo, 4),
		.carries = arg_fields(fcinfo, 5),
		.direction = TS_BIDIRECTIONAL,
		.local_times = times
	};
	TsPlan		plan;

	arg_times(fcinfo, 6, times);
	if (!PG_ARGISNULL(7))
		in.remote_time = ts_timestamp_text(ts_unix_microseconds(PG_GETARG_TIMESTAMPTZ(7)));
	if (in.remote)
		in.remote_parent = remote.value[TS_PARENT_TASK_ID];
	ts_plan_task(&in, &plan);
	PG_RETURN_DATUM(merge_result(fcinfo, &in, &plan));
}
