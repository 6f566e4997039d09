/*-------------------------------------------------------------------------
 *
 * redact.c
 *	  Statements that carry credentials, kept out of the log and of
 *	  pg_stat_activity.
 *
 * A statement that names add_provider, add_account or set_credentials is
 * logged as a fixed text, whichever setting had it logged, and without what
 * could quote it (detail, context, parameters).  In pg_stat_activity it is
 * replaced as soon as it is parsed, and again when it is executed.
 *
 * What this cannot cover: the instant before parsing; a function of the user's
 * that holds a literal password; a session without the library preloaded.
 * set_credentials_file() and OAuth's device flow never show a secret at all.
 *
 *-------------------------------------------------------------------------
 */
#include "api/redact.h"

#include "commands/prepare.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"

#define REPLACEMENT "<a statement with credentials>"

static const char *const names[] = {"add_provider", "add_account", "set_credentials"};

static emit_log_hook_type prev_emit_log = NULL;
static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;

/* Does the text hold one of the names, in any case of letters? */
static bool
names_a_secret(const char *text)
{
	if (text == NULL)
		return false;
	for (const char *p = text; *p; p++)
		for (int i = 0; i < lengthof(names); i++)
			if (pg_strncasecmp(p, names[i], strlen(names[i])) == 0)
				return true;
	return false;
}

/* The statement under way is an EXECUTE of one that names a secret. */
static const char *executed_query = NULL;

static bool
is_secret(const ErrorData *edata)
{
	return names_a_secret(debug_query_string) ||
		(debug_query_string != NULL && debug_query_string == executed_query) ||
		names_a_secret(edata->message) || names_a_secret(edata->detail) ||
		names_a_secret(edata->context) || names_a_secret(edata->internalquery);
}

/*
 * Runs inside error reporting, in its memory context.  An error goes to the
 * client as it is, for it quotes the client's own words; the log gets its
 * SQLSTATE.  Anything else that is logged is the statement itself.
 */
static void
redact(ErrorData *edata)
{
	static bool in_redact = false;

	if (prev_emit_log)
		prev_emit_log(edata);
	if (in_redact || !is_secret(edata))
		return;
	if (edata->elevel >= ERROR && edata->output_to_client)
	{
		edata->output_to_server = false;
		in_redact = true;
		ereport(LOG,
				(errmsg_internal("%s failed with SQLSTATE %s", REPLACEMENT,
								 unpack_sql_state(edata->sqlerrcode)),
				 errhidestmt(true), errhidecontext(true)));
		in_redact = false;
		return;
	}
	edata->hide_stmt = true;
	edata->hide_ctx = true;
	edata->detail = edata->detail_log = NULL;
	edata->context = NULL;
	edata->internalquery = NULL;
	edata->message = pstrdup(REPLACEMENT);
}

static void
hide_activity(const char *query)
{
	if (names_a_secret(query))
		pgstat_report_activity(STATE_RUNNING, REPLACEMENT);
}

static void
after_parsing(ParseState *pstate, Query *query, JumbleState *jstate)
{
	hide_activity(pstate->p_sourcetext);
	if (pstate->p_sourcetext == debug_query_string)
		executed_query = NULL;
	if (query->utilityStmt && IsA(query->utilityStmt, ExecuteStmt))
	{
		PreparedStatement *prepared =
			FetchPreparedStatement(castNode(ExecuteStmt, query->utilityStmt)->name, false);

		if (prepared && names_a_secret(prepared->plansource->query_string))
		{
			executed_query = debug_query_string;
			pgstat_report_activity(STATE_RUNNING, REPLACEMENT);
		}
	}
	if (prev_post_parse_analyze)
		prev_post_parse_analyze(pstate, query, jstate);
}

static void
before_executing(QueryDesc *queryDesc, int eflags)
{
	hide_activity(queryDesc->sourceText);
	if (prev_executor_start)
		prev_executor_start(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

void
ts_redact_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	prev_emit_log = emit_log_hook;
	emit_log_hook = redact;
	prev_post_parse_analyze = post_parse_analyze_hook;
	post_parse_analyze_hook = after_parsing;
	prev_executor_start = ExecutorStart_hook;
	ExecutorStart_hook = before_executing;
}
