# The central scenario of the Outlook tests: edits of all kinds on both sides, of
# somebody whose account differs from others in some options of fakes/graph.py.
# They must meet in the same way whatever these are.
#
#   my $suite = OutlookScenario->new($node, $graph);
#   $suite->run([ delta_partial => 'on' ], [ if_match => 'ignored' ]);
package OutlookScenario;

use strict;
use warnings FATAL => 'all';

use OutlookWorld;
use TasksyncTest ();
use Test::More;
use Time::HiRes qw(sleep);

sub new
{
	my ($class, $node, $graph) = @_;

	return bless { node => $node, graph => $graph, defaults => $graph->set, users => 0 }, $class;
}

# A subtest an account.  TASKSYNC_ACCOUNT, a regular expression, chooses among them.
sub run
{
	my ($self, @accounts) = @_;

	foreach my $options (@accounts)
	{
		next if $ENV{TASKSYNC_ACCOUNT} && "@$options" !~ /$ENV{TASKSYNC_ACCOUNT}/;
		subtest join(' ', 'an account:', @$options) => sub {
			$self->set(@$options);
			$self->scenario({@$options});
		};
	}
	$self->set;
	return;
}

# The account has these options, and no others
sub set { my ($self, @options) = @_; return $self->{graph}->set(%{ $self->{defaults} }, @options); }

my %weekly = (pattern => { type => 'weekly', interval => 1, daysOfWeek => ['monday'], firstDayOfWeek => 'monday' }, range => { type => 'noEnd', startDate => '2027-03-01' });

# One sync, and with a delta that lags behind, one more when it has told
sub settle
{
	my ($world, $options) = @_;

	# parts that are turned away are not sent again in the same job
	foreach (1 .. ($options->{batch_overflow} ? 5 : 0))
	{
		last if TasksyncTest::sqlstate($world->{node}, "CALL tasksync.sync_now('$world->{provider}', timeout => '60 s')") eq '00000';
	}
	$world->sync;
	return unless $options->{delta_lag};
	sleep 0.75;
	$world->sync;
	return;
}

sub scenario
{
	my ($self, $options, %more) = @_;
	my $world = OutlookWorld->new($self->{node}, $self->{graph}, user => 'user' . ++$self->{users});
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
	$self->{graph}->control('expire_deltas', user => $world->{user}) if $options->{expired_delta};
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

1;
