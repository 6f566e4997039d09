# The calls that ask a service at once, against a real CalDAV server.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/../perl";
use TasksyncTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('live', preload => 1);
my $dav = start_server('radicale');
my $errands = make_list($dav, 'errands', name => 'Errands', color => '#ff8800');
my $work = make_list($dav, 'work', name => 'Work');
my $home = make_list($dav, 'home', name => 'Home', color => '#00aa00');
my $provider = add_caldav($node, $dav);
my $nobody = '00000000-0000-0000-0000-000000000000';

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub fails_with
{
	my ($sql, $error, $name) = @_;
	like(error_of($node, $sql), $error, $name);
}

# validate_connection and task_lists
is(sql("SELECT tasksync.validate_connection('$provider')"), 't', 'the connection works');
is(sql("SELECT name, color, is_writable, mapping_id IS NULL, external_list_id FROM tasksync.task_lists('$provider')"),
	"Errands|#ff8800|t|t|$errands\nHome|#00aa00|t|t|$home\nWork||t|t|$work", 'lists');
fails_with("SELECT tasksync.validate_connection('$nobody');", qr/^P0002/, 'no such provider');
fails_with("SELECT tasksync.task_lists('$nobody');", qr/^P0002/, 'no such provider either');
fails_with("SELECT tasksync.task_lists(NULL);", qr/^P0002/, 'nor NULL');

