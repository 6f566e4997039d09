# Services that refuse, fail and lie: each gives the contract's error, in the
# provider's row and in the job, and the next good sync mends all.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my $node = tasks_node('main', conf => <<CONF);
tasksync.push_delay = '1h'
tasksync.request_timeout = '3s'
tasksync.connect_timeout = '2s'
tasksync.max_response_size = '20MB'
tasksync.max_attempts = 2
tasksync.retry_base_delay = '50ms'
CONF
my $list = $dav->make_list('errands', 'Errands');
$dav->put_todo($list, "uid$_", "SUMMARY:Task $_") foreach 1 .. 20;
my $provider = add_caldav($node, $proxy->url);
my ($mapping, $project) = map_list($node, $provider, $list);

sub shown
{
	return sql($node, "SELECT concat_ws('/', sync_status, error_code) FROM tasksync.task_provider WHERE id = '$provider'");
}

sub tasks { return sql($node, 'SELECT count(*) FROM tasksync.task'); }

# One bad mode: its error, then a good sync.
sub fails
{
	my ($mode, $sqlstate, $name) = @_;

	# something to fetch, so that the answer matters
	$dav->put_todo($list, 'uid1', 'SUMMARY:Task 1', "DESCRIPTION:$name");
	$proxy->mode($mode);
	my $start = time;
	is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), $sqlstate, "$name: the SQLSTATE of sync_now");
	ok(time - $start < 20, "$name: in good time") or diag(time - $start);
	is(shown(), "ERROR/$sqlstate", "$name: the provider's row shows it");
	is(sync_job($node, 'concat_ws(\'/\', status, error_code, error_message <> \'\')'), "FAILED/$sqlstate/t",
		"$name: so does the job");
	is(tasks(), '20', "$name: nothing is lost");
	$proxy->mode('pass');
	is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', "$name: the next good sync succeeds");
	is(sql($node, 'SELECT concat_ws(\'/\', p.sync_status, m.sync_status, p.error_code, p.error_message, m.error_code, m.error_message)'
			  . " FROM tasksync.task_provider p, tasksync.task_list_mapping m WHERE p.id = '$provider' AND m.id = '$mapping'"),
		'OK/OK', "$name: and mends all");
	is(sql($node, 'SELECT description FROM tasksync.task WHERE title = \'Task 1\''), $name, "$name: and brings what was missed");
	return;
}

fails('html', 'TS502', 'a login page instead of XML');
fails('truncate', 'TS503', 'a truncated body');
fails('cut-chunked', 'TS503', 'a chunked body without an end');
fails('close', 'TS503', 'a connection closed without an answer');
fails('status 500', 'TS503', 'an internal server error');
fails('status 503', 'TS503', 'a service unavailable');
fails('silent', 'TS503', 'a service that does not answer');
fails('huge 300', 'TS502', 'an answer of 300 MB');
fails('gzip-bomb 300', 'TS502', 'a compressed answer of 300 MB');
fails('entities', 'TS502', 'nested XML entities');

# A server that is down
$dav->stop;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS503', 'behind the proxy: a dead server');
$proxy->mode('pass');
$dav->start;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', '... which comes back');
my $dead = sql($node, 'SELECT tasksync.add_provider(\'CALDAV\', \'dead\', \'{"username": "a", "password": "b"}\','
	  . ' \'{"url": "http://127.0.0.1:' . free_port() . '/"}\')');
sql($node, 'INSERT INTO tasksync.project (name) VALUES (\'Dead\')');
sql($node, "SELECT tasksync.create_mapping('$dead', '/x/', id) FROM tasksync.project WHERE name = 'Dead'");
is(sqlstate($node, "CALL tasksync.sync_now('$dead')"), 'TS503', 'a dead server');
sql($node, "SELECT tasksync.remove_provider('$dead')");
sql($node, "DELETE FROM tasksync.connected_account WHERE label LIKE 'a@%'");

# Retry-After
$proxy->mode('retry-after 1');
$proxy->requests;
my $start = time;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS503', 'a service that asks to wait');
my $asked = () = $proxy->requests;
ok(time - $start >= 1 && $asked <= 3, '... is waited for') or diag("$asked requests");
$proxy->mode('pass');
sync($node, $provider);

