# Microsoft To Do as people use it, against a fake of the service: how much a
# sync costs, what goes both ways, and what must survive.
use strict;
use warnings FATAL => 'all';
use utf8;

use IPC::Run ();
use JSON::PP ();
use OutlookWorld;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(time);

my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('outlook', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $world = OutlookWorld->new($node, $graph);

#
# What it costs, where each answer takes a while
#

# How many tasks were changed, and how often
sub patches
{
	my %tasks = map { /^ *PATCH (\S+) 200/ ? ($1 =~ s{^/v1.0}{}r => 1) : () } @_;

	return scalar keys %tasks;
}

# The requests of batches that have writes in them
sub write_batches
{
	my ($batches, $writing) = (0, 0);

	foreach (@_)
	{
		if (/^\S/) { $batches += $writing; $writing = 0; next; }
		$writing = 1 if /^  (?:PATCH|POST|DELETE)/;
	}
	return $batches + $writing;
}

subtest 'a thousand tasks' => sub {
	my $bulk = $graph->make_list('Bulk');

	$graph->add_task($bulk, "Task $_", due => '2027-03-04', text => "Notes of $_") foreach 1 .. 1000;
	$graph->set(latency => 100);
	$graph->requests;
	my $began = time;
	my $mapped = $world->map_list('Bulk', list => $bulk);
	my $seconds = time - $began;
	my @requests = $graph->requests;
	note(sprintf '1,000 tasks in %.1f s and %d requests', $seconds, scalar @requests);
	cmp_ok($seconds, '<', 10, 'the first pull');
	is($world->sql("SELECT count(*) FROM tasksync.task WHERE project_id = '$mapped->{project}' AND due_date = '2027-03-04' AND description LIKE 'Notes of%'"), '1000', 'all is here');
	$world->sync($mapped);
	my $versions = $world->versions;
	$graph->requests;
	$began = time;
	$world->sync($mapped);
	note(sprintf 'nothing to do: %.2f s', time - $began);
	is(scalar(() = $graph->requests), 1, 'a sync with nothing to do is one request');
	is($world->versions, $versions, '... and writes no row');

	foreach my $if_match (qw(honoured ignored))
	{
		my $first = $if_match eq 'honoured' ? 1 : 301;
		$graph->set(if_match => $if_match);
		$world->sql("UPDATE tasksync.mapping_state SET caps = NULL") if $if_match eq 'ignored';
		$world->sql("UPDATE tasksync.task SET description = 'Edited' WHERE title IN (SELECT 'Task ' || n FROM generate_series($first, $first + 199) n)");
		$graph->requests;
		$began = time;
		$world->sync($mapped);
		@requests = $graph->requests;
		note(sprintf '200 edits, If-Match %s: %.1f s, %d requests', $if_match, time - $began, scalar grep { /^\S/ } @requests);
		is(write_batches(@requests), 10, "If-Match $if_match: 200 edits are 10 batches of writes");
		is(patches(@requests), 200, '... of 200 tasks');
	}
	is((scalar grep { $_->{body}{content} eq 'Edited' } $graph->tasks($bulk)), 400, 'all edits are there');

	# nobody else's edit is run over, If-Match or not
	$graph->edit_task($bulk, 'Task 900', title => 'Theirs', text => 'Theirs');
	$world->update($mapped, 'Task 900', "description = 'Ours'");
	$world->sync($mapped);
	is($graph->task($bulk, 'Theirs')->{title}, 'Theirs', 'an edit there is not run over where If-Match is ignored');
	is($world->sql("SELECT count(*) FROM tasksync.task_conflict c WHERE 'description' = ANY (fields)"), '1', '... and what lost is on record');
	$graph->set(latency => 0, if_match => 'honoured');
	$world->sql("UPDATE tasksync.mapping_state SET caps = NULL");
	$world->at_rest($mapped, 'and now it rests');
};

sub json { return JSON::PP->new->canonical->encode($_[0]) }
sub rule { my ($mapped, $title) = @_; return $world->value($mapped, $title, 'recurrence_rule') }

# All kinds of things that the app has
my %all_sorts = (
	'HTML' => { html => '<html><body><div>Some <b>bold</b> text</div><ul><li>one</li><li>two &amp; three</li></ul></body></html>' },
	'Waiting' => { status => 'waitingOnOthers' }, 'Deferred' => { status => 'deferred' }, 'Under way' => { status => 'inProgress' },
	'Done' => { status => 'completed', due => '2026-01-05', zone => 'Europe/Berlin' },
	'Weekly' => { due => '2027-03-01', zone => 'Europe/Berlin', recurrence => { pattern => { type => 'weekly', interval => 2, daysOfWeek => [ 'monday', 'friday' ], firstDayOfWeek => 'monday' },
		range => { type => 'numbered', startDate => '2027-03-01', numberOfOccurrences => 9, recurrenceTimeZone => 'Europe/Berlin' } } },
	'Reminded' => { reminder => '2027-01-02T09:30:00', zone => 'America/Los_Angeles', start => '2027-01-01' },
	'Steps' => { steps => [ 'one', { displayName => 'two', isChecked => JSON::PP::true() } ], links => [ { applicationName => 'Another', webUrl => 'https://example.com/x', displayName => 'there', externalId => '7' } ] },
	'Tagged' => { categories => [ 'Red category', 'Grün, with comma', 'a "quoted" one' ], importance => 'low' },
	"Gr\x{fc}\x{df}e \x{1f600} & <so>" => { text => "line one\nline two\n\n  indented \\ \"quoted\" \x{1f600}", importance => 'high' });
sub add_all_sorts { my ($list) = @_; $graph->add_task($list, $_, %{ $all_sorts{$_} }) foreach sort keys %all_sorts; return }
sub without { my ($task, @names) = @_; my %rest = %$task; delete @rest{@names}; return json(\%rest) }
my @moving = qw(@odata.etag lastModifiedDateTime);

subtest 'idle syncs change nothing, for ever' => sub {
	my $mapped = $world->map_list('Idle', tasks => []);
	add_all_sorts($mapped->{list});
	$graph->control('attach', list => $mapped->{list}, task => 'HTML', name => 'a.txt');
	$world->sync($mapped);
	my $there = json([ $world->tasks_there($mapped) ]);
	my $versions = $world->versions;
	$graph->requests;
	$world->sync($mapped) foreach 1 .. 5;
	is($world->versions, $versions, 'no row here');
	is(json([ $world->tasks_there($mapped) ]), $there, 'nothing there');
	is(scalar(() = $graph->requests), 5, '... and one request each time');
	$world->at_rest($mapped, 'at rest');

	# edits of one field leave all others as they are
	my %before = map { $_->{title} => $_ } $world->tasks_there($mapped);
	$world->sql("UPDATE tasksync.task SET tags = tags || ARRAY['mine'] WHERE project_id = '$mapped->{project}'");
	$world->sync($mapped);
	foreach my $t ($world->tasks_there($mapped))
	{
		my $old = $before{ $t->{title} };
		is(without($t, @moving, 'categories'), without($old, @moving, 'categories'), 'tagged: all else is as it was');
		is_deeply([ sort @{ $t->{categories} } ], [ sort @{ $old->{categories} }, 'mine' ], '... and it has the tag');
	}
	%before = map { $_->{id} => $_ } $world->tasks_there($mapped);
	$world->sql("UPDATE tasksync.task SET title = title || ' II', priority = CASE priority WHEN 'HIGH' THEN 'LOW' ELSE 'HIGH' END WHERE project_id = '$mapped->{project}'");
	$world->sync($mapped);
	is(without($_, @moving, 'title', 'importance'), without($before{ $_->{id} }, @moving, 'title', 'importance'), 'renamed: all else is as it was') foreach $world->tasks_there($mapped);
	$world->at_rest($mapped, 'at rest again');

	# … and so do edits there, here
	my %here = map { split /\|/, $_, 2 } TasksyncTest::rows($node, "SELECT id, to_jsonb(t) - 'updated_at' - 'external_updated_at' - 'last_synced_at' - 'tags' FROM tasksync.task t WHERE project_id = '$mapped->{project}'");
	$graph->edit_task($mapped->{list}, $_->{id}, categories => [ 'theirs' ]) foreach $world->tasks_there($mapped);
	$world->sync($mapped);
	is_deeply({ map { split /\|/, $_, 2 } TasksyncTest::rows($node, "SELECT id, to_jsonb(t) - 'updated_at' - 'external_updated_at' - 'last_synced_at' - 'tags' FROM tasksync.task t WHERE project_id = '$mapped->{project}'") },
		\%here, 'an edit there changes only that here');
	is($world->sql("SELECT DISTINCT tags FROM tasksync.task WHERE project_id = '$mapped->{project}'"), '{theirs}', '... and changes that');
	$world->at_rest($mapped, 'at rest once more');
};

subtest 'statuses' => sub {
	my $mapped = $world->map_list('Statuses');
	$world->add($mapped, $_, status => $_) foreach qw(notStarted inProgress waitingOnOthers deferred completed);
	$world->sync($mapped);
	is($world->sql("SELECT string_agg(title || ' ' || status, ', ' ORDER BY title) FROM tasksync.task WHERE project_id = '$mapped->{project}'"),
		'completed COMPLETED, deferred TODO, inProgress IN_PROGRESS, notStarted TODO, waitingOnOthers IN_PROGRESS', 'as they are here');
	is($world->value($mapped, 'completed', 'completed_at::date = current_date'), 't', 'completed today');
	$world->update($mapped, 'waitingOnOthers', "status = 'TODO'");
	$world->update($mapped, 'deferred', "status = 'IN_PROGRESS'");
	$world->update($mapped, 'notStarted', "status = 'COMPLETED'");
	$world->update($mapped, 'completed', "status = 'TODO'");
	$world->update($mapped, 'inProgress', "status = 'CANCELLED'");
	$world->sync($mapped);
	is(join(', ', map { "$_->{title} $_->{status}" } sort { $a->{title} cmp $b->{title} } $world->tasks_there($mapped)),
		'completed notStarted, deferred inProgress, inProgress completed, notStarted completed, waitingOnOthers notStarted', 'changed here, and there');
	is($world->value($mapped, 'inProgress', 'status'), 'CANCELLED', 'what is cancelled stays so here');
	my $at = $world->value($mapped, 'notStarted', 'completed_at');
	$world->sync($mapped);
	is($world->value($mapped, 'notStarted', 'completed_at'), $at, 'the moment of completion stays as it was here');
	$world->at_rest($mapped, 'at rest');
	$graph->reopen_task($mapped->{list}, 'notStarted');
	$graph->reopen_task($mapped->{list}, 'inProgress');
	$world->sync($mapped);
	is($world->value($mapped, 'notStarted', "status || coalesce(completed_at::text, ' -')"), 'TODO -', 'opened again there');
	is($world->value($mapped, 'inProgress', 'status'), 'TODO', '... what was cancelled, too');
	$world->at_rest($mapped, 'at rest again');
};

subtest 'edits of both sides meet' => sub {
	my $mapped = $world->map_list('Meet', tasks => [ map { "Task $_" } 1 .. 6 ]);
	$world->update($mapped, 'Task 1', "description = 'ours, older'");
	$world->edit($mapped, 'Task 1', title => 'Newer there');
	$world->edit($mapped, 'Task 2', title => 'Older there');
	$world->update($mapped, 'Task 2', "description = 'ours, newer'");
	$world->edit($mapped, 'Task 3', text => 'theirs');
	$world->update($mapped, 'Task 3', "description = 'ours'");
	$world->delete($mapped, 'Task 4');
	$world->remove($mapped, 'Task 4');
	$world->delete($mapped, 'Task 5');
	$world->edit($mapped, 'Task 5', text => 'edited while it was deleted');
	$world->remove($mapped, 'Task 6');
	$world->update($mapped, 'Task 6', "description = 'edited while it was deleted'");
	$world->sync($mapped);
	is($world->titles_there($mapped), 'Newer there, Older there, Task 3, Task 5, Task 6', 'no edit is lost there');
	is($world->titles($mapped), $world->titles_there($mapped), '... nor here');
	is($world->value($mapped, 'Newer there', 'description'), 'ours, older', 'fields of one task are merged');
	is($world->task_there($mapped, 'Older there')->{body}{content}, 'ours, newer', '... both ways');
	is($world->value($mapped, 'Task 3', 'description'), 'ours', 'the later one of one field');
	is($world->sql("SELECT remote ->> 'description' FROM tasksync.task_conflict WHERE mapping_id = '$mapped->{mapping}' AND 'description' = ANY (fields) AND resolution = 'LOCAL' AND remote ->> 'description' IS NOT NULL"), 'theirs', '... and what lost is on record');
	$world->at_rest($mapped, 'what was deleted on both sides rests');
};

subtest 'two syncs at once' => sub {
	my $mapped = $world->map_list('At once');
	$world->insert($mapped, title => "'Ours $_'") foreach 1 .. 5;
	$world->add($mapped, "Theirs $_") foreach 1 .. 5;
	$graph->set(latency => 100);
	my @calls = map { IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('tasks'), '-c', $_ ], '>', \my $out, '2>', \my $errors) }
		"CALL tasksync.sync_now('$world->{provider}')", "CALL tasksync.sync_now(mapping_id => '$mapped->{mapping}')", "CALL tasksync.sync_now('$world->{provider}')";
	$_->finish foreach @calls;
	$graph->set(latency => 0);
	is($world->titles($mapped), join(', ', map({ "Ours $_" } 1 .. 5), map { "Theirs $_" } 1 .. 5), 'no duplicate here');
	is($world->titles_there($mapped), $world->titles($mapped), '... nor there');
	$world->at_rest($mapped, 'at rest');
};

