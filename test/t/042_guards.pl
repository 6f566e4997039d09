# What makes a sync stop and ask, or say that something is wrong: another
# account, another server, the same field changed all over a list, a field that
# swings to and fro, and mappings that no sync gets through to.
use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;

my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my $node = tasks_node('guards',
	conf => "tasksync.push_delay = '1h'\ntasksync.max_attempts = 1\ntasksync.mass_change_minimum = 5\n");
my $list = $dav->make_list('things', 'Things');
my $provider = add_caldav($node, $proxy->url);
my $account = sql($node, 'SELECT account_id FROM tasksync.task_provider');

$dav->put_todo($list, "n$_", "SUMMARY:Thing $_") foreach 1 .. 8;
my ($mapping, $project) = map_list($node, $provider, $list);

sub sync_mapping { return sql($node, "CALL tasksync.sync_now(mapping_id => '$mapping', timeout => '60 s')") }
sub titles { return sql($node, "SELECT string_agg(title, ', ' ORDER BY title) FROM tasksync.task WHERE project_id = '$project'") }
sub status { return sql($node, "SELECT sync_status FROM tasksync.task_list_mapping WHERE id = '$mapping'") }
sub why { return sql($node, "SELECT error_message FROM tasksync.task_list_mapping WHERE id = '$mapping'") }
sub confirm { return sql($node, "SELECT tasksync.confirm_deletions('$mapping')") }
sub put { my ($path, $uid, @lines) = @_; return $dav->put($path, TasksyncTest::Dav::vtodo($uid, @lines)) }
sub set_password { return sql($node, "SELECT tasksync.set_credentials('$account', '{\"username\": \"tasks\", \"password\": \"$_[0]\"}')") }

my @things = map { "Thing $_" } 1 .. 8;

# another account
sync_mapping();
$proxy->requests;
sync_mapping();
is(scalar(() = $proxy->requests), 1, 'whose account it is, is not asked every time');
set_password('secret');
$proxy->requests;
sync_mapping();
is(scalar(() = $proxy->requests), 2, '... but when the credentials were set');
sync_mapping();
is(scalar(() = $proxy->requests), 1, '... once');
$proxy->mode('other-account');
set_password('secret');
$dav->delete("${list}n1.ics");
sql($node, "UPDATE tasksync.task SET title = 'Thing two' WHERE title = 'Thing 2'");
$proxy->requests;
sync_mapping();
is(status(), 'HELD', 'another account: held');
is(why(), 'the service says that this is the account "/somebody/else/", and no longer "/tasks/"; confirm_deletions() lets the list be synced with it', '... and why');
is(titles(), join(', ', 'Thing 1', @things[ 2 .. 7 ], 'Thing two'), 'nothing was deleted here');
is($dav->titles($list), join(', ', @things[ 1 .. 7 ]), '... or sent there');
is(join(' ', map { (split)[0] } $proxy->requests), 'PROPFIND', '... or asked for');
confirm();
sync_mapping();
is(status(), 'OK', 'confirmed: it goes on');
is($dav->titles($list), join(', ', 'Thing 1', @things[ 2 .. 7 ], 'Thing two'), 'what is not there is made there');
is(titles(), $dav->titles($list), '... and nothing is doubled');

# another server
$proxy->mode('pass');
sql($node, "UPDATE tasksync.mapping_state SET account = '/tasks/'");
my $moved = TasksyncTest::Proxy->new($dav->port);
sql($node, "SELECT tasksync.update_provider('$provider', settings => jsonb_build_object('url', '" . $moved->url . "'))");
$dav->delete("${list}n$_.ics") foreach 3 .. 8;
$dav->put_todo($list, 'n9', 'SUMMARY:Thing 9');
sync_mapping();
is(status(), 'OK', 'another server: nothing is held');
is(titles(), join(', ', 'Thing 1', @things[ 2 .. 7 ], 'Thing 9', 'Thing two'), '... and what it has not was not deleted');
is(titles(), $dav->titles($list), '... but is made there');
is(sql($node, "SELECT count(*) FROM tasksync.task_link l JOIN tasksync.mapping_state s USING (mapping_id) WHERE s.scope LIKE 'http://127.0.0.1:$moved->{port} %'"),
	'9', 'from now on the links are good there');
$dav->delete("${list}n9.ics");
sync_mapping();
is(titles(), join(', ', 'Thing 1', @things[ 2 .. 7 ], 'Thing two'), '... and what is deleted there is deleted here');