# Refused credentials
sql($node, "UPDATE tasksync.task SET title = 'Task two' WHERE title = 'Task 2'");
$proxy->mode('status 401');
$proxy->requests;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS401', 'refused credentials');
is(shown(), 'ERROR/TS401', '... the provider\'s row shows it');
is(sync_job($node, 'concat_ws(\'/\', status, error_code, attempts)'), 'FAILED/TS401/1', '... the job fails without another attempt');
is(sql($node, 'SELECT status FROM tasksync.connected_account'), 'NEEDS_AUTH', '... the account needs new ones');
$proxy->mode('pass');
$proxy->requests;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS401', '... and no sync is tried');
sql($node, "UPDATE tasksync.task_provider SET next_sync_at = now() WHERE id = '$provider'");
sleep 1.5;
is(scalar(() = $proxy->requests), 0, '... no request leaves');
sql($node, 'SELECT tasksync.set_credentials(id, \'{"username": "tasks", "password": "wrong"}\') FROM tasksync.connected_account');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS401', 'a wrong password');
sql($node, 'SELECT tasksync.set_credentials(id, \'{"username": "tasks", "password": "secret"}\') FROM tasksync.connected_account');
is(sql($node, 'SELECT status FROM tasksync.connected_account'), 'OK', 'set_credentials makes the account good');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', '... and the next sync succeeds');
is($dav->titles($list) =~ /Task two/ ? 1 : 0, 1, '... and sends what had waited');

# A push whose answer is lost is not doubled
sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'Sent once')");
$proxy->mode('PUT lost');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', 'an answer that gets lost is found out about');
is(sync_job($node, 'attempts'), '2', '... by the next attempt');
$proxy->mode('pass');
is(scalar(grep { /SUMMARY:Sent once/ } values %{ $dav->todos($list) }), 1, '... and the task is there once');
is(sql($node, 'SELECT count(*) FROM tasksync.task WHERE title = \'Sent once\''), '1', '... and once here');

# One refused item does not stop the others
sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'Too much')");
$proxy->mode('PUT status 507');
$dav->put_todo($list, 'extra', 'SUMMARY:Extra');
sqlstate($node, "CALL tasksync.sync_now('$provider')");
is(sql($node, 'SELECT count(*) FROM tasksync.task WHERE title = \'Extra\''), '1', 'a refused item does not stop what comes');
like(sql($node, "SELECT string_agg(error_message, ' ') FROM (SELECT error_message FROM tasksync.task_link"
		  . " UNION ALL SELECT error_message FROM tasksync.task_change) e"), qr/507/, '... and its error is kept');
$proxy->mode('pass');
sql($node, "SELECT tasksync.retry_failed('$mapping')");
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', 'retry_failed tries it again');
like($dav->titles($list), qr/Too much/, '... and it arrives');

# ... and what was refused goes as soon as it is edited, not only after the pause
my $journal = "SELECT string_agg(concat_ws('/', c.change_type, c.attempts, c.error_code, c.synced_at IS NOT NULL), ' ' ORDER BY c.id)"
  . ' FROM tasksync.task_change c WHERE c.task_id = (SELECT id FROM tasksync.task WHERE title ~ \'refused\')';
sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'To be refused')");
$proxy->mode('PUT status 403');
sqlstate($node, "CALL tasksync.sync_now('$provider')");
is(sql($node, $journal), 'CREATE/1/TS502/f', 'the journal counts the attempt that was refused');
$proxy->mode('pass');
sync($node, $provider);
unlike($dav->titles($list), qr/refused/, 'what was refused rests');
sql($node, 'UPDATE tasksync.task SET title = \'Not refused\' WHERE title = \'To be refused\'');
sync($node, $provider);
like($dav->titles($list), qr/Not refused/, '... until it is edited');
is(sql($node, $journal), 'CREATE/1/t UPDATE/0/t', '... and the journal is done with it');

# Hosts
is(sqlstate($node, 'SELECT tasksync.add_provider(\'CALDAV\', NULL, \'{"token": "t"}\')'), '22023', 'a provider without a url is refused');
is(sqlstate($node, 'SELECT tasksync.add_provider(\'CALDAV\', NULL, \'{"token": "t"}\', \'{"url": "ftp://example.org/"}\')'),
	'22023', 'a scheme other than http is refused');
is(sqlstate($node, 'SELECT tasksync.add_provider(\'NOSUCH\', NULL, \'{"token": "t"}\')'), '22023', 'an unknown type is refused');
$node->append_conf('postgresql.conf', "tasksync.allow_private_networks = off\n");
$node->reload;
sleep 0.5;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '42501', 'a loopback address is refused when private networks are');
is(shown(), 'ERROR/42501', '... the provider\'s row shows it');
$node->append_conf('postgresql.conf', "tasksync.allow_private_networks = on\n");
$node->reload;
sleep 0.5;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', '... and reached again when they are allowed');

# What is written nowhere: the passwords
my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
ok($log !~ /"password": "(?:secret|wrong)"/, 'the server log never shows a password');
my ($dump) = PostgreSQL::Test::Utils::run_command([ 'pg_dump', '-d', $node->connstr('tasks') ]);
ok($dump =~ /Task two/, 'a dump holds the tasks');
ok($dump !~ /"(?:secret|wrong)"/, '... and no password');

$node->stop;
done_testing();