# the preview of a first sync, and the sync after it
put_task($dav, $errands, 'milk', 'SUMMARY:Buy milk', 'DUE;VALUE=DATE:20260301');
put_task($dav, $errands, 'bread', 'SUMMARY:Bread', 'PRIORITY:1');
put_task($dav, $errands, 'stamps', 'SUMMARY:Stamps');
put_task($dav, $errands, 'rolls', 'SUMMARY:Rolls', 'RELATED-TO:bread');
sql("INSERT INTO tasksync.project (id, name, color) VALUES ('00000000-0000-0000-0000-0000000000a1', 'Shopping', '#112233')");
my $project = '00000000-0000-0000-0000-0000000000a1';
sql("INSERT INTO tasksync.task (project_id, title, due_date, description) VALUES
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
is(sql($preview), $planned, 'preview of a first sync');
is(sql($preview), $planned, 'the same again');
is(sql("SELECT count(*) FROM tasksync.task_list_mapping"), '0', 'nothing was made');
is(sql("SELECT string_agg(title, ',' ORDER BY title) FROM tasksync.task"), 'Only here,Stamps,buy milk', 'or written');
is(sql("SELECT count(*) FROM tasksync.sync_job"), '0', 'or queued');
is(scalar(my @objects = list_objects($dav, $errands)), 4, 'or sent');
is(sql("SELECT side, action, count(*) FROM tasksync.preview_mapping('$provider', '$errands') GROUP BY 1, 2"),
	'LOCAL|CREATE|4', 'preview with a new project');
fails_with("SELECT * FROM tasksync.preview_mapping('$provider', '/tasks/nowhere/');", qr/^TS50/, 'a list that is not there');
fails_with("SELECT * FROM tasksync.preview_mapping('$provider', '$errands', '$nobody');", qr/^P0002/, 'a project that is not there');
fails_with("SELECT * FROM tasksync.preview_mapping('$provider', '');", qr/^22023/, 'no list');
is(sql("DO \$\$ BEGIN
	PERFORM tasksync.preview_mapping('$provider', '/tasks/nowhere/');
EXCEPTION WHEN OTHERS THEN
	INSERT INTO tasksync.task (title) VALUES ('caught');
END \$\$; DELETE FROM tasksync.task WHERE title = 'caught' RETURNING title"), 'caught', 'its error can be caught');

my $mapping = sql("SELECT tasksync.create_mapping('$provider', '$errands', '$project')");
sync_now($node, $mapping);
is(sql("SELECT string_agg(title, ',' ORDER BY lower(title)) FROM tasksync.task"), 'Bread,Buy milk,Only here,Rolls,Stamps', 'the sync did that');
is(sql("SELECT j.name, j.color, m.name, m.external_list_color FROM tasksync.project j JOIN tasksync.task_list_mapping m ON m.project_id = j.id"),
	'Shopping|#112233|Errands|#ff8800', 'project and list keep their names');
is(sql("SELECT name, project_id = '$project' FROM tasksync.task_lists('$provider') WHERE mapping_id = '$mapping'"),
	'Errands|t', 'task_lists knows the mapping');
is(sql("SELECT * FROM tasksync.preview_mapping('$provider', '$errands')"), '', 'nothing to do then');

# verify_mapping
is(sql("SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'in sync');
put_task($dav, $errands, 'bread', 'SUMMARY:Brown bread', 'PRIORITY:1');
put_task($dav, $errands, 'eggs', 'SUMMARY:Eggs');
delete_object($dav, "${errands}stamps.ics");
sql("UPDATE tasksync.task SET description = 'three litres' WHERE title = 'Buy milk'; INSERT INTO tasksync.task (title, project_id) VALUES ('New', '$project')");
is(sql("SELECT external_task_id, field, local, remote FROM tasksync.verify_mapping('$mapping') ORDER BY 1 NULLS FIRST"), join("\n",
	'|task|New|',
	"${errands}bread.ics|title|Bread|Brown bread",
	"${errands}eggs.ics|task||Eggs",
	"${errands}milk.ics|description|three litres|two litres",
	"${errands}stamps.ics|task|Stamps|"), 'differences');
is(sql("SELECT side, action, title, external_task_id FROM tasksync.preview_mapping('$provider', '$errands') ORDER BY 1, 2, 3"), join("\n",
	"LOCAL|CREATE|Eggs|${errands}eggs.ics",
	"LOCAL|DELETE|Stamps|${errands}stamps.ics",
	"LOCAL|UPDATE|Bread|${errands}bread.ics",
	"REMOTE|CREATE|New|",
	"REMOTE|UPDATE|Buy milk|${errands}milk.ics"), 'preview of the next sync');
sync_now($node, $mapping);
is(sql("SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'in sync again');
fails_with("SELECT * FROM tasksync.verify_mapping('$nobody');", qr/^P0002/, 'no such mapping');
my $unmade = sql("WITH j AS (INSERT INTO tasksync.project (name) VALUES ('Later') RETURNING id)
	INSERT INTO tasksync.task_list_mapping (provider_id, project_id, sync_enabled) SELECT '$provider', id, false FROM j RETURNING id");
fails_with("SELECT * FROM tasksync.verify_mapping('$unmade');", qr/^55000/, 'a list that is yet to be made');

# names and colours
sql("UPDATE tasksync.project SET name = 'Shopping list' WHERE id = '$project'");
sync_now($node, $mapping);
is(sql("SELECT name, color FROM tasksync.task_lists('$provider') WHERE mapping_id = '$mapping'"),
	'Shopping list|#ff8800', 'a new name of the project goes to the list, the colour stays');
my $homes = sql("SELECT tasksync.create_mapping('$provider', '$home', sync_project_name => false)");
sync_now($node, $homes);
is(sql("SELECT j.name, j.color FROM tasksync.project j JOIN tasksync.task_list_mapping m ON m.project_id = j.id WHERE m.id = '$homes'"),
	'Home|#00aa00', 'a project made for a list takes its name and colour');

# map_all_lists
is(sql("SELECT m.name, j.name, m.external_list_id, m.sync_direction FROM tasksync.map_all_lists('$provider') a(id)
	JOIN tasksync.task_list_mapping m ON m.id = a.id JOIN tasksync.project j ON j.id = m.project_id"), '', 'snapshot of the statement');
is(sql("SELECT m.name, j.name, m.external_list_id, m.sync_direction FROM tasksync.task_list_mapping m
	JOIN tasksync.project j ON j.id = m.project_id WHERE m.external_list_id = '$work'"), "Work|Work|$work|BIDIRECTIONAL", 'every list is mapped');
is(sql("SELECT count(*) FROM tasksync.map_all_lists('$provider')"), '0', 'once');

# refused credentials: no request leaves until there are new ones
my $account = sql("SELECT account_id FROM tasksync.task_provider");
sql("SELECT tasksync.set_credentials('$account', '{\"username\": \"tasks\", \"password\": \"wrong\"}')");
fails_with("SELECT tasksync.task_lists('$provider');", qr/^TS401/, 'refused credentials');
is(sql("SELECT status FROM tasksync.connected_account"), 'OK', 'an error cannot leave a mark');
is(sql("SELECT tasksync.validate_connection('$provider')"), 'f', 'validate_connection says no');
is(sql("SELECT p.sync_status, p.error_code, p.error_message <> '', a.status FROM tasksync.task_provider p JOIN tasksync.connected_account a ON a.id = p.account_id"),
	'ERROR|TS401|t|NEEDS_AUTH', 'and why');
stop_server($dav);
fails_with("SELECT tasksync.task_lists('$provider');", qr/^TS401/, 'no request is sent');
sql("SELECT tasksync.set_credentials('$account', '{\"username\": \"tasks\", \"password\": \"secret\"}')");

# out of reach
is(sql("SELECT tasksync.validate_connection('$provider')"), 'f', 'nobody is there');
is(sql("SELECT error_code FROM tasksync.task_provider"), 'TS503', 'which is told');
fails_with("SELECT tasksync.task_lists('$provider');", qr/^TS503/, 'and raised');
$dav = start_server('radicale', port => $dav->{port}, data => $dav->{data});
is(sql("SELECT tasksync.validate_connection('$provider')"), 't', 'back again');
is(sql("SELECT sync_status, error_code, error_message FROM tasksync.task_provider"), 'OK||', 'no error is left');

# a server that never answers: cancelled at once, given up in time
my $silent = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1');
my $mute = sql("SELECT tasksync.add_provider('CALDAV', 'Mute', '{\"token\": \"x\"}', '{\"url\": \"http://127.0.0.1:" . $silent->sockport . "/\"}')");
my $start = time;
fails_with("SET statement_timeout = '500ms'; SELECT tasksync.task_lists('$mute');", qr/^57014/, 'cancelled');
cmp_ok(time - $start, '<', 5, 'at once');
$node->append_conf('postgresql.conf', "tasksync.request_timeout = '700ms'");
$node->reload;
fails_with("SELECT tasksync.task_lists('$mute');", qr/^TS503/, 'given up');
is(sql("SELECT tasksync.validate_connection('$mute')"), 'f', 'also by validate_connection');
$node->append_conf('postgresql.conf', "tasksync.allow_private_networks = off");
$node->reload;
fails_with("SELECT tasksync.task_lists('$provider');", qr/^42501/, 'a host that is not allowed');

# another user's
sql("CREATE ROLE ann LOGIN; SELECT tasksync.grant_access('ann')");
fails_with("SET ROLE ann; SELECT tasksync.task_lists('$provider');", qr/^P0002/, 'another user has no such provider');
fails_with("SET ROLE ann; SELECT tasksync.verify_mapping('$mapping');", qr/^P0002/, 'nor such a mapping');

# no secret in the log
unlike(slurp_file($node->logfile), qr/"secret"|"wrong"/, 'no password in the log');

done_testing();
