# Every secret that was ever used is looked for wherever it could have been left:
# the server's logs at their most talkative and in all their formats,
# pg_stat_activity, pg_stat_statements, every table as a plain user sees it, a
# dump, and all files of the data directory.
use strict;
use warnings FATAL => 'all';

use File::Find;
use IO::Socket::UNIX;
use MIME::Base64 qw(encode_base64);
use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep);

my $node = tasks_node('secrets', conf => <<'CONF');
shared_preload_libraries = 'pg_stat_statements,auto_explain,tasksync'
logging_collector = on
log_destination = 'stderr,csvlog,jsonlog'
log_directory = 'log'
pg_stat_statements.track = all
track_activity_query_size = 8192
tasksync.max_attempts = 1
CONF
$node->append_conf('postgresql.conf', <<'CONF');
log_min_messages = debug5
log_min_error_statement = debug5
log_error_verbosity = verbose
log_statement = all
log_min_duration_statement = 0
log_duration = on
log_parameter_max_length = -1
log_parameter_max_length_on_error = -1
log_lock_waits = on
deadlock_timeout = '50ms'
debug_print_parse = on
debug_print_rewritten = on
debug_print_plan = on
auto_explain.log_min_duration = 0
auto_explain.log_nested_statements = on
auto_explain.log_verbose = on
CONF
$node->reload;
wait_until($node, 'SELECT current_setting(\'auto_explain.log_verbose\') = \'on\'');
my $server = TasksyncTest::Hostile->new;
my $url = $server->url('dav');
my @secrets;

sql($node, <<'SQL');
CREATE EXTENSION pg_stat_statements;
CREATE ROLE ann LOGIN;
CREATE ROLE eve LOGIN;
GRANT CREATE ON SCHEMA public TO ann;
GRANT pg_read_server_files TO ann;
SELECT tasksync.grant_access('ann'), tasksync.grant_access('eve');
SQL

# A secret that was never used before, and is remembered.
sub secret
{
	push @secrets, sprintf 'sEcret%02dx%06d', scalar @secrets, int rand 1000000;
	return $secrets[-1];
}

# Statements of ann's, in one session; what they end with.
sub as_ann
{
	my ($statements) = @_;

	return sqlstate($node, $statements, psql => { extra_params => [ '-U', 'ann' ] });
}

my $n = 0;
sub credentials { return sprintf '{"username": "ann", "password": "%s"}', secret(); }
sub add { $n++; return "tasksync.add_provider('CALDAV', 'p$n', '" . credentials() . "', '{\"url\": \"$url\"}')"; }
sub account { $n++; return "tasksync.add_account('CALDAV', 'a$n', '" . credentials() . "')"; }

# What is looked at while it runs.
sub shown_while
{
	my ($name, $statement) = @_;
	my $shown = "SELECT query FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
	my $run = IPC::Run::start([ 'psql', '-XqAt', '-U', 'ann', '-d', $node->connstr('tasks'), '-c', $statement ],
		'>', \my $out, '2>', \my $err);

	ok(wait_until($node, "SELECT count(*) = 1 FROM ($shown) s"), "$name is under way");
	is(sql($node, $shown), '<a statement with credentials>', '... and pg_stat_activity shows nothing of it');
	$run->finish;
	return;
}

# Each way of sending a statement, and what it ends with.
is(as_ann('SELECT ' . add()), '00000', 'add_provider');
is(as_ann('SELECT ' . account()), '00000', 'add_account');
is(as_ann('SELECT TaskSync . "add_account" (\'CALDAV\', \'quoted\', \'' . credentials() . '\')'), '00000', 'a quoted name');
is(as_ann("SELECT tasksync.set_credentials(id, '" . credentials() . "') FROM tasksync.connected_account LIMIT 1"),
	'00000', 'set_credentials');
is(as_ann('DO $do$ BEGIN PERFORM ' . add() . '; END $do$'), '00000', 'DO');
is(as_ann('BEGIN; DECLARE c CURSOR FOR SELECT ' . account() . '; FETCH c; COMMIT'), '00000', 'a cursor');
is(as_ann('COPY (SELECT ' . account() . ') TO STDOUT'), '00000', 'COPY');
is(as_ann('CREATE TABLE made AS SELECT ' . account() . ' AS id'), '00000', 'CREATE TABLE AS');
is(as_ann('EXPLAIN (ANALYZE, VERBOSE) SELECT ' . account()), '00000', 'EXPLAIN');
is(as_ann('PREPARE p AS SELECT ' . account() . '; SELECT pg_sleep(0); EXECUTE p'), '00000', 'PREPARE with a literal');
my $prepare = 'PREPARE p (text, jsonb) AS SELECT tasksync.add_account(\'CALDAV\', $1, $2)';
is(as_ann("$prepare; EXECUTE p ('e1', '" . credentials() . "')"), '00000', 'EXECUTE with arguments');
is(as_ann("$prepare; EXPLAIN ANALYZE EXECUTE p ('e2', '" . credentials() . "')"), '00000', 'EXPLAIN EXECUTE');
is(as_ann("$prepare; CREATE TABLE made2 AS EXECUTE p ('e3', '" . credentials() . "')"), '00000', 'CREATE TABLE AS EXECUTE');

