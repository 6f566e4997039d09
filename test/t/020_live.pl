# The calls that ask a service at once, against a real CalDAV server.

use strict;
use warnings FATAL => 'all';

use IO::Socket::INET;
use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;

my $node = tasks_node('live', conf => "tasksync.push_delay = '1 h'\n");
my $dav = TasksyncTest::Dav->new('radicale');
my $errands = $dav->make_list('errands', 'Errands', '#ff8800');
my $work = $dav->make_list('work', 'Work');
my $home = $dav->make_list('home', 'Home', '#00aa00');
my $provider = add_caldav($node, $dav->url);
my $nobody = '00000000-0000-0000-0000-000000000000';

# Nothing is sent but by sync_now, so that differences last.
sub sync_mapping { return sql($node, "CALL tasksync.sync_now(mapping_id => '$_[0]')") }

sub fails_with
{
	my ($query, $expected, $name) = @_;

	return is(sqlstate($node, $query), $expected, $name);
}

# validate_connection and task_lists
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'the connection works');
is(sql($node, "SELECT name, color, is_writable, mapping_id IS NULL, external_list_id FROM tasksync.task_lists('$provider')"),
	"Errands|#ff8800|t|t|$errands\nHome|#00aa00|t|t|$home\nWork||t|t|$work", 'lists');
fails_with("SELECT tasksync.validate_connection('$nobody');", 'P0002', 'no such provider');
fails_with("SELECT tasksync.task_lists('$nobody');", 'P0002', 'no such provider either');
fails_with("SELECT tasksync.task_lists(NULL);", 'P0002', 'nor NULL');

