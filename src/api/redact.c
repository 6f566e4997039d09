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

#include "access/xact.h"
#include "commands/prepare.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "utils/elog.h"

#define REPLACEMENT "<a statement with credentials>"

/* The functions' names are a word of three letters and one of these. */
static const struct
{
	const char *word;
	const char *rest;
}			names[] = {{"add", "_provider"}, {"add", "_account"}, {"set", "_credentials"}};

static emit_log_hook_type prev_emit_log = NULL;
static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;

/*
 * Does the text hold one of the names, in any case of letters?  Every statement
 * of the server is asked this, and some are megabytes long: only underscores are
 * looked at.
 */
static bool
names_a_secret(const char *text)
{
	if (text == NULL)
		return false;
	for (const char *p = text; (p = strchr(p, '_')) != NULL; p++)
		for (int i = 0; i < lengthof(names); i++)
			if (p - text >= 3 &&
				pg_strncasecmp(p - 3, names[i].word, 3) == 0 &&
				pg_strncasecmp(p, names[i].rest, strlen(names[i].rest)) == 0)
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

/* Asked at every query that the client's statement runs, and told once. */
static bool
client_names_a_secret(void)
{
	static const char *asked = NULL;
	static TimestampTz asked_at = 0;
	static bool answer = false;

	if (asked != debug_query_string || asked_at != GetCurrentStatementStartTimestamp())
	{
		asked = debug_query_string;
		asked_at = GetCurrentStatementStartTimestamp();
		answer = names_a_secret(debug_query_string);
	}
	return answer;
}

/* By the extended protocol a statement is shown again when it is executed. */
static void
before_executing(QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once)
{
	if (client_names_a_secret())
		pgstat_report_activity(STATE_RUNNING, REPLACEMENT);
	else
		hide_activity(queryDesc->sourceText);
	if (prev_executor_run)
		prev_executor_run(queryDesc, direction, count, execute_once);
	else
		standard_ExecutorRun(queryDesc, direction, count, execute_once);
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
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = before_executing;
}