# Those that fail: in parsing, in analysis, in the middle
is(as_ann('SELECT ' . account() . ', 1/0'), '22012', 'a division by zero');
is(as_ann('SELECT ' . account() . ' +'), '42601', 'a syntax error');
is(as_ann('SELECT ' . account() . '::no_such_type'), '42704', 'a type that there is not');
is(as_ann("SELECT tasksync.add_account('CALDAV', 'x', '{\"token\": \"" . secret() . "\"')"), '22P02', 'JSON that is none');
is(as_ann("SELECT tasksync.add_account('CALDAV', 'x', '\"" . secret() . "\"')"), '22023', 'credentials that are a string');
is(as_ann("SELECT tasksync.add_account('CALDAV', 'x', '{\"token\": \"" . secret() . "\\n\"}')"), '22023', 'a line break in a token');
is(as_ann("SELECT tasksync.add_provider('CALDAV', 'x', NULL, '{\"url\": \"http://ann:" . secret() . "\@127.0.0.1/\"}')"),
	'22023', 'a password in the url');
is(as_ann("SELECT tasksync.add_account('CALDAV', '" . secret() . "')"), '42883', 'too few arguments');
is(as_ann("$prepare; EXECUTE p ('e4', '{\"token\": \"" . secret() . "')"), '22P02', 'EXECUTE with JSON that is none');
is(as_ann("$prepare; EXECUTE p ('e5', '" . credentials() . "', 1)"), '42601', 'EXECUTE with too many arguments');
is(as_ann("SET statement_timeout = '400ms'; SELECT " . account() . ', pg_sleep(5)'), '57014', 'a timeout');
is(sqlstate($node, "SELECT tasksync.add_account('CALDAV', 'x', '" . credentials() . "')",
		psql => { extra_params => [ '-U', 'eve' ] }), '00000', 'another user');

# … while it waits for a lock, and says so in the log
my $blocker = $node->background_psql('tasks');
$blocker->query_safe('BEGIN; LOCK TABLE tasksync.secret');
is(as_ann("SET statement_timeout = '400ms'; SELECT " . account()), '57014', 'a lock that is waited for');
$blocker->quit;

# By the extended protocol, with parameters
my $script = $node->basedir . '/extended.sql';
PostgreSQL::Test::Utils::append_to_file($script,
	"SELECT tasksync.add_account('CALDAV', 'x' || random(), jsonb_build_object('token', :token::text));\n");
foreach my $protocol (qw(simple extended prepared))
{
	$node->command_ok([ 'pgbench', '-n', '-t', '2', '-M', $protocol, '-f', $script, '-U', 'ann', '-D',
			'token=' . ($protocol eq 'simple' ? "'" . secret() . "'" : secret()), $node->connstr('tasks') ], "pgbench -M $protocol");
}

shown_while('a SELECT', 'SELECT ' . account() . ', pg_sleep(1.5)');
shown_while('a DO', 'DO $do$ BEGIN PERFORM ' . account() . '; PERFORM pg_sleep(1.5); END $do$');
shown_while('an EXECUTE', 'PREPARE p (jsonb) AS SELECT tasksync.add_account(\'CALDAV\', \'slow\', $1), pg_sleep(1.5);'
	  . " EXECUTE p ('" . credentials() . "')");

# By the extended protocol a statement is shown anew when it is bound and executed
my $do = $node->basedir . '/do.sql';
PostgreSQL::Test::Utils::append_to_file($do, 'DO $do$ BEGIN PERFORM ' . account() . "; PERFORM pg_sleep(1.5); END \$do\$;\n");
my $run = IPC::Run::start([ 'pgbench', '-n', '-t', '1', '-M', 'extended', '-f', $do, '-U', 'ann', $node->connstr('tasks') ],
	'>', '/dev/null', '2>', '/dev/null');
