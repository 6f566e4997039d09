# What is not documented of how Microsoft To Do tells of tasks, or differs from one
# account to another, both ways: edits of both sides meet in the same way.
use strict;
use warnings FATAL => 'all';

use OutlookScenario;
use OutlookWorld;
use TasksyncTest;
use Test::More;

my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('reading', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $suite = OutlookScenario->new($node, $graph);

$suite->run(
	[],
	[ delta_partial => 'on' ],
	[ delta_partial => 'on', delta_nulls => 'explicit', nulls => 'explicit' ],
	[ nulls => 'explicit' ],
	[ nulls => 'explicit', delta_nulls => 'omitted' ],
	[ delta_expand => 'ignored' ],
	[ delta_expand => 'refused' ],
	[ delta_expand => 'refused', delta_partial => 'on', expand => 'refused' ],
	[ expand => 'ignored', delta_expand => 'ignored' ],
	[ expand => 'refused', delta_expand => 'refused' ],
	[ expand => 'refused' ],
	[ delta_repeat => 'stale', page_size => 3, max_page_size => 3 ],
	[ delta_repeat => 'off', delta_empty => 0 ],
	[ delta_repeat => 'same', delta_empty => 2, page_size => 2, max_page_size => 2 ],
	[ delta_lag => 700 ],
	[ delta_lag => 700, delta_partial => 'on', delta_repeat => 'stale', max_page_size => 2 ],
	[ delta_first_removed => 'on', removed_reason => 'changed', moved_reason => 'changed' ],
	[ list_recurrence => 'hidden', delta_expand => 'refused' ],
	[ filter_any => 'refused', next_link => 'skiptoken' ],
	[ child_bumps => 'off' ],
	[ chunked => 'on', gzip => 'on' ],
	(map { [ expired_delta => $_ ] } qw(410-resyncRequired 410-syncStateNotFound 400-SyncStateNotFound 400-badRequest 404-ErrorItemNotFound)),
	[ expired_delta => '410-resyncRequired', expired_location => 'off' ]);

# The listing shows a task as it was, and at its end as it is; which one is by chance
subtest 'verify_mapping reports what is so' => sub {
	$suite->set(delta_repeat => 'stale', delta_first_removed => 'on', page_size => 1, max_page_size => 1);
	my $world = OutlookWorld->new($node, $graph, user => 'verified');
	my $m = $world->map_list('Verified', tasks => [ map { "Task $_" } 1 .. 4 ]);
	my $reported = sub { return join '; ', sort split /\n/, $world->differences($m) };
	is($reported->(), '', 'nothing');
	$world->edit($m, "Task $_", text => 'theirs') foreach 1 .. 4;
	is($reported->(), join('; ', ('description: - / theirs') x 4), 'edits there') foreach 1 .. 5;
	$world->sync($m);
	is($reported->(), '', 'which a sync brings') foreach 1 .. 5;
	$world->remove($m, 'Task 1');
	$world->add($m, 'Task 5');
	is($reported->(), 'task: - / Task 5; task: Task 1 / -', 'what is on one side only') foreach 1 .. 5;
	$world->edit($m, 'Task 5', text => 'more');
	$world->remove($m, $_) foreach 'Task 2', 'Task 5';
	is($reported->(), 'task: Task 1 / -; task: Task 2 / -', 'and what never was on the other') foreach 1 .. 5;
	$world->sync($m);
	is($reported->(), '', 'nor is any more') foreach 1 .. 5;
};

is(join("\n", $graph->violations), '', 'all requests were as they should be');

done_testing();