subtest 'what goes unnoticed' => sub {
	my $mapped = $world->map_list('Unnoticed', tasks => [ 'Twin', 'Twin' ]);
	$graph->requests;
	$world->insert($mapped, title => "'Fleeting'");
	$world->delete($mapped, 'Fleeting');
	$world->sync($mapped);
	is(scalar(() = $graph->requests), 1, 'created and deleted before a sync');
	$world->sql("UPDATE tasksync.task SET title = 'x' WHERE project_id = '$mapped->{project}'; UPDATE tasksync.task SET title = 'Twin' WHERE project_id = '$mapped->{project}'");
	$world->sync($mapped);
	is((join "\n", grep { /^ *(?:PATCH|POST|DELETE)/ } $graph->requests), '', 'changed and changed back');
	is($world->titles($mapped), 'Twin, Twin', 'equal titles are different tasks');
	$world->sql("UPDATE tasksync.task SET description = 'this one' WHERE id = (SELECT id FROM tasksync.task WHERE project_id = '$mapped->{project}' LIMIT 1)");
	$world->insert($mapped, title => "'Twin'");
	$world->sync($mapped);
	is($world->titles_there($mapped), 'Twin, Twin, Twin', '... a third, too');
	is(join(',', sort map { $_->{body}{content} } $world->tasks_there($mapped)), ',,this one', '... and one was edited');
	$world->at_rest($mapped, 'at rest');
};