# the preview of a first sync, and the sync after it
$dav->put_todo($errands, 'milk', 'SUMMARY:Buy milk', 'DUE;VALUE=DATE:20260301');
$dav->put_todo($errands, 'bread', 'SUMMARY:Bread', 'PRIORITY:1');
$dav->put_todo($errands, 'stamps', 'SUMMARY:Stamps');
$dav->put_todo($errands, 'rolls', 'SUMMARY:Rolls', 'RELATED-TO:bread');
sql($node, "INSERT INTO tasksync.project (id, name, color) VALUES ('00000000-0000-0000-0000-0000000000a1', 'Shopping', '#112233')");
my $project = '00000000-0000-0000-0000-0000000000a1';
sql($node, "INSERT INTO tasksync.task (project_id, title, due_date, description) VALUES
	('$project', 'buy milk', '2026-03-01', 'two litres'), ('$project', 'Stamps', NULL, NULL), ('$project', 'Only here', NULL, NULL)");
my $preview = "SELECT side, action, title, task_id IS NOT NULL, external_task_id FROM tasksync.preview_mapping('$provider', '$errands', '$project') ORDER BY 1, 2, 3";
my $planned = join("\n",
	"LOCAL|CREATE|Bread|f|${errands}bread.ics",
	"LOCAL|CREATE|Rolls|f|${errands}rolls.ics",
	"LOCAL|LINK|Stamps|t|${errands}stamps.ics",
	"LOCAL|LINK|buy milk|t|${errands}milk.ics",
	"LOCAL|UPDATE|buy milk|t|${errands}milk.ics",
	"REMOTE|CREATE|Only here|t|",
	"REMOTE|UPDATE|Buy milk|t|${errands}milk.ics");
is(sql($node, $preview), $planned, 'preview of a first sync');
is(sql($node, $preview), $planned, 'the same again');
is(sql($node, "SELECT count(*) FROM tasksync.task_list_mapping"), '0', 'nothing was made');
is(sql($node, "SELECT string_agg(title, ',' ORDER BY title) FROM tasksync.task"), 'Only here,Stamps,buy milk', 'or written');
is(sql($node, "SELECT count(*) FROM tasksync.sync_job"), '0', 'or queued');
is($dav->titles($errands), 'Bread, Buy milk, Rolls, Stamps', 'or sent');
is(sql($node, "SELECT side, action, count(*) FROM tasksync.preview_mapping('$provider', '$errands') GROUP BY 1, 2"),
	'LOCAL|CREATE|4', 'preview with a new project');
fails_with("SELECT * FROM tasksync.preview_mapping('$provider', '/tasks/nowhere/');", 'TS502', 'a list that is not there');
fails_with("SELECT * FROM tasksync.preview_mapping('$provider', '$errands', '$nobody');", 'P0002', 'a project that is not there');
fails_with("SELECT * FROM tasksync.preview_mapping('$provider', '');", '22023', 'no list');
is(sql($node, "DO \$\$ BEGIN
	PERFORM tasksync.preview_mapping('$provider', '/tasks/nowhere/');
EXCEPTION WHEN OTHERS THEN
	INSERT INTO tasksync.task (title) VALUES ('caught');
END \$\$; DELETE FROM tasksync.task WHERE title = 'caught' RETURNING title"), 'caught', 'its error can be caught');

my $mapping = sql($node, "SELECT tasksync.create_mapping('$provider', '$errands', '$project')");
sync_mapping($mapping);
is(sql($node, "SELECT string_agg(title, ',' ORDER BY lower(title)) FROM tasksync.task"), 'Bread,Buy milk,Only here,Rolls,Stamps', 'the sync did that');
is(sql($node, "SELECT j.name, j.color, m.name, m.external_list_color FROM tasksync.project j JOIN tasksync.task_list_mapping m ON m.project_id = j.id"),
	'Shopping|#112233|Errands|#ff8800', 'project and list keep their names');
is(sql($node, "SELECT name, project_id = '$project' FROM tasksync.task_lists('$provider') WHERE mapping_id = '$mapping'"),
	'Errands|t', 'task_lists knows the mapping');
is(sql($node, "SELECT * FROM tasksync.preview_mapping('$provider', '$errands')"), '', 'nothing to do then');

# verify_mapping
is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'in sync');
$dav->put_todo($errands, 'bread', 'SUMMARY:Brown bread', 'PRIORITY:1');
$dav->put_todo($errands, 'eggs', 'SUMMARY:Eggs');
$dav->delete("${errands}stamps.ics");
sql($node, "UPDATE tasksync.task SET description = 'three litres' WHERE title = 'Buy milk'; INSERT INTO tasksync.task (title, project_id) VALUES ('New', '$project')");
is(sql($node, "SELECT external_task_id, field, local, remote FROM tasksync.verify_mapping('$mapping') ORDER BY 1 NULLS FIRST"), join("\n",
	'|task|New|',
	"${errands}bread.ics|title|Bread|Brown bread",
	"${errands}eggs.ics|task||Eggs",
	"${errands}milk.ics|description|three litres|two litres",
	"${errands}stamps.ics|task|Stamps|"), 'differences');
is(sql($node, "SELECT side, action, title, external_task_id FROM tasksync.preview_mapping('$provider', '$errands') ORDER BY 1, 2, 3"), join("\n",
	"LOCAL|CREATE|Eggs|${errands}eggs.ics",
	"LOCAL|DELETE|Stamps|${errands}stamps.ics",
	"LOCAL|UPDATE|Bread|${errands}bread.ics",
	"REMOTE|CREATE|New|",
	"REMOTE|UPDATE|Buy milk|${errands}milk.ics"), 'preview of the next sync');
sync_mapping($mapping);
is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'in sync again');
sql($node, "INSERT INTO tasksync.task (title, project_id, due_date, due_time) VALUES ('Midnight', '$project', '2027-01-01', '24:00')");
sync_mapping($mapping);
is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'the end of a day is the beginning of the next');
$dav->put_todo($errands, 'done', 'SUMMARY:Done by a client that tells no time', 'STATUS:COMPLETED');
sync_mapping($mapping);
is(sql($node, "SELECT count(*), bool_and(completed_at IS NOT NULL) FROM tasksync.task WHERE title LIKE 'Done by %'"), '1|t', 'completed there');
is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', '... when, is known here alone');
fails_with("SELECT * FROM tasksync.verify_mapping('$nobody');", 'P0002', 'no such mapping');
my $unmade = sql($node, "WITH j AS (INSERT INTO tasksync.project (name) VALUES ('Later') RETURNING id)
	INSERT INTO tasksync.task_list_mapping (provider_id, project_id, sync_enabled) SELECT '$provider', id, false FROM j RETURNING id");
fails_with("SELECT * FROM tasksync.verify_mapping('$unmade');", '55000', 'a list that is yet to be made');

# names and colours
sql($node, "UPDATE tasksync.project SET name = 'Shopping list' WHERE id = '$project'");
sync_mapping($mapping);
is(sql($node, "SELECT name, color FROM tasksync.task_lists('$provider') WHERE mapping_id = '$mapping'"),
	'Shopping list|#ff8800', 'a new name of the project goes to the list, the colour stays');
my $homes = sql($node, "SELECT tasksync.create_mapping('$provider', '$home', sync_project_name => false)");
sync_mapping($homes);
is(sql($node, "SELECT j.name, j.color FROM tasksync.project j JOIN tasksync.task_list_mapping m ON m.project_id = j.id WHERE m.id = '$homes'"),
	'Home|#00aa00', 'a project made for a list takes its name and colour');

# map_all_lists
is(sql($node, "SELECT m.name, j.name, m.external_list_id, m.sync_direction FROM tasksync.map_all_lists('$provider') a(id)
	JOIN tasksync.task_list_mapping m ON m.id = a.id JOIN tasksync.project j ON j.id = m.project_id"), '', 'snapshot of the statement');
is(sql($node, "SELECT m.name, j.name, m.external_list_id, m.sync_direction FROM tasksync.task_list_mapping m
	JOIN tasksync.project j ON j.id = m.project_id WHERE m.external_list_id = '$work'"), "Work|Work|$work|BIDIRECTIONAL", 'every list is mapped');
is(sql($node, "SELECT count(*) FROM tasksync.map_all_lists('$provider')"), '0', 'once');

# From here on only the calls themselves ask the service: no sync may come between.
sql($node, "SELECT tasksync.update_provider('$provider', sync_enabled => false)");
ok(wait_until($node, "SELECT NOT EXISTS (SELECT FROM tasksync.sync_job WHERE status IN ('PENDING', 'RUNNING'))"), 'nothing is under way');

# refused credentials: no request leaves until there are new ones
my $account = sql($node, "SELECT account_id FROM tasksync.task_provider");
sql($node, "SELECT tasksync.set_credentials('$account', '{\"username\": \"tasks\", \"password\": \"wrong\"}')");
fails_with("SELECT tasksync.task_lists('$provider');", 'TS401', 'refused credentials');
is(sql($node, "SELECT status FROM tasksync.connected_account"), 'OK', 'an error cannot leave a mark');
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 'f', 'validate_connection says no');
is(sql($node, "SELECT p.sync_status, p.error_code, p.error_message <> '', a.status FROM tasksync.task_provider p JOIN tasksync.connected_account a ON a.id = p.account_id"),
	'ERROR|TS401|t|NEEDS_AUTH', 'and why');
$dav->stop;
fails_with("SELECT tasksync.task_lists('$provider');", 'TS401', 'no request is sent');
sql($node, "SELECT tasksync.set_credentials('$account', '{\"username\": \"tasks\", \"password\": \"secret\"}')");

# out of reach
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 'f', 'nobody is there');
is(sql($node, "SELECT error_code FROM tasksync.task_provider"), 'TS503', 'which is told');
fails_with("SELECT tasksync.task_lists('$provider');", 'TS503', 'and raised');
$dav->start;
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'back again');
is(sql($node, "SELECT sync_status, error_code, error_message FROM tasksync.task_provider"), 'OK||', 'no error is left');

# credentials from a file
my $file = PostgreSQL::Test::Utils::tempdir() . '/credentials.json';
PostgreSQL::Test::Utils::append_to_file($file, qq({"username": "tasks", "password": "stale"}\n));
sql($node, "SELECT tasksync.set_credentials_file('$account', '$file')");
fails_with("SELECT tasksync.task_lists('$provider');", 'TS401', 'credentials from a file are used');
unlink $file;
PostgreSQL::Test::Utils::append_to_file($file, ' { "username": "tasks", "password": "secret" }');
sql($node, "SELECT tasksync.set_credentials_file('$account', '$file')");
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'and replaced');
PostgreSQL::Test::Utils::append_to_file($file, '{"password": "hunter2"} \\u0000');
fails_with("SELECT tasksync.set_credentials_file('$account', '$file');", '22023', 'a file that is no JSON object');
PostgreSQL::Test::Utils::append_to_file($file, ' ' x 65536);
fails_with("SELECT tasksync.set_credentials_file('$account', '$file');", '22023', 'a file that is too large');
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/hunter2|stale/, 'no secret of the file in the log');

