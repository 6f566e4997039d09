# Two people at random, one in the database and one in the app, at two lists of
# Microsoft To Do that fails now and then: both sides come to the same, no task is
# lost or doubled, and it comes to rest.
#
# Rounds are drawn from a seed; TASKSYNC_SEED and TASKSYNC_SECONDS are its options.
# A round that fails prints what was done.
use strict;
use warnings FATAL => 'all';

use JSON::PP ();
use OutlookWorld;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{TASKSYNC_SEED} // 1030;
my $until = time + ($ENV{TASKSYNC_SECONDS} // 20);
my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('random', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\ntasksync.mass_delete_minimum = 1000\n");

my @texts = ('plain', "two\nlines", "crlf\r\nline", 'a & b <c> "d"', "tab\there", "\x{fc}n\x{ef} \x{6f22}\x{5b57} \x{1f600}", ' blanks around ',
	'x' x 3000, '&amp; &lt;', "\x{200b}no width", '- list - of - dashes', 'http://example.com/?a=1&b=2', '');
my @zones = ('UTC', 'Europe/Berlin', 'W. Europe Standard Time', 'Pacific Standard Time', 'New Zealand Standard Time');
my @faults = ('graph PATCH lost times 1', 'graph POST lost times 1', 'graph DELETE lost times 1', 'status 503 times 2', 'part fail-after 500 times 2',
	'part status 500 times 2', 'part throttle 0.2 times 2', 'truncate times 1', 'graph POST ~batch lost times 1', 'close skip 2 times 2');

my ($world, @lists, @log, %made, %deleted, %steps);
my $made = 0;

sub pick { return $_[ int rand @_ ] }
sub day { return sprintf '2027-%02d-%02d', 1 + int rand 12, 1 + int rand 28 }
sub quoted { my ($text) = @_; return "'" . ($text =~ s/'/''/gr) . "'" }
sub new_title { my ($letter) = @_; my $title = $letter . ++$made; $made{$title} = 1; return $title }
sub the_other { my ($list) = @_; return $list == $lists[0] ? $lists[1] : $lists[0] }

sub here
{
	my ($query) = @_;

	push @log, "here $query";
	return $world->sql($query);
}

# What the app can't do any more is not done.
sub there
{
	my ($command, %arguments) = @_;

	push @log, "there $command " . JSON::PP->new->canonical->encode(\%arguments);
	return 1 if eval { $world->there($command, %arguments); 1 };
	push @log, '... which was not possible';
	return 0;
}

sub add_step
{
	my ($list, $title) = @_;
	my $name = 'step ' . ++$made;

	$steps{$title}{$name} = '' if $title && there('add_step', list => $list->{list}, task => $title, name => $name);
	return;
}

sub tick_step
{
	my ($list, $title) = @_;
	my @open = $title ? map { $_->{isChecked} ? () : $_->{displayName} } @{ $world->task_there($list, $title)->{checklistItems} } : ();

	return unless @open;
	my $name = pick(@open);
	$steps{$title}{$name} = ' done' if there('edit_step', list => $list->{list}, task => $title, step => $name, checked => JSON::PP::true());
	return;
}

sub sync_both
{
	push @log, 'sync: ' . sqlstate($node, "CALL tasksync.sync_now('$world->{provider}', timeout => '60 s')");
	return;
}

# What a person does in the database: with any task of a list, or a new one
my @done_here = (
	sub { my ($list) = @_; here("INSERT INTO tasksync.task (project_id, title, description, due_date, tags) VALUES ('$list->{project}', '" . new_title('H') . "', " . quoted(pick(@texts)) . ', ' . pick('NULL', quoted(day())) . ', ' . pick("'{}'", "'{a,b c}'") . ')') },
	(map { my $set = $_; sub { my ($list, $title) = @_; here('UPDATE tasksync.task SET ' . $set->($list) . " WHERE title = '$title' AND project_id = '$list->{project}'") if $title } }
		sub { 'description = ' . quoted(pick(@texts)) },
		sub { 'start_date = NULL, due_date = ' . pick('NULL', quoted(day())) },
		sub { 'status = ' . quoted(pick(qw(TODO IN_PROGRESS COMPLETED))) },
		sub { 'priority = ' . quoted(pick(qw(NONE LOW MEDIUM HIGH))) . ', tags = ' . pick("'{}'", "'{a}'", "'{b,a}'") },
		sub { 'remind_at = ' . pick('NULL', quoted(day() . ' 02:30+00')) },
		sub { my ($list) = @_; 'project_id = ' . quoted(the_other($list)->{project}) }),
	sub { my ($list, $title) = @_; return unless $title; $deleted{$title} = 1; here("DELETE FROM tasksync.task WHERE title = '$title' AND project_id = '$list->{project}'") });

# ... and in the app, which keeps a task only that was made here when it moves it
my @done_there = (
	sub { my ($list) = @_; there('add_task', list => $list->{list}, title => new_title('T'), pick('text', 'html') => pick(@texts), importance => pick(qw(low normal high)), pick({}, { due => day(), zone => pick(@zones) }, { steps => [ 'one', 'two' ] })->%*) },
	(map { my $what = $_; sub { my ($list, $title) = @_; there('edit_task', list => $list->{list}, task => $title, $what->()) if $title } }
		sub { pick('text', 'html') => pick(@texts) },
		sub { due => pick(undef, day()), zone => pick(@zones) },
		sub { importance => pick(qw(low normal high)), categories => pick([], ['a'], [ 'Red category', 'b' ]) },
		sub { status => pick(qw(notStarted inProgress completed waitingOnOthers deferred)) }),
	\&add_step,
	\&tick_step,
	sub { my ($list, $title) = @_; there('move_task', list => $list->{list}, task => $title, to => the_other($list)->{list}) if $title && $title =~ /^H/ },
	sub { my ($list, $title) = @_; return unless $title; $deleted{$title} = 1; there('delete_task', list => $list->{list}, task => $title) });

sub do_something
{
	my $list = pick(@lists);
	my $in_app = rand() < 0.5;
	my @titles = $in_app ? map({ $_->{title} } $world->tasks_there($list)) : rows($node, "SELECT title FROM tasksync.task WHERE project_id = '$list->{project}' ORDER BY title");

	pick($in_app ? @done_there : @done_here)->($list, @titles ? pick(sort @titles) : undef);
	return;
}

# Creates in doubt are looked for as if that time had passed; and a list that has
# become empty is meant to be.
sub come_to_rest
{
	foreach (1 .. 6)
	{
		$world->sql("UPDATE tasksync.task_intent SET in_doubt_since = in_doubt_since - interval '1 min'");
		here("SELECT tasksync.confirm_deletions(id) FROM tasksync.task_list_mapping WHERE sync_status = 'HELD'");
		sync_both();
	}
	return;
}

sub lost_or_doubled
{
	my %count = map { split /\|/ } rows($node, "SELECT title, count(*) FROM tasksync.task WHERE project_id IN ('$lists[0]{project}', '$lists[1]{project}') GROUP BY title");

	return join ', ', map { my $n = $count{$_} // 0; $n > 1 || ($n == 0 && !$deleted{$_}) ? "$n tasks $_" : () } sort keys %made;
}

# Steps that are not there, of tasks that are
sub lost_steps
{
	my %there = map { my $task = $_; map { ("$task->{title}: $_->{displayName}" . ($_->{isChecked} ? ' done' : '')) => 1 } @{ $task->{checklistItems} } } map { $world->tasks_there($_) } @lists;

	return join ', ', grep { !$there{$_} } map { my $title = $_; map { "$title: $_$steps{$title}{$_}" } sort keys %{ $steps{$title} } } grep { !$deleted{$_} } sort keys %steps;
}

for (my ($round, $ok) = (1, 1); $ok && time < $until; $round++)
{
	srand $seed + $round;
	@log = %made = %deleted = %steps = ();
	my $if_match = pick('honoured', 'honoured', 'ignored');
	$graph->set(page_size => pick(2, 5, 50), child_bumps => pick('on', 'off'), deep_insert => pick('all', 'all', 'ignored', 'refused'), delta_repeat => pick('off', 'stale'),
		expand => pick('honoured', 'refused', 'ignored'), if_match => $if_match, delete_if_match => $if_match, text_bodies => pick('text', 'html'), batch_overflow => pick('queued', 'queued', 'throttled'));
	my $policy = pick(qw(LATEST_WINS LOCAL_WINS REMOTE_WINS));
	$world = OutlookWorld->new($node, $graph, user => "user $round");
	@lists = map { $world->map_list("Round $round, $_", arguments => "conflict_policy => '$policy'") } qw(A B);
	foreach (1 .. 4)
	{
		do_something() foreach 1 .. 1 + int rand 8;
		if (rand() < 0.4)
		{
			push @log, 'fault: ' . (my $fault = pick(@faults));
			$graph->mode($fault);
		}
		sync_both();
		$graph->mode;
		there('expire_deltas', list => pick(@lists)->{list}) if rand() < 0.3;
	}
	come_to_rest();
	$ok &= $world->at_rest($_, "round $round: both sides are the same") foreach @lists;
	$ok &= is(lost_or_doubled(), '', "round $round: nothing is lost or doubled");
	$ok &= is(lost_steps(), '', "round $round: no step is lost");
	diag(join "\n", 'seed ' . ($seed + $round), @log) unless $ok;
	$world->sql("SELECT tasksync.remove_provider('$world->{provider}', true)");
}
is(join("\n", $graph->violations), '', 'all requests were as they should be');

$node->stop;
done_testing();
