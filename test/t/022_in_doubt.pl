# Writes whose fate is not known when a sync begins (the worker died on the way)
# are settled by reading the object, before anything else.

use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;

my $node = tasks_node('in_doubt', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my $list = $dav->make_list('garden', 'Garden');
my $provider = add_caldav($node, $proxy->url);
my %object = map { $_ => $dav->put_todo($list, $_, "SUMMARY:$_") } qw(delivered lost);
my ($mapping, $project) = map_list($node, $provider, $list);

# what the worker leaves behind: the intent to send a new title
foreach my $title (qw(delivered lost))
{
	sql($node, "UPDATE tasksync.task SET title = '$title anew' WHERE title = '$title'");
	sql($node, "INSERT INTO tasksync.task_intent (mapping_id, task_id, user_id, kind, external_task_id, etag, snap, payload)
		SELECT l.mapping_id, l.task_id, l.user_id, 'UPDATE', l.external_task_id, l.etag, jsonb_build_object('title', t.title),
			replace(l.payload, 'SUMMARY:$title', 'SUMMARY:$title anew')
		FROM tasksync.task_link l JOIN tasksync.task t ON t.id = l.task_id WHERE t.title = '$title anew'");
}
$dav->edit($object{delivered}, sub { s/SUMMARY:delivered/SUMMARY:delivered anew/ });
sync($node, $provider);
is($dav->titles($list), 'delivered anew, lost anew', 'the one that was lost is sent again');
is(sql($node, 'SELECT count(*) FROM tasksync.task_intent'), '0', 'nothing is in doubt');
is(sql($node, 'SELECT count(*) FROM tasksync.task_conflict'), '0', 'or in conflict');
is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'both sides are the same');

# a write whose answer is lost, on a connection that was in use before
$proxy->mode('PUT lost');
$proxy->requests;
sql($node, "UPDATE tasksync.task SET title = 'sent' WHERE title = 'lost anew'");
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS503', 'an answer is lost');
is((scalar grep { /^PUT/ } $proxy->requests), 1, 'the write is not sent again before it was looked at');
is($dav->titles($list), 'delivered anew, sent', '... since it had its effect');
$proxy->mode('pass');
sync($node, $provider);
is((scalar grep { /^PUT/ } $proxy->requests), 0, '... nor after that');
is(sql($node, "SELECT * FROM tasksync.verify_mapping('$mapping')"), '', 'both sides are the same');

done_testing();