# the same field changed all over the list
my %names = map { (split /\t/)[0, 1] } rows($node, "SELECT l.external_task_id || E'\\t' || t.title FROM tasksync.task_link l JOIN tasksync.task t ON t.id = l.task_id");
is(scalar(keys %names), 8, 'eight tasks');
foreach my $href (sort keys %names)
{
	my ($uid) = sql($node, "SELECT external_uid FROM tasksync.task_link WHERE external_task_id = '$href'");

	put($href, $uid, "SUMMARY:$names{$href}", 'DUE;VALUE=DATE:20270101');
}
sync_mapping();
is(status(), 'HELD', 'the same field changed in all: held');
is(why(), '"due_date" was changed in 8 of 8 tasks at the service; confirm_deletions() lets the changes in', '... and why');
is(sql($node, 'SELECT count(due_date) FROM tasksync.task'), '0', 'nothing was changed here');
is(sqlstate($node, "CALL tasksync.sync_now(mapping_id => '$mapping')"), '55000', 'sync_now says so too');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '55000', '... as long as nobody confirms it');
is(sql($node, 'SELECT count(due_date) FROM tasksync.task'), '0', 'nothing was changed here after that either');
confirm();
sync_mapping();
is(sql($node, 'SELECT count(due_date) FROM tasksync.task'), '8', 'confirmed: taken in');

# a field that swings: a trigger here sets it back each time
my ($href) = sort keys %names;
my $uid = sql($node, "SELECT external_uid FROM tasksync.task_link WHERE external_task_id = '$href'");
my $task = sql($node, "SELECT task_id FROM tasksync.task_link WHERE external_task_id = '$href'");
my $here = sub { return sql($node, "SELECT $_[0] FROM tasksync.task WHERE id = '$task'") };
my $swings = 0;
for my $i (1 .. 12)
{
	put($href, $uid, 'SUMMARY:Theirs', "DESCRIPTION:Round $i");
	sync_mapping();
	last if $here->('title') ne 'Theirs';
	$swings++;
	sql($node, "UPDATE tasksync.task SET title = 'Ours' WHERE id = '$task'");
	sync_mapping();
}
is($swings, 6, 'a title that is set back six times within the hour comes to rest');
is($here->('title'), 'Ours', '... as it is here');
is($here->('description'), 'Round 7', 'a field that says something else each time does not');
is(sql($node, "SELECT field, local, remote FROM tasksync.conflicts"), 'title|"Ours"|"Theirs"', 'for a person to settle');
is($here->('sync_status'), 'CONFLICT', '... which the task shows');
sync_mapping();
is(sql($node, 'SELECT count(*) FROM tasksync.conflicts'), '1', 'it rests');
sql($node, "SELECT tasksync.resolve_conflict('$task', 'KEEP_LOCAL')");
sync_mapping();
like($dav->get($href), qr/^SUMMARY:Ours\r?$/m, 'settled: ours goes there');
sql($node, "UPDATE tasksync.task_trash SET created_at = created_at - interval '1 hour'");
put($href, $uid, 'SUMMARY:Theirs');
sync_mapping();
is($here->('title'), 'Theirs', 'what swung long ago is free again');

# no sync gets through
my $stale = "SELECT p.is_stale, m.is_stale FROM tasksync.provider_status p JOIN tasksync.mapping_status m ON m.provider_id = p.provider_id";
is(sql($node, $stale), 'f|f', 'all is up to date');
$dav->stop;
sql($node, "UPDATE tasksync.task_provider SET sync_interval = 10");
sql($node, "UPDATE tasksync.task_list_mapping SET last_synced_at = now() - interval '29 min'");
is(sql($node, $stale), 'f|f', 'less than three intervals ago');
sql($node, "UPDATE tasksync.task_list_mapping SET last_synced_at = now() - interval '31 min'");
is(sql($node, $stale), 't|t', 'more than three intervals ago: stale');

# The worker looks once a minute, or when it reads its settings.
my $heard = sql($node, 'LISTEN tasksync; SELECT pg_reload_conf(); DO $$ BEGIN
	FOR i IN 1 .. 600 LOOP
		EXIT WHEN (SELECT stale_told_at IS NOT NULL FROM tasksync.mapping_state);
		PERFORM pg_sleep(0.05);
	END LOOP;
END $$; SELECT pg_sleep(0.2);');
isnt(sql($node, 'SELECT stale_told_at FROM tasksync.mapping_state'), '', 'the worker tells it');
my $log = qr/LOG: +tasksync mapping "$mapping" has not been synced since/;
like(PostgreSQL::Test::Utils::slurp_file($node->logfile), $log, '... in the log');
like($heard, qr/"event" : "stale".*"mapping_id" : "$mapping"/, '... and by NOTIFY');
my $told = sql($node, 'SELECT stale_told_at FROM tasksync.mapping_state');
sql($node, "SELECT tasksync.update_provider('$provider', sync_enabled => false)");
is(sql($node, $stale), 'f|f', 'what is not to be synced is not stale');
sql($node, "SELECT tasksync.update_provider('$provider', sync_enabled => true)");
sql($node, 'SELECT pg_reload_conf(), pg_sleep(2)');
is(sql($node, 'SELECT stale_told_at FROM tasksync.mapping_state'), $told, 'it is told once');
$dav->start;
sync_mapping();
is(sql($node, $stale), 'f|f', 'and it is over with the next sync');

done_testing();
