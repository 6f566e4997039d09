/*-------------------------------------------------------------------------
 *
 * runner.c
 *	  One job under way: a cycle of the engine, driven over the network.
 *
 * All of a job lives in one memory context.  An ERROR in one job's step is
 * caught here and ends that job; the others on the same net never notice.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "secret/secret.h"
#include "store/backend.h"
#include "store/sql.h"
#include "sync/sync.h"
#include "tasksync.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "worker/failpoint.h"
#include "worker/runner.h"
#include "worker/token.h"

struct TsRunner
{
	MemoryContext cxt;
	TsNet	   *net;
	TsJob		job;
	TsDb		db;
	TsEnv		env;
	TsSite		site;
	TsCycleSpec spec;
	TsOp		op;				/* DELETE_LIST: one conversation, no cycle */
	TsProviderRow *provider;
	TsAuth		auth;
	TsCycle    *cycle;
	TsConversation *conv;
	TsDevicePoll *poll;			/* OAUTH: one request */
	TsTransfer *transfer;
	bool		had_token;		/* for the present request, after it was refused */
	TsRequest	request;
	TsError		failure;		/* of taking in a piece of the answer under way */
	TimestampTz started_at;
	int64		bytes_in;
	int64		bytes_out;

	int			look_again;		/* OAUTH: seconds until the next request; 0: it is over */
	bool		ended;			/* there is nothing left to do … */
	TsJobEnd	end;
	TsError		error;			/* … end's */
	TimestampTz recorded_at;	/* when that was last tried */
	bool		done;			/* … and it is in the job's row */

	/* for sync_progress */
	char	   *doing;
	int64		done_items;
	int64		total_items;
	TimestampTz reported_at;
	bool		unreported;
};

static void pump(TsRunner *run);
static void get_token(TsRunner *run);

static void
note_progress(void *arg, const TsMapping *m, const char *doing, int64 done, int64 total)
{
	TsRunner   *run = arg;

	if (run->doing == NULL || strcmp(run->doing, doing) != 0)
		run->doing = MemoryContextStrdup(run->cxt, doing);
	run->done_items = done;
	run->total_items = total;
	run->unreported = true;
}

/*
 * Ending
 */

static char *
result_json(TsRunner *run, const TsCycleResult *r)
{
	double		seconds = (GetCurrentTimestamp() - run->started_at) / 1000000.0;

	return psprintf("{\"pulled\": {\"created\": " INT64_FORMAT ", \"updated\": " INT64_FORMAT
					", \"deleted\": " INT64_FORMAT "}, \"pushed\": {\"created\": " INT64_FORMAT
					", \"updated\": " INT64_FORMAT ", \"deleted\": " INT64_FORMAT "},"
					" \"conflicts\": " INT64_FORMAT ", \"errors\": " INT64_FORMAT
					", \"requests\": " INT64_FORMAT ", \"bytes_in\": " INT64_FORMAT
					", \"bytes_out\": " INT64_FORMAT ", \"seconds\": %.3f}",
					r->pulled.created, r->pulled.updated, r->pulled.deleted,
					r->pushed.created, r->pushed.updated, r->pushed.deleted,
					r->conflicts, r->errors, r->requests, run->bytes_in, run->bytes_out, seconds);
}

static void
record_body(void *arg)
{
	ts_jobs_finish(arg);
}

/*
 * Write down what became of the job.  A row of it may be locked by a user's
 * open transaction: then ts_runner_report() tries again, for as long as it is
 * RUNNING no other job of the provider begins.
 */
static void
record_end(TsRunner *run)
{
	TsError		err = {0};
	bool		first = run->recorded_at == 0;

	run->recorded_at = GetCurrentTimestamp();
	run->done = ts_in_transaction(record_body, &run->end, &err);
	if (!run->done && first)
		ereport(LOG, (errmsg("could not record the end of job " INT64_FORMAT " yet: %s",
							 run->job.id, err.message)));
}