subtest 'one way only' => sub {
	my $from = $world->map_list('From', tasks => [ 'A', 'B', 'C' ], arguments => "sync_direction => 'FROM_PROVIDER'");
	my $to = $world->map_list('To', tasks => [ 'Theirs' ], arguments => "sync_direction => 'TO_PROVIDER'");
	is($world->titles($to), '', 'TO_PROVIDER: nothing is taken in');
	$world->update($from, 'A', "title = 'Ours'");
	$world->delete($from, 'B');
	$world->insert($from, title => "'New here'");
	$world->edit($from, 'C', text => 'theirs');
	$world->insert($to, title => "'New here'");
	$graph->requests;
	$world->sync($from);
	is((join "\n", grep { /^ *(?:PATCH|POST|DELETE) (?!\S*batch)/ } $graph->requests), '', 'FROM_PROVIDER: nothing is written');
	is($world->titles_there($from), 'A, B, C', '... all is there');
	is($world->value($from, 'C', 'description'), 'theirs', '... and what is edited there comes');
	$world->sync($to);
	is($world->titles_there($to), 'New here, Theirs', 'TO_PROVIDER: what is new goes there');
	$world->edit($to, 'New here', title => 'Renamed there', text => 'theirs');
	$world->add($to, 'Another');
	$world->sync($to);
	is($world->titles($to), 'New here', '... and nothing comes');
	is($world->sql("SELECT description IS NULL FROM tasksync.task WHERE project_id = '$to->{project}'"), 't', '... no field either');
	$graph->requests;
	$world->sync($_) foreach $from, $to, $from, $to;
	is((join "\n", grep { /^ *(?:PATCH|POST|DELETE) (?!\S*batch)/ } $graph->requests), '', 'both rest');
};

is(join("\n", $graph->violations), '', 'all requests were as they should be');

done_testing();
