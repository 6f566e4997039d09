# A worker that dies at its n-th step, n = 1, 2, … while it fetches a new token and
# syncs with it: the account is never locked out, whichever of the tokens was used
# up, and nothing is lost or doubled.
use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep);

my $graph = TasksyncTest::Graph->new(concurrency => 0);
my $node = tasks_node('token_crash', no_worker => 1, conf => <<CONF);
tasksync.databases = 'none'
tasksync.push_delay = '1 h'
tasksync.retry_base_delay = '10 ms'
CONF
my $settings = sprintf '{"base_url": "%s", "login_url": "%s"}', $graph->url, $graph->login_url;
my $app = '5f0c2b1e-1b9a-4b55-9c0e-2f6b1f7d3a11';
my $list = $graph->make_list('Garden');

# A worker until it dies at a step, or has no work any more: whether it died
sub live_and_die
{
	my ($at) = @_;
	my ($pid, $ignored) = ('', '');

	# at its first steps it dies before it is known to have started
	$node->psql('tasks', "SET tasksync.crash_at = $at; SELECT tasksync.start_worker()", stdout => \$pid, stderr => \$ignored);

	for (1 .. 2000)
	{
		return 1 unless $pid && kill 0, $pid;
		last if sql($node, "SELECT count(*) = 0 FROM tasksync.sync_job WHERE status IN ('PENDING', 'RUNNING') AND run_at < now() + '1 min'") eq 't';
		sleep 0.01;
	}
	sleep 0.05;
	my $died = !kill 0, $pid;
	sql($node, "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");
	return $died;
}

my $provider = sql($node, "SELECT tasksync.add_provider('OUTLOOK', 'me', '{\"client_id\": \"$app\", \"refresh_token\": \""
	  . $graph->token->{refresh_token} . "\"}', '$settings')");
sql($node, "SELECT tasksync.create_mapping('$provider', '$list')");
is(live_and_die(0), '', 'a first sync, undisturbed');

my $deaths = 0;
my $project = sql($node, 'SELECT project_id FROM tasksync.task_list_mapping');
my %titles;
for my $n (1 .. 200)
{
	$graph->control('expire_access');
	$graph->add_task($list, "There $n");
	sql($node, "INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'Here $n'); SELECT tasksync.sync_provider('$provider')");
	$titles{"There $n"} = $titles{"Here $n"} = 1;
	my $died = live_and_die($n);
	$deaths += $died;
	last unless $died;
}
# What was being made when it died is looked for, once listings are sure to show it.
my $expected = join ', ', sort keys %titles;
for (1 .. 30)
{
	live_and_die(0);
	last if $graph->titles($list) eq $expected;
	sleep 1;
	sql($node, "SELECT tasksync.sync_provider('$provider')");
}
cmp_ok($deaths, '>', 15, 'it died at each of its steps');
is(sql($node, 'SELECT status FROM tasksync.connected_account'), 'OK', 'the account was not locked out');
is(sql($node, "SELECT count(*) FROM tasksync.sync_job WHERE error_code = 'TS401'"), '0', '... not once');
is($graph->titles($list), $expected, 'all is there, once');
is(sql($node, 'SELECT string_agg(title, \', \' ORDER BY title COLLATE "C") FROM tasksync.task'), $expected, 'and here');
is(join("\n", $graph->violations), '', 'all requests were as they should be');
note("$deaths deaths");

done_testing();