static void
finish(TsRunner *run, const TsError *error, bool cancelled)
{
	static const TsCycleResult nothing = {.retry_after = -1};
	const TsCycleResult *r = run->cycle ? ts_cycle_result(run->cycle) : &nothing;
	TsJobEnd	end = {&run->job, NULL, cancelled, r->auth_failed, r->retry_after};

	if (run->transfer)
		ts_net_cancel(run->transfer);
	run->transfer = NULL;
	ts_tokens_forget(run);
	if (run->conv && run->conv->auth_failed)
		end.auth_failed = true;
	end.look_again = run->look_again;
	end.result = result_json(run, r);
	if (error)
	{
		run->error = *error;
		end.error = &run->error;
	}
	if (end.auth_failed && run->provider)
		end.account_id = run->provider->account_id;
	if (error && run->provider && run->provider->account_id)
		end.retry_after = Max(end.retry_after,
							  ts_tokens_pause(run->provider->account_id, run->job.user_id));
	end.auth_version = run->auth.version;
	end.grant = run->auth.grant;
	run->end = end;
	run->ended = true;
	ts_auth_wipe(&run->auth);
	record_end(run);
}

/* A step that failed with an ERROR ends this job only. */
static void
fail_from_catch(TsRunner *run)
{
	TsError		err = {0};

	MemoryContextSwitchTo(run->cxt);
	ts_error_from_catch(&err);
	finish(run, &err, false);
}

/*
 * Driving
 */

