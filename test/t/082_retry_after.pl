# A service that says when to come again: until then nothing is sent to it, whoever
# would like to.
use strict;
use warnings FATAL => 'all';

use OutlookWorld;
use TasksyncTest;
use Test::More;

my $graph = TasksyncTest::Graph->new(concurrency => 0, early_retry => 'violation');
my $node = tasks_node('retry_after', conf => "tasksync.push_delay = '100 ms'\ntasksync.max_attempts = 5\n");
my $world = OutlookWorld->new($node, $graph);
my ($a, $b) = map { $world->map_list("Busy $_", tasks => [ map { "Task $_" } 1 .. 5 ]) } qw(A B);

sub is_quiet { return wait_until($node, "SELECT count(*) = 0 FROM tasksync.sync_job WHERE status IN ('PENDING', 'RUNNING')") }
sub waits { return wait_until($node, "SELECT count(*) > 0 FROM tasksync.sync_job WHERE status = 'PENDING' AND error_code = 'TS503'") }
sub too_early { return join "\n", $graph->violations }

is_quiet();
foreach my $of ('the provider', 'a list')
{
	$graph->mode('throttle 3 times 1');
	$world->sql($of eq 'a list' ? "SELECT tasksync.sync_mapping('$a->{mapping}')" : "SELECT tasksync.sync_provider('$world->{provider}')");
	ok(waits(), "a sync of $of waits");
	ok($world->sql("SELECT retry_after BETWEEN now() AND now() + interval '4 s' FROM tasksync.task_provider"), '... till when is seen in the provider');
	$world->update($b, 'Task 1', "description = 'edited while $of waits'");
	is(sqlstate($node, "CALL tasksync.sync_now(mapping_id => '$b->{mapping}', timeout => '500 ms')"), '57014', '... and a person as well');
	ok(is_quiet(), '... until the time is over');
	is($world->task_there($b, 'Task 1')->{body}{content}, "edited while $of waits", '... and all is done');
	is(too_early(), '', '... with no request before');
	is($world->sql('SELECT retry_after FROM tasksync.task_provider'), '', '... and it is forgotten');
}

# what is turned away when its successor is queued already
$graph->mode('graph ~delta slow 1.5 times 1', 'graph POST throttle 3 times 1', 'graph PATCH throttle 3 times 1');
$world->update($a, 'Task 2', "description = 'one'");
wait_until($node, "SELECT count(*) > 0 FROM tasksync.sync_job WHERE status = 'RUNNING'");
$world->update($a, 'Task 3', "description = 'two'");
ok(is_quiet(), 'an edit while a sync is under way, which is turned away then');
is(too_early(), '', '... waits, too');
is(join(' ', map { $world->task_there($a, "Task $_")->{body}{content} } 2, 3), 'one two', '... and is sent');

# the login service
my $app = '5f0c2b1e-1b9a-4b55-9c0e-2f6b1f7d3a11';
my $account = $world->sql('SELECT id FROM tasksync.connected_account');
$world->sql("UPDATE tasksync.task_provider SET settings = settings || '{\"login_url\": \"" . $graph->login_url . "\"}';"
	  . "SELECT tasksync.set_credentials('$account', '{\"client_id\": \"$app\", \"refresh_token\": \"" . $graph->token->{refresh_token} . "\"}')");
is_quiet();
$graph->control('expire_access');
$graph->mode('login ~token retry-after 3 times 1');
$graph->requests;
$world->sql("SELECT tasksync.sync_provider('$world->{provider}')");
ok(waits(), 'a login service that says when to come again');
is(sqlstate($node, "SELECT tasksync.task_lists('$world->{provider}')"), 'TS503', '... is not asked by others either');
is(scalar(grep { m{/token} } $graph->requests), 1, '... until then');
ok(is_quiet(), '... and then all is well');
is($world->sql("SELECT status FROM tasksync.connected_account WHERE id = '$account'"), 'OK', '... and nobody has to log in again');

# another account's
my $other = OutlookWorld->new($node, $graph, user => 'bert');
my $theirs = $other->map_list('Theirs');
is_quiet();
$graph->mode('throttle 3 times 1');
$world->sql("SELECT tasksync.sync_provider('$world->{provider}')");
waits();
is($other->sync_state($theirs), '00000', 'others need not wait');
$graph->mode;
is_quiet();

is(too_early(), '', 'all requests were as they should be');
done_testing();
