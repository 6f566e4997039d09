# What is not documented of how Microsoft To Do takes writes, keeps dates and works
# off batches, both ways; and accounts without delta queries, or for reading only.
use strict;
use warnings FATAL => 'all';

use OutlookScenario;
use OutlookWorld;
use TasksyncTest;
use Test::More;

my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('writing', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $suite = OutlookScenario->new($node, $graph);

$suite->run(
	[ if_match => 'ignored' ],
	[ if_match => 'ignored', delete_if_match => 'ignored', idle_patch => 'keeps' ],
	[ idle_patch => 'keeps' ],
	[ delete_if_match => 'ignored' ],
	[ due_dates => 'date' ],
	[ due_truncate => 'off' ],
	[ dates => 'given', zone_names => 'iana' ],
	[ dates => 'given', zone_names => 'windows', due_truncate => 'off' ],
	[ completed_day => 'before' ],
	[ completed_day => 'before', completed_sent => 'kept' ],
	[ prefer_text => 'ignored', text_bodies => 'html' ],
	[ text_bodies => 'html', text_newlines => 'crlf' ],
	[ text_newlines => 'crlf' ],
	[ range_on_patch => 'accepted', range_null => 'noEnd' ],
	[ recurring_due => 'second' ],
	[ recurring_links => 'on' ],
	[ recurring_due_null => 'refused' ],
	[ echo_children => 'off' ],
	[ echo_children => 'off', expand => 'ignored', delta_expand => 'ignored' ],
	[ deep_insert => 'ignored' ],
	[ deep_insert => 'refused' ],
	[ batch_order => 'sent', batch_parallel => 1 ],
	[ batch_overflow => 'throttled', batch_parallel => 4 ],
	[ malformed_id => 400 ],
	[ reminder_without_time => 'ignored', empty_title => 'accepted', title_max => 0 ]);

# without delta queries
foreach my $options ([], [ next_link => 'skiptoken', list_recurrence => 'hidden' ], [ expand => 'refused' ], [ expand => 'ignored', max_page_size => 5 ])
{
	subtest "snapshots @$options" => sub {
		$suite->set(@$options);
		# a token for lists and writing whose delta queries are refused
		$graph->mode('graph ~/tasks/delta status 403');
		$suite->scenario({}, idle_requests => $graph->set->{max_page_size} < 10 ? 4 : 1);
		$graph->mode;
	};
}

# who may only read
subtest 'a token for reading' => sub {
	$suite->set(read_delta => 'refused');
	my $world = OutlookWorld->new($node, $graph, user => 'reader', scope => 'Tasks.Read User.Read');
	my $m = $world->map_list('Read', tasks => [ map { "Task $_" } 1 .. 30 ], arguments => "sync_direction => 'FROM_PROVIDER'");
	is($world->sql('SELECT count(*) FROM tasksync.task WHERE project_id = ' . "'$m->{project}'"), '30', 'all is here');
	$world->edit($m, 'Task 3', title => 'Renamed');
	$world->remove($m, 'Task 4');
	$world->add($m, 'Task 31');
	$world->sync;
	is($world->titles($m), $world->titles_there($m), 'what happens there is here');
	$world->at_rest($m, 'at rest');
	my $both = $world->map_list('Both');
	$world->insert($both, title => "'Not allowed'");
	$world->sync_state($both);
	like($world->errors($both), qr/HTTP status 403/, 'what may not be written is told');
	like($world->sql("SELECT error_hint FROM tasksync.sync_job ORDER BY id DESC LIMIT 1") . $world->sql("SELECT error_message FROM tasksync.task_link WHERE mapping_id = '$both->{mapping}'"), qr/./, '... with the reason');
};

is(join("\n", $graph->violations), '', 'all requests were as they should be');

done_testing();