# a copy of the database touches nothing until it is adopted
$node->safe_psql('postgres', 'CREATE DATABASE copy TEMPLATE tasks');
is(sqlstate($node, "SELECT tasksync.task_lists('$provider');", dbname => 'copy'), '55000', 'a copy is silent');
is($node->safe_psql('copy', "SELECT tasksync.validate_connection('$provider')"), 'f', 'and says why');
like($node->safe_psql('copy', 'SELECT error_code, error_message FROM tasksync.task_provider'), qr/^55000\|.*copy/, 'in words');
$node->safe_psql('copy', 'SELECT tasksync.adopt_clone()');
is($node->safe_psql('copy', "SELECT count(*) FROM tasksync.task_lists('$provider')"), '3', 'until it is adopted');
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'the original goes on');

# a server that never answers: cancelled at once, given up in time
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1');
my $mute = sql($node, "SELECT tasksync.add_provider('CALDAV', 'Mute', '{\"token\": \"x\"}', '{\"url\": \"http://127.0.0.1:" . $silent->sockport . "/\"}')");
my $start = time;
fails_with("SET statement_timeout = '500ms'; SELECT tasksync.task_lists('$mute');", '57014', 'cancelled');
cmp_ok(time - $start, '<', 5, 'at once');
$node->append_conf('postgresql.conf', "tasksync.request_timeout = '700ms'");
$node->reload;
fails_with("SELECT tasksync.task_lists('$mute');", 'TS503', 'given up');
is(sql($node, "SELECT tasksync.validate_connection('$mute')"), 'f', 'also by validate_connection');
$node->append_conf('postgresql.conf', "tasksync.allow_private_networks = off");
$node->reload;
fails_with("SELECT tasksync.task_lists('$provider');", '42501', 'a host that is not allowed');

# another user's
sql($node, "CREATE ROLE ann LOGIN; SELECT tasksync.grant_access('ann')");
fails_with("SET ROLE ann; SELECT tasksync.task_lists('$provider');", 'P0002', 'another user has no such provider');
fails_with("SET ROLE ann; SELECT tasksync.verify_mapping('$mapping');", 'P0002', 'nor such a mapping');

done_testing();
