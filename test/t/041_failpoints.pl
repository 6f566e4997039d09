# A worker that ends at its n-th step, n = 1, 2, … until it ends its work
# untouched, in four ways: whatever the step, nothing is lost, nothing is
# doubled on either side, both agree, and the next sync writes nothing.
#
# scripts/soak runs the same for longer.  TASKSYNC_SEED, TASKSYNC_MODES,
# TASKSYNC_FIRST, TASKSYNC_STRIDE, TASKSYNC_POINTS, TASKSYNC_MINUTES and
# TASKSYNC_CHAOS (per cent of the requests that the proxy spoils) are its
# options.
use strict;
use warnings FATAL => 'all';

use CrashWorld;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(time);

my $seed = $ENV{TASKSYNC_SEED} // int(time) % 1000000;
my $first = $ENV{TASKSYNC_FIRST} // 1;
my $chaos = $ENV{TASKSYNC_CHAOS} // 0;
my $minutes = $ENV{TASKSYNC_MINUTES};
my $points = $ENV{TASKSYNC_POINTS};
my $rounds_of_a_world = 25;
my @modes = split /,/, $ENV{TASKSYNC_MODES} // 'fatal,exit,kill,immediate';

# What a run in the test command does: so many seconds and steps apart a mode
my %bounds = (fatal => [ 20, 3 ], exit => [ 12, 7 ], kill => [ 8, 11 ], immediate => [ 10, 13 ]);

my $node = tasks_node('main', conf => CrashWorld::conf(), no_worker => 1);
my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);
my (%crashes, %rounds, %sweeps);
my $total = 0;

sub replay
{
	my ($mode, $at) = @_;

	return "scripts/soak --seed $seed --first $at --mode $mode" . ($chaos ? " --chaos $chaos" : '') . " --points $rounds_of_a_world";
}

# The steps of a round's lives: the n-th, or with a proxy that spoils requests
# up to four, at random
sub steps
{
	my ($n) = @_;

	return [$n] unless $chaos;
	return [ map { 1 + int(rand 70) } 1 .. 1 + int(rand 4) ];
}

# One way to crash, until there were enough points or it took too long
sub crash_in_mode
{
	my ($mode, $enough, $until, $stride) = @_;
	my $n = $first;
	my $done = 0;
	my $world;
	my $begun;

	while ($done < $enough && time < $until)
	{
		if (!$world)
		{
			$world = CrashWorld->new($node, $dav, $proxy, seed => $seed, chaos => $chaos);
			$begun = $n;
		}
		my $steps = steps($n);
		my $report = $world->round(steps => $steps, mode => $mode);
		my $problems = @{ $report->{problems} };

		$done += $report->{crashes};
		$crashes{$mode} += $report->{crashes};
		$rounds{$mode}++;
		$sweeps{$mode} = $n - 1 if $report->{untouched} && !$chaos && !$sweeps{$mode};
		ok(!$problems, "$mode at @$steps" . ($report->{untouched} ? ', untouched' : '') . ": seed $seed, round $world->{rounds}")
		  or diag(join "\n", @{ $report->{problems} }, 'again: ' . replay($mode, $begun));
		$n = $report->{untouched} ? 1 + int(rand $stride) : $n + $stride;
		if ($problems || $world->{rounds} >= $rounds_of_a_world)
		{
			$world->end;
			$world = undef;
			$seed++;
		}
	}
	$world->end if $world;
	$seed++;
	return;
}

note("seed $seed");
my $start = time;
foreach my $mode (@modes)
{
	my ($seconds, $stride) = @{ $bounds{$mode} };

	if ($points || $minutes)
	{
		crash_in_mode($mode, $points ? $points / @modes : 1e9,
			$minutes ? time + $minutes * 60 / @modes : 1e12, $ENV{TASKSYNC_STRIDE} // 1);
	}
	else { crash_in_mode($mode, 1e9, time + $seconds, $stride); }
}
foreach my $mode (@modes)
{
	$total += $crashes{$mode} // 0;
	note("$mode: $crashes{$mode} crashes in $rounds{$mode} rounds"
		  . ($sweeps{$mode} ? ", a round has about $sweeps{$mode} steps" : ''));
}
note(sprintf '%d crash points in %.0f seconds', $total, time - $start);

$node->stop;
done_testing();