my $sleeping = "FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
ok(wait_until($node, "SELECT count(*) = 1 $sleeping"), 'a DO by the extended protocol is under way');
is(sql($node, "SELECT query $sleeping"), '<a statement with credentials>', '... and pg_stat_activity shows nothing of it');
$run->finish;

sub message { my ($type, $body) = @_; return $type . pack('N', 4 + length $body) . $body; }
sub by_hand
{
	my ($until, @messages) = @_;
	my $socket = IO::Socket::UNIX->new($node->host . '/.s.PGSQL.' . $node->port) or die $!;
	my $answer = '';

	$socket->syswrite(message('', pack('N', 196608) . "user\0ann\0database\0tasks\0application_name\0by_hand\0\0"));
	$socket->sysread($answer, 8192, length $answer) while $answer !~ /Z\0\0\0\x05I/;
	$answer = '';
	$socket->syswrite(join '', @messages);
	$socket->sysread($answer, 8192, length $answer) while $answer !~ $until;
	my $shown = sql($node, "SELECT query FROM pg_stat_activity WHERE application_name = 'by_hand'");
	$socket->close;
	wait_until($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'by_hand'");
	return $shown;
}

my $bind = message('B', "\0\0" . pack('nnn', 0, 0, 0));
sub parse { return message('P', "\0$_[0]\0" . pack('n', 0)); }
is(by_hand(qr/^1\0\0\0\x04/, parse('SELECT ' . account()), message('H', '')),
	'<a statement with credentials>', 'a statement that has only been parsed is not shown');
is(by_hand(qr/Z\0\0\0\x05I/, parse('CREATE FUNCTION public.holds() RETURNS void LANGUAGE plpgsql AS \'BEGIN PERFORM tasksync.add_account(1); END\''),
		$bind, message('E', "\0" . pack('N', 0)), message('S', '')),
	'<a statement with credentials>', '... nor one that plans nothing');
is(by_hand(qr/^1\0\0\0\x042\0\0\0\x04/, parse('SELECT ' . account()), $bind, message('H', '')),
	'<a statement with credentials>', 'one that is bound and waits is not shown either');
is(by_hand(qr/Z\0\0\0\x05I/, parse('PREPARE p AS SELECT ' . account()), $bind, message('E', "\0" . pack('N', 0)), message('S', '')),
	'<a statement with credentials>', '... nor a PREPARE that has been executed');

# From a file: the way that needs no statement
my $file = $node->basedir . '/credentials.json';
PostgreSQL::Test::Utils::append_to_file($file, credentials());
chmod 0600, $file;
is(as_ann("SELECT tasksync.set_credentials_file(id, '$file') FROM tasksync.connected_account WHERE label = 'a2'"),
	'00000', 'set_credentials_file');
PostgreSQL::Test::Utils::append_to_file("$file.bad", '{"token": "' . secret());
is(as_ann("SELECT tasksync.set_credentials_file(id, '$file.bad') FROM tasksync.connected_account WHERE label = 'a2'"),
	'22023', '... with a file that is no JSON');
PostgreSQL::Test::Utils::append_to_file("$file.odd", '{"password": "' . secret() . '"}');
is(as_ann("SELECT tasksync.set_credentials_file(id, '$file.odd') FROM tasksync.connected_account WHERE label = 'a2'"),
	'22023', '... with one that is incomplete');

# They are used: in a call, and by the worker
my ($provider, $password) = split /\|/, sql($node, "SELECT id FROM tasksync.task_provider WHERE name = 'p1'") . '|' . $secrets[0];
is(as_ann("SELECT set_config('x.y', tasksync.validate_connection('$provider')::text, false)"), '00000', 'a call uses them');
is(as_ann("SELECT tasksync.create_mapping('$provider', '/dav/'); CALL tasksync.sync_now('$provider')"), '00000', 'a sync uses them');
my $sent = 'Basic ' . encode_base64("ann:$password", '');
cmp_ok(scalar(grep { / \Q$sent\E$/ } $server->requests), '>=', 2, '... and the service got them');

# A service may show them in its error pages, which we quote
foreach my $given (credentials(), '{"token": "' . secret() . '"}')
{
	$n++;
	is(as_ann("SELECT tasksync.add_provider('CALDAV', 'echo$n', '$given', '{\"url\": \"" . $server->url('echo') . '"}\') AS echo \gset
		SELECT tasksync.create_mapping(:\'echo\', \'/echo/\'); SELECT tasksync.validate_connection(:\'echo\')'), '00000', 'a service that shows what it was sent');
	ok(wait_until($node, "SELECT count(*) = 1 FROM tasksync.sync_job j JOIN tasksync.task_provider p ON p.id = j.provider_id WHERE p.name = 'echo$n' AND j.status = 'FAILED'"), '... is quoted');
}
like(sql($node, 'SELECT string_agg(error_detail, \' \') FROM tasksync.sync_job'), qr/You sent \w* ?\*+/, '... but for what is secret');

# A rotation sees them all
cmp_ok(sql($node, 'SELECT tasksync.rotate_secret_key()'), '>', 10, 'all are sealed anew');

#
# The search
#

# The forms that a text could have been left in: as it is, in bytea's hex, in the
# decimal bytes of a printed tree, in base64 whatever it began at.
sub forms
{
	my ($text) = @_;
	my @base64 = map { my $s = encode_base64('x' x $_ . $text, ''); substr $s, 4, -4 } 0 .. 2;

	return ($text, unpack('H*', $text), join(' ', unpack('C*', $text)), @base64);
}

my @forms = map { forms($_) } @secrets;
my $any = join '|', map { quotemeta } @forms;
$any = qr/($any)/;

sub is_clean
{
	my ($text, $name) = @_;

	ok($text !~ $any, $name) or diag('found: ' . substr $text, ($-[0] > 300 ? $-[0] - 300 : 0), 500);
	return;
}

# Is a text of ours found at all, where it is not a secret?
sql($node, 'SELECT \'a canary\' AS "sEcretCanary"');
is(sql($node, "SELECT count(*) FROM pg_stat_statements WHERE query ~ 'sEcretCanary'"), '1', 'pg_stat_statements sees statements');
is_clean(sql($node, 'SELECT string_agg(query, E\'\n\') FROM pg_stat_statements'), '... and no secret');
is(sql($node, "SELECT count(*) FROM pg_stat_statements WHERE query ~* 'add_account|add_provider|set_credentials *\\('"), '0',
	'... nor any statement that could hold one');
is_clean(sql($node, 'SELECT string_agg(query, E\'\n\') FROM pg_stat_activity'), 'pg_stat_activity');

# Every table and view, as both users and the superuser may read them
foreach my $user ('ann', 'eve', $node->safe_psql('postgres', 'SELECT current_user'))
{
	my $everything = $node->safe_psql('tasks', <<'SQL', extra_params => [ '-U', $user ]);
SELECT format('SELECT t::text FROM %s AS t;', c.oid::regclass)
FROM pg_class c
WHERE c.relkind IN ('r', 'v', 'm', 'p') AND has_table_privilege(c.oid, 'SELECT')
AND (c.relnamespace <> 'pg_catalog'::regnamespace OR c.relname ~ '^(pg_stat|pg_prepared|pg_cursors|pg_settings|pg_proc)') \gexec
SQL
	my ($rows) = $everything;
	cmp_ok(length $rows, '>', 1000, "$user can read something");
	is_clean($rows, '... and no secret');
}

my ($dump) = PostgreSQL::Test::Utils::run_command([ 'pg_dump', '-d', $node->connstr('tasks') ]);
like($dump, qr/COPY tasksync\.secret .*\\\\x/s, 'a dump holds ciphertext');
is_clean($dump, '... and no secret');

# Everything on disk: logs, statistics, tables, WAL
$node->stop;
my $patterns = $node->basedir . '/patterns';
PostgreSQL::Test::Utils::append_to_file($patterns, join '', map { "$_\n" } @forms);
my $logs = 0;
find({ no_chdir => 1, wanted => sub { $logs += -s if -f; } }, $node->data_dir . '/log');
cmp_ok($logs, '>', 1000000, 'the logs are talkative');
my ($found) = PostgreSQL::Test::Utils::run_command([ 'grep', '-rlaF', '-f', $patterns, $node->data_dir ]);
is($found, '', 'no file of the data directory holds a secret, the logs included');
($found) = PostgreSQL::Test::Utils::run_command([ 'grep', '-rlaF', 'sEcretCanary', $node->data_dir . '/log' ]);
isnt($found, '', '... though the search does find what is there');
is_clean(PostgreSQL::Test::Utils::slurp_file($node->logfile), 'nor does the log before the collector');
is((stat $node->data_dir . '.tasksync/secret.key')[2] & 07777, 0600, 'the key file is for its owner alone');
unlike($node->data_dir . '.tasksync', qr{^\Q@{[ $node->data_dir ]}\E/}, '... and outside the data directory');

done_testing();
