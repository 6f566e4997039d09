# Conflicts that a person decides, and taking a sync back, against a real
# CalDAV server.

use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;

my $node = tasks_node('decide', conf => "tasksync.push_delay = '1 h'\n");
my $dav = TasksyncTest::Dav->new('radicale');
my $list = $dav->make_list('garden', 'Garden');
my $provider = add_caldav($node, $dav->url);
my %object = map { $_ => $dav->put_todo($list, $_, "SUMMARY:$_", 'PRIORITY:5') } qw(keep use merge gone);
my ($mapping, $project) = map_list($node, $provider, $list, "conflict_policy => 'MANUAL'");

sub in_sync { return is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', $_[0]) }

# both sides change the title, each also another field
foreach my $title (qw(keep use merge))
{
	sql($node, "UPDATE tasksync.task SET title = title || ' ours', url = 'https://example.org/' WHERE title = '$title'");
	$dav->edit($object{$title}, sub { s/SUMMARY:(\w+)/SUMMARY:$1 theirs/; s/PRIORITY:5/PRIORITY:1/ });
}
sync($node, $provider);
is(sql($node, "SELECT string_agg(title || ' ' || priority || ' ' || sync_status, ', ' ORDER BY title) FROM tasksync.task"),
	'gone MEDIUM SYNCED, keep ours HIGH CONFLICT, merge ours HIGH CONFLICT, use ours HIGH CONFLICT', 'only the title is in conflict');
is($dav->titles($list), 'gone, keep theirs, merge theirs, use theirs', 'on both sides');
like($dav->get($object{keep}), qr{URL:https://example.org/}, 'the rest goes on');
is(sql($node, 'SELECT field, base, local, remote FROM tasksync.conflicts ORDER BY local'), join("\n",
	'title|"keep"|"keep ours"|"keep theirs"', 'title|"merge"|"merge ours"|"merge theirs"', 'title|"use"|"use ours"|"use theirs"'), 'what is open');

# one of them is changed there once more while it is open
$dav->edit($object{use}, sub { s/SUMMARY:use theirs/SUMMARY:use their last/ });
sync($node, $provider);
is(sql($node, "SELECT string_agg(title, ', ' ORDER BY title) FROM tasksync.task"), 'gone, keep ours, merge ours, use ours', 'which rests here');

my $id = "(SELECT id FROM tasksync.task WHERE title = '%s ours')";
sql($node, 'SELECT tasksync.resolve_conflict(' . sprintf($id, 'keep') . ", 'KEEP_LOCAL')");
sql($node, 'SELECT tasksync.resolve_conflict(' . sprintf($id, 'use') . ", 'USE_REMOTE')");
sql($node, 'SELECT tasksync.resolve_conflict(' . sprintf($id, 'merge') . qq{, 'MERGE', '{"title": "merge both"}')});
sync($node, $provider);
is(sql($node, "SELECT string_agg(title || ' ' || sync_status, ', ' ORDER BY title) FROM tasksync.task"),
	'gone SYNCED, keep ours SYNCED, merge both SYNCED, use their last SYNCED', 'decided here');
is($dav->titles($list), 'gone, keep ours, merge both, use their last', 'and there');
is(sql($node, 'SELECT count(*) FROM tasksync.conflicts'), '0', 'nothing is open');
is(sql($node, "SELECT string_agg(resolution || ' ' || (remote->>'title'), ', ' ORDER BY resolution) FROM tasksync.task_conflict"),
	'LOCAL keep theirs, MERGED merge theirs, REMOTE use their last', 'and on record');
in_sync('both sides are the same');

# a deletion and an edit there, taken back here
$dav->delete($object{gone});
$dav->edit($object{use}, sub { s/SUMMARY:[^\r]*/SUMMARY:overwritten/ });
sync($node, $provider);
is(sql($node, "SELECT string_agg(title, ', ' ORDER BY title) FROM tasksync.task"), 'keep ours, merge both, overwritten', 'the sync applied it');
my $job = sync_job($node, 'id');
is(sql($node, "SELECT tasksync.undo_sync($job)"), '2', 'two tasks come back');
is(sql($node, "SELECT string_agg(title, ', ' ORDER BY title) FROM tasksync.task"), 'gone, keep ours, merge both, use their last', 'as they were');
sync($node, $provider);
is($dav->titles($list), 'gone, keep ours, merge both, use their last', 'there as well');
in_sync('and the same on both sides');
is(sql($node, "SELECT tasksync.undo_sync($job)"), '0', 'only once');

# a task in conflict that has an object in another list already loses the one
# that the conflict is about
my $other = $dav->make_list('shed', 'Shed');
my ($shed) = map_list($node, $provider, $other);
my $rake = $dav->put_todo($list, 'rake', 'SUMMARY:rake');
sync($node, $provider);
sql($node, "UPDATE tasksync.task SET title = 'rake ours' WHERE title = 'rake'");
$dav->edit($rake, sub { s/SUMMARY:rake/SUMMARY:rake theirs/ });
sync($node, $provider);
is(sql($node, "SELECT title FROM tasksync.task WHERE sync_status = 'CONFLICT'"), 'rake ours', 'in conflict');
$dav->put("${other}rake.ics", $dav->get($rake));
sql($node, 'INSERT INTO tasksync.task_link (user_id, task_id, mapping_id, external_task_id, external_uid, payload, local_base, remote_base, sync_status)'
	  . " SELECT user_id, task_id, '$shed', '${other}rake.ics', external_uid, payload, local_base, remote_base, 'SYNCED'"
	  . " FROM tasksync.task_link WHERE external_task_id = '$rake'");
$dav->delete($rake);
sync($node, $provider);
is(sql($node, "SELECT t.title, t.sync_status, m.name FROM tasksync.task t JOIN tasksync.task_list_mapping m USING (project_id) WHERE t.title LIKE 'rake%'"),
	'rake theirs|SYNCED|Shed', 'the task goes to where its object is');
is(sql($node, "SELECT resolution, local->>'title', remote->>'title' FROM tasksync.task_conflict WHERE mapping_id = '$mapping' AND local->>'title' = 'rake ours'"),
	'LOCAL|rake ours|rake theirs', '... and the conflict about the other is closed');
is(sql($node, 'SELECT count(*) FROM tasksync.conflicts'), '0', '... none is open');

done_testing();