static void
on_data(void *arg, const char *chunk, size_t len)
{
	TsRunner   *run = arg;
	MemoryContext old;

	run->bytes_in += len;
	if (ts_failed(&run->failure))
		return;
	old = MemoryContextSwitchTo(run->cxt);
	PG_TRY();
	{
		if (run->cycle)
			ts_cycle_data(run->cycle, chunk, len);
		else
			run->conv->provider->data(run->conv, chunk, len);
	}
	PG_CATCH();
	{
		/* The transfer is in our caller's hands: the job ends with it. */
		MemoryContextSwitchTo(run->cxt);
		ts_error_from_catch(&run->failure);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

/* A login of a device has ended. */
static void
on_login(void *arg, const TsError *err)
{
	TsRunner   *run = arg;
	MemoryContext old = MemoryContextSwitchTo(run->cxt);

	if (err)
		ts_error_copy(&run->failure, err, run->cxt);
	finish(run, err ? &run->failure : NULL, false);
	MemoryContextSwitchTo(old);
}

static void
take_answer(TsRunner *run, const TsResponse *resp)
{
	if (run->poll)
	{
		run->look_again = ts_device_answer(run->poll, &run->request, resp, on_login, run);
		if (run->look_again > 0)
			finish(run, NULL, false);
		return;
	}
	if (run->cycle)
		ts_cycle_response(run->cycle, resp);
	else
		run->conv->provider->response(run->conv, resp);
	pump(run);
}

static void
on_done(void *arg, const TsResponse *resp)
{
	TsRunner   *run = arg;
	MemoryContext old = MemoryContextSwitchTo(run->cxt);

	ts_step("after an answer");
	run->transfer = NULL;
	if (run->ended)
		return;
	run->bytes_in += resp->body_len;
	PG_TRY();
	{
		if (ts_failed(&run->failure))
			finish(run, &run->failure, false);
		else if (resp->status == 401 && run->auth.refreshable && !run->had_token)
		{
			run->had_token = true;
			get_token(run);
		}
		else
		{
			run->had_token = false;
			take_answer(run, resp);
		}
	}
	PG_CATCH();
	{
		fail_from_catch(run);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

static void
send_request(TsRunner *run)
{
	TsReceiver	receiver = {on_data, on_done, run};

	ts_step("before a request");
	run->bytes_out += run->request.body_len;
	run->transfer = ts_net_start(run->net, &run->request, &run->auth, &receiver);
}

static void
load_auth_body(void *arg)
{
	TsRunner   *run = arg;
	TsAuth		auth;
	TsError		err = {0};

	if (!ts_auth_renew(run->provider->account_id, run->job.user_id, run->provider->url,
					   run->auth.version, &auth, &err))
		ts_ereport(&err);
	ts_auth_wipe(&run->auth);
	run->auth = auth;
}

/* There is a new token, or the one we have must do while it can. */
static void
on_token(void *arg, const TsError *err)
{
	TsRunner   *run = arg;
	MemoryContext old = MemoryContextSwitchTo(run->cxt);
	TsError		failure = {0};

	PG_TRY();
	{
		if (err && strcmp(err->sqlstate, "TS503") == 0 && !run->had_token && run->auth.bearer &&
			time(NULL) < run->auth.expires_at)
			send_request(run);
		else if (err || !ts_in_transaction(load_auth_body, run, &failure))
		{
			ts_error_copy(&run->failure, err ? err : &failure, run->cxt);
			finish(run, &run->failure, false);
		}
		else
			send_request(run);
	}
	PG_CATCH();
	{
		fail_from_catch(run);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

static void
get_token(TsRunner *run)
{
	ts_tokens_refresh(run->provider->account_id, run->job.user_id, run->auth.grant, on_token, run);
}

/* On to the next request, or to the end. */
static void
pump(TsRunner *run)
{
	bool		more;

	if (run->cycle)
		more = ts_cycle_next(run->cycle, &run->request);
	else
		more = run->conv->provider->next(run->conv, &run->request);
	if (more && (ts_auth_is_due(&run->auth) || (run->request.renew && run->auth.refreshable)))
		get_token(run);
	else if (more)
		send_request(run);
	else if (run->cycle)
		finish(run, &ts_cycle_result(run->cycle)->error, false);
	else
		finish(run, &run->conv->error, false);
}

/*
 * Starting
 */

static void
refuse(TsError *err, const char *message, const char *hint)
{
	ts_error(err, "55000", "%s", message);
	if (hint)
		ts_error_hint(err, "%s", hint);
}

/* Why a mapping that was asked for does not take part. */
static void
explain_absence(TsRunner *run, TsError *err)
{
	static TsStatement stmt = {
		"SELECT m.sync_status, m.sync_enabled FROM tasksync.task_list_mapping m"
		" WHERE m.id = $1 AND m.user_id = $2",
		{UUIDOID, TEXTOID}
	};
	char	   *status;

	if (ts_run(&stmt, ts_uuid(run->job.mapping_id), ts_text(run->job.user_id)) == 0)
	{
		ts_error(err, "P0002", "mapping \"%s\" does not exist", run->job.mapping_id);
		return;
	}
	status = ts_col(0, 1);
	if (status && strcmp(status, "HELD") == 0)
		refuse(err, psprintf("mapping \"%s\" is HELD", run->job.mapping_id),
			   "Look at its error_message, then call confirm_deletions().");
	else if (status && strcmp(status, "DISCONNECTED") == 0)
		refuse(err, psprintf("mapping \"%s\" is DISCONNECTED", run->job.mapping_id),
			   "Its list is gone; map the project to another list.");
	else
		refuse(err, psprintf("mapping \"%s\" is disabled", run->job.mapping_id),
			   "Enable it with update_mapping().");
}

typedef struct StartWork
{
	TsRunner   *run;
	TsError		err;
} StartWork;

static void
show_syncing(TsRunner *run)
{
	static TsStatement provider = {
		"UPDATE tasksync.task_provider p SET sync_status = 'SYNCING' WHERE p.id = $1 AND p.user_id = $2",
		{UUIDOID, TEXTOID}
	};

	ts_run(&provider, ts_uuid(run->job.provider_id), ts_text(run->job.user_id));
}

static void
load_spec(TsRunner *run, StartWork *w)
{
	const TsProviderRow *p = run->provider;
	const TsJob *job = &run->job;

	run->spec.mappings = ts_load_mappings(p->id, job->user_id, job->mapping_id, false,
										  &run->spec.nmappings);
	if (job->mapping_id && run->spec.nmappings == 0)
		explain_absence(run, &w->err);
	else
		run->spec.siblings = ts_load_mappings(p->id, job->user_id, job->mapping_id, true,
											  &run->spec.nsiblings);
}

static void
start_body(void *arg)
{
	StartWork  *w = arg;
	TsRunner   *run = w->run;
	TsProviderRow *p = ts_load_provider(run->job.provider_id, run->job.user_id);

	run->provider = p;
	if (p == NULL)
	{
		ts_error(&w->err, "P0002", "provider \"%s\" does not exist", run->job.provider_id);
		return;
	}
	run->spec.provider = ts_provider_lookup(p->type);
	if (p->url == NULL && run->spec.provider && run->spec.provider->default_url)
		p->url = pstrdup(run->spec.provider->default_url);
	if (!ts_instance_check(&w->err))
		return;
	if (run->spec.provider == NULL)
		refuse(&w->err, psprintf("provider type \"%s\" is not available", p->type),
			   "Install the extension that provides it.");
	else if (!p->enabled)
		refuse(&w->err, psprintf("provider \"%s\" is disabled", p->name),
			   "Enable it with update_provider().");
	else if (p->account_status && strcmp(p->account_status, "NEEDS_AUTH") == 0)
		ts_auth_refused(p->name, run->spec.provider->oauth, &w->err);
	else if (p->account_id == NULL ||
			 ts_auth_load(p->account_id, run->job.user_id, p->url, &run->auth, &w->err))
	{
		load_spec(run, w);
		show_syncing(run);
	}
}

static void
set_up_environment(TsRunner *run)
{
	run->db.cxt = run->cxt;
	run->db.user_id = run->job.user_id;
	run->db.provider_id = run->job.provider_id;
	run->db.provider_type = run->provider->type;
	run->db.job_id = run->job.id;
	run->db.uncarried = TS_ALL_FIELDS & ~run->spec.provider->carries;

	ts_server_environment(&run->env, &run->db);
	run->env.progress = note_progress;
	run->env.arg = run;

	run->site.url = run->provider->url;
	run->site.settings = run->provider->settings;
	run->site.username = run->auth.username;
	run->site.auth_version = run->auth.version;
	run->site.user_agent = "tasksync/" TASKSYNC_VERSION;
	run->spec.site = &run->site;
}

static void
begin(TsRunner *run)
{
	if (strcmp(run->job.kind, "DELETE_LIST") == 0)
	{
		run->op.kind = TS_OP_LIST_DELETE;
		run->op.list_id = run->job.list_id;
		run->conv = run->spec.provider->begin(&run->site, &run->op);
	}
	else
		run->cycle = ts_cycle_begin(&run->env, &run->spec);
}

/* OAUTH: has the person allowed the device by now? */
static void
begin_poll(TsRunner *run)
{
	TsError		err = {0};

	run->poll = ts_device_request(&run->job, &run->request, &err);
	if (run->poll)
		send_request(run);
	else
		finish(run, &err, false);
}

static char *
copy_or_null(const char *s)
{
	return s ? pstrdup(s) : NULL;
}

TsRunner *
ts_runner_start(TsNet *net, const TsJob *job)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "tasksync job",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	TsRunner   *volatile run = palloc0(sizeof(TsRunner));
	StartWork	w = {run};
	TsError		err = {0};

	run->cxt = cxt;
	run->net = net;
	run->started_at = GetCurrentTimestamp();
	run->job = *job;
	run->job.user_id = copy_or_null(job->user_id);
	run->job.provider_id = copy_or_null(job->provider_id);
	run->job.mapping_id = copy_or_null(job->mapping_id);
	run->job.kind = copy_or_null(job->kind);
	run->job.list_id = copy_or_null(job->list_id);
	run->job.account_id = copy_or_null(job->account_id);

	PG_TRY();
	{
		if (strcmp(run->job.kind, "OAUTH") == 0)
			begin_poll(run);
		else if (!ts_in_transaction(start_body, &w, &err))
			finish(run, &err, false);
		else if (ts_failed(&w.err))
			finish(run, &w.err, false);
		else
		{
			set_up_environment(run);
			begin(run);
			pump(run);
		}
	}
	PG_CATCH();
	{
		fail_from_catch(run);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return run;
}

bool
ts_runner_is_done(const TsRunner *run)
{
	return run->done;
}

int64
ts_runner_job(const TsRunner *run)
{
	return run->job.id;
}

void
ts_runner_cancel(TsRunner *run)
{
	MemoryContext old = MemoryContextSwitchTo(run->cxt);

	if (!run->ended)
		finish(run, NULL, true);
	MemoryContextSwitchTo(old);
}

static void
report_body(void *arg)
{
	TsRunner   *run = arg;

	ts_jobs_progress(run->job.id,
					 psprintf("{\"phase\": \"%s\", \"done\": " INT64_FORMAT ", \"total\": %s}",
							  run->doing, run->done_items,
							  run->total_items > 0 ? psprintf(INT64_FORMAT, run->total_items)
							  : "null"));
}

void
ts_runner_report(TsRunner *run)
{
	TimestampTz now = GetCurrentTimestamp();
	TsError		err = {0};
	MemoryContext old = MemoryContextSwitchTo(run->cxt);

	if (run->ended && !run->done && TimestampDifferenceExceeds(run->recorded_at, now, 1000))
		record_end(run);
	MemoryContextSwitchTo(old);
	if (!run->unreported || run->ended ||
		!TimestampDifferenceExceeds(Max(run->reported_at, run->started_at), now, 1000))
		return;
	run->unreported = false;
	run->reported_at = now;
	(void) ts_in_transaction(report_body, run, &err);
}

void
ts_runner_free(TsRunner *run)
{
	MemoryContextDelete(run->cxt);
}
