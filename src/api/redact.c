/*-------------------------------------------------------------------------
 *
 * redact.c
 *	  Statements that carry credentials, kept out of the log and of
 *	  pg_stat_activity.
 *
 * A statement that names add_provider, add_account, set_credentials or
 * finish_oauth is logged as a fixed text, whichever setting had it logged, and
 * without what could quote it (detail, context, parameters).  In
 * pg_stat_activity it is replaced as soon as it is parsed, and again when it
 * is executed.  It has no query id, so that pg_stat_statements takes no notice
 * of it.
 *
 * The arguments of an EXECUTE are secrets if the prepared statement names one of
 * these.  What is logged before it is parsed does not tell, nor does an EXPLAIN
 * or CREATE TABLE AS around it: from the first such PREPARE on, a session's
 * statements with the word "execute" are all treated as secret.
 *
 * What this cannot cover: the instant before parsing; a function of the user's
 * that holds a literal password, or is given one; a session without the library
 * preloaded.
 * set_credentials_file() and OAuth's device flow never show a secret at all.
 *
 *-------------------------------------------------------------------------
 */
#include "api/redact.h"

#include "access/xact.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "parser/analyze.h"
#include "pgstat.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/elog.h"

#define REPLACEMENT "<a statement with credentials>"

/* The functions' names, up to their underscore and from it on. */
static const struct
{
	const char *word;
	const char *rest;
}			names[] = {
	{"add", "_provider"}, {"add", "_account"}, {"set", "_credentials"}, {"finish", "_oauth"}
};

static emit_log_hook_type prev_emit_log = NULL;
static post_parse_analyze_hook_type prev_post_parse_analyze = NULL;
static ExecutorStart_hook_type prev_executor_start = NULL;
static ExecutorRun_hook_type prev_executor_run = NULL;
static ProcessUtility_hook_type prev_process_utility = NULL;

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
		{
			size_t		len = strlen(names[i].word);

			if (p - text >= len && pg_strncasecmp(p - len, names[i].word, len) == 0 &&
				pg_strncasecmp(p, names[i].rest, strlen(names[i].rest)) == 0)
				return true;
		}
	return false;
}

/* A statement of this session's that names a secret has been prepared. */
static bool prepared_secret = false;

/* Does the text have the word EXECUTE in it, where that may run such a statement? */
static bool
executes_a_secret(const char *text)
{
	if (!prepared_secret || text == NULL)
		return false;
	for (const char *p = text; (p = strpbrk(p, "eE")) != NULL; p++)
		if (pg_strncasecmp(p, "execute", 7) == 0)
			return true;
	return false;
}

static bool
is_secret_text(const char *text)
{
	return names_a_secret(text) || executes_a_secret(text);
}

static bool
is_secret(const ErrorData *edata)
{
	return is_secret_text(debug_query_string) ||
		is_secret_text(edata->message) || is_secret_text(edata->detail) ||
		is_secret_text(edata->detail_log) || is_secret_text(edata->context) ||
		is_secret_text(edata->internalquery);
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
after_parsing(ParseState *pstate, Query *query, JumbleState *jstate)
{
	bool		names_one = names_a_secret(pstate->p_sourcetext);

	/* Whether it is to be prepared is not told here: one too many does no harm. */
	prepared_secret |= names_one;
	if (names_one || executes_a_secret(pstate->p_sourcetext))
	{
		query->queryId = UINT64CONST(0);
		pgstat_report_activity(STATE_RUNNING, REPLACEMENT);
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
		answer = is_secret_text(debug_query_string);
	}
	return answer;
}

/* By the extended protocol a statement is shown again when it is bound and executed. */
static void
hide_executed(const char *query)
{
	if (client_names_a_secret() ||
		(query != debug_query_string && is_secret_text(query)))
		pgstat_report_activity(STATE_RUNNING, REPLACEMENT);
}

static void
before_starting(QueryDesc *queryDesc, int eflags)
{
	hide_executed(queryDesc->sourceText);
	if (prev_executor_start)
		prev_executor_start(queryDesc, eflags);
	else
		standard_ExecutorStart(queryDesc, eflags);
}

static void
before_executing(QueryDesc *queryDesc, ScanDirection direction, uint64 count, bool execute_once)
{
	hide_executed(queryDesc->sourceText);
	if (prev_executor_run)
		prev_executor_run(queryDesc, direction, count, execute_once);
	else
		standard_ExecutorRun(queryDesc, direction, count, execute_once);
}

static void
before_utility(PlannedStmt *pstmt, const char *queryString, bool readOnlyTree,
			   ProcessUtilityContext context, ParamListInfo params,
			   QueryEnvironment *queryEnv, DestReceiver *dest, QueryCompletion *qc)
{
	hide_executed(queryString);
	if (prev_process_utility)
		prev_process_utility(pstmt, queryString, readOnlyTree, context, params, queryEnv, dest, qc);
	else
		standard_ProcessUtility(pstmt, queryString, readOnlyTree, context, params, queryEnv,
								dest, qc);
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
	ExecutorStart_hook = before_starting;
	prev_executor_run = ExecutorRun_hook;
	ExecutorRun_hook = before_executing;
	prev_process_utility = ProcessUtility_hook;
	ProcessUtility_hook = before_utility;
}
