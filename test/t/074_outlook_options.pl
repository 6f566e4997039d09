# What is not documented of Microsoft To Do, or differs from one account to
# another, both ways: edits of both sides meet in the same way whatever it does.
use strict;
use warnings FATAL => 'all';

use OutlookWorld;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep);

my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('options', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $defaults = $graph->set;
my $worlds = 0;

# A line an account; several options of one line at a time
my @accounts = grep { !$ENV{TASKSYNC_ACCOUNT} || "@$_" =~ /$ENV{TASKSYNC_ACCOUNT}/ } (
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
	[ list_recurrence => 'hidden', delta_expand => 'refused' ],
	[ range_on_patch => 'accepted', range_null => 'noEnd' ],
	[ recurring_due => 'second' ],
	[ recurring_links => 'on' ],
	[ recurring_due_null => 'refused' ],
	[ echo_children => 'off' ],
	[ echo_children => 'off', expand => 'ignored', delta_expand => 'ignored' ],
	[ deep_insert => 'ignored' ],
	[ deep_insert => 'refused' ],
	[ filter_any => 'refused', next_link => 'skiptoken' ],
	[ batch_order => 'sent', batch_parallel => 1 ],
	[ batch_overflow => 'throttled', batch_parallel => 4 ],
	[ child_bumps => 'off' ],
	[ malformed_id => 400 ],
	[ reminder_without_time => 'ignored', empty_title => 'accepted', title_max => 0 ],
	[ chunked => 'on', gzip => 'on' ],
	(map { [ expired_delta => $_ ] } qw(410-resyncRequired 410-syncStateNotFound 400-SyncStateNotFound 400-badRequest 404-ErrorItemNotFound)),
	[ expired_delta => '410-resyncRequired', expired_location => 'off' ]);

my %weekly = (pattern => { type => 'weekly', interval => 1, daysOfWeek => ['monday'], firstDayOfWeek => 'monday' }, range => { type => 'noEnd', startDate => '2027-03-01' });

# One sync, and with a delta that lags behind, one more when it has told
sub settle
{
	my ($world, $options) = @_;

	$world->sync;
	return unless $options->{delta_lag};
	sleep 0.75;
	$world->sync;
	return;
}

sub central_scenario
{
	my ($options, %more) = @_;
	my $world = OutlookWorld->new($node, $graph, user => 'user' . ++$worlds, %more);
	my ($a, $b) = map { $world->map_list($_) } qw(A B);
	my $n = 8;

	$world->add($a, "There $_", due => '2027-02-0' . ($_ + 1), zone => 'Europe/Berlin', text => "text\nof $_", steps => ['s']) foreach 1 .. $n;
	$world->add($a, 'Recurring there', due => '2027-03-01', recurrence => \%weekly);
	$world->add($a, 'Recurring there, to move', due => '2027-03-01', recurrence => \%weekly);
	$world->sql("INSERT INTO tasksync.task (project_id, title, due_date, description)"
		  . " SELECT '$a->{project}', 'Here ' || n, date '2027-02-01' + n, E'text\\nof ' || n FROM generate_series(1, $n) n;"
		  . "INSERT INTO tasksync.task (project_id, title, due_date, recurrence_rule) VALUES ('$a->{project}', 'Recurring here', '2027-03-01', 'FREQ=WEEKLY;BYDAY=MO')");
	settle($world, $options);
	settle($world, $options);
	is($world->titles($a), $world->titles_there($a), 'all is on both sides') or return;

	# edits on both sides
	$graph->control('expire_deltas', user => $world->{user}) if $options->{expired_delta};
	foreach my $from (qw(There Here))
	{
		$world->edit($a, "$from 1", title => "$from 1, renamed", text => "other\nwords");
		$world->edit($a, "$from 2", due => undef);
		$world->complete($a, "$from 4");
		$world->remove($a, "$from 6");
	}
	$world->add($a, 'New there', categories => ['c'], reminder => '2027-01-01T10:00:00');
	$world->complete($a, 'Recurring there');
	$world->sql(<<SQL);
	UPDATE tasksync.task SET priority = 'HIGH', tags = '{x}' WHERE project_id = '$a->{project}' AND title ILIKE '%here 1';
	UPDATE tasksync.task SET due_date = '2027-09-09', start_date = '2027-08-08', description = E'edited\\nhere <b>\\n'
		WHERE project_id = '$a->{project}' AND title ILIKE '%here 3';
	UPDATE tasksync.task SET status = 'COMPLETED', remind_at = '2027-01-02 03:04:05+00' WHERE project_id = '$a->{project}' AND title ILIKE '%here 5';
	DELETE FROM tasksync.task WHERE project_id = '$a->{project}' AND title ILIKE '%here 7';
	UPDATE tasksync.task SET project_id = '$b->{project}' WHERE project_id = '$a->{project}' AND title ILIKE '%here 8';
	INSERT INTO tasksync.task (project_id, title, tags) VALUES ('$a->{project}', 'New here', '{a,b}'), ('$b->{project}', 'New here, too', '{}');
	UPDATE tasksync.task SET status = 'COMPLETED' WHERE project_id = '$a->{project}' AND title = 'Recurring here';
	UPDATE tasksync.task SET due_date = '2027-03-08' WHERE project_id = '$a->{project}' AND title = 'Recurring there, to move';
SQL
	$graph->requests;
	settle($world, $options) foreach 1 .. 3;

	my @a = map { ("$_ 1, renamed", map { "$_" } "$_ 2", "$_ 3", "$_ 4", "$_ 5") } qw(There Here);
	push @a, 'New here', 'New there', ('Recurring here') x 2, ('Recurring there') x 2, 'Recurring there, to move';
	push @a, 'Recurring there, to move' if ($options->{recurring_due} // '') eq 'second';
	is($world->titles($a), join(', ', sort @a), 'each is here, once');
	is($world->titles_there($a), join(', ', sort @a), '... and there');
	is($world->titles($b), 'Here 8, New here, too, There 8', 'what was moved is here');
	is($world->titles_there($b), 'Here 8, New here, too, There 8', '... and there');
	is(join(' ', map { scalar @{ $_->{checklistItems} } } map { $world->task_there($b, $_) } 'There 8'), '1', '... with its steps');
	is($world->sql("SELECT string_agg(concat_ws(' ', title, priority, tags, replace(description, E'\\n', ' '), due_date, status), ', ' ORDER BY title)"
		  . " FROM tasksync.task WHERE project_id = '$a->{project}' AND title ~* 'here [1-5]'"),
		join(', ', map { ("$_ 1, renamed HIGH {x} other words 2027-02-02 TODO", "$_ 2 NONE {} text of 2 TODO", "$_ 3 NONE {} edited here <b>  2027-09-09 TODO", "$_ 4 NONE {} text of 4 2027-02-05 COMPLETED", "$_ 5 NONE {} text of 5 2027-02-06 COMPLETED") } qw(Here There)),
		'edits of both sides are here');
	my %there = map { $_->{title} => $_ } $world->tasks_there($a);
	is(join(', ', map { my $t = $there{$_}; join ' ', $_, $t->{importance}, OutlookWorld::plain_text($t->{body}), $t->{status} } sort grep { /here [1-5]/i } keys %there),
		join(', ', map { ("$_ 1, renamed high other words notStarted", "$_ 2 normal text of 2 notStarted", "$_ 3 normal edited here <b> notStarted", "$_ 4 normal text of 4 completed", "$_ 5 normal text of 5 completed") } qw(Here There)),
		'... and there');
	is(join(' ', map { $there{"$_ 2"}{dueDateTime} ? 'due' : '-' } qw(Here There)), '- -', '... and the days are');
	foreach my $mapped ($a, $b)
	{
		$world->at_rest($mapped, 'at rest', requests => $more{idle_requests} // 1);
	}
	$world->sql("SELECT tasksync.update_provider('$world->{provider}', enabled => false)");
	return;
}

foreach my $options (@accounts)
{
	subtest "@$options" => sub {
		$graph->set(%$defaults);
		my %options = @$options;
		$graph->set(@$options);
		central_scenario(\%options);
	};
}

# without delta queries
$graph->set(%$defaults);
foreach my $options ([], [ next_link => 'skiptoken', list_recurrence => 'hidden' ], [ expand => 'refused' ], [ expand => 'ignored', max_page_size => 5 ])
{
	subtest "snapshots @$options" => sub {
		$graph->set(%$defaults, @$options);
		# a token for lists and writing whose delta queries are refused
		$graph->mode('graph ~/tasks/delta status 403');
		central_scenario({}, idle_requests => $graph->set->{max_page_size} < 10 ? 4 : 1);
		$graph->mode;
	};
}

# who may only read
subtest 'a token for reading' => sub {
	$graph->set(%$defaults, read_delta => 'refused');
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
