# What users have locked in their open transactions: it stops neither the
# syncs of others, nor their own for longer than it lasts.
use strict;
use warnings FATAL => 'all';

use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $node = tasks_node('locks');
my $dav = TasksyncTest::Dav->new('radicale');
my $proxy = TasksyncTest::Proxy->new($dav->port);

# Statements of a user's
sub by
{
	my ($user, $query) = @_;

	return $node->safe_psql('tasks', $query, extra_params => [ '-U', $user ]);
}

# A user with a provider and a mapped list; their ids
sub new_user
{
	my ($user, $url) = @_;
	my $list = $dav->make_list($user, $user);

	sql($node, "CREATE ROLE $user LOGIN; SELECT tasksync.grant_access('$user')");
	my $provider = by($user, "SELECT tasksync.add_provider('CALDAV', NULL, '{\"username\": \"tasks\", \"password\": \"secret\"}', '{\"url\": \"$url\"}')");
	my $mapping = by($user, "SELECT tasksync.create_mapping('$provider', '$list')");
	by($user, "CALL tasksync.sync_now('$provider')");
	return ($provider, $mapping);
}

my ($ann, $anns_list) = new_user('ann', $proxy->url);
my ($bob, $bobs_list) = new_user('bob', $dav->url);

# While ann's transaction holds something, how long bob's sync takes
sub seconds_for_bob
{
	my ($held, $meanwhile) = @_;
	my $session = $node->background_psql('tasks', extra_params => [ '-U', 'ann' ]);

	$session->query_safe("BEGIN; $held");
	by('ann', $meanwhile);
	sleep 0.3;
	my $start = time;
	by('bob', "CALL tasksync.sync_now('$bob', timeout => '20 s')");
	my $seconds = time - $start;
	$session->query_safe('ROLLBACK');
	$session->quit;
	return $seconds;
}

my $edit = 'INSERT INTO tasksync.task (project_id, title) SELECT project_id, \'new\' FROM tasksync.task_list_mapping';

cmp_ok(seconds_for_bob('SELECT FROM tasksync.task_list_mapping FOR UPDATE', $edit), '<', 2, 'a locked mapping with changes');
ok(wait_until($node, 'SELECT count(*) = 1 FROM tasksync.task WHERE sync_status = \'SYNCED\''), '... whose changes go once it is free');
cmp_ok(seconds_for_bob("SELECT tasksync.sync_mapping('$anns_list')", $edit), '<', 2, 'a job of a mapping that is not committed');
ok(wait_until($node, 'SELECT count(*) = 2 FROM tasksync.task WHERE sync_status = \'SYNCED\''), '... the changes go all the same');
cmp_ok(seconds_for_bob("SELECT tasksync.sync_provider('$ann')", 'UPDATE tasksync.task_provider SET next_sync_at = now()'), '<', 2,
	'a job of a provider that is not committed');
cmp_ok(seconds_for_bob('SELECT FROM tasksync.task FOR UPDATE', 'SELECT tasksync.sync_all_for_user()'), '<', 2, 'locked tasks');

# A time that is none does not stop the worker either
by('ann', 'UPDATE tasksync.task_provider SET next_sync_at = \'infinity\'');
by('bob', 'UPDATE tasksync.task_provider SET next_sync_at = \'infinity\'');
my $start = time;
by('bob', "CALL tasksync.sync_now('$bob', timeout => '20 s')");
cmp_ok(time - $start, '<', 2, 'infinite times of the next sync');

# A job that ends while its provider's row is locked is recorded later
$proxy->mode('slow 2');
my $job = by('ann', "SELECT tasksync.sync_provider('$ann')");
ok(wait_until($node, "SELECT status = 'RUNNING' FROM tasksync.sync_job WHERE id = $job"), 'a job runs');
my $session = $node->background_psql('tasks', extra_params => [ '-U', 'ann' ]);
$session->query_safe('BEGIN; UPDATE tasksync.task_provider SET name = \'locked\'');
ok($node->wait_for_log(qr/could not record the end of job $job yet/), '... and ends while its provider is locked');
$proxy->mode('pass');
$session->query_safe('COMMIT');
$session->quit;
ok(wait_until($node, "SELECT status = 'SUCCEEDED' FROM tasksync.sync_job WHERE id = $job"), '... its end is recorded when it is free');
by('ann', "CALL tasksync.sync_now('$ann', timeout => '20 s')");
is(by('ann', 'SELECT sync_status FROM tasksync.task_provider'), 'OK', '... and the next one runs');

# A worker begins while a provider of one that died is locked
$proxy->mode('silent');
$job = by('ann', "SELECT tasksync.sync_provider('$ann')");
ok(wait_until($node, "SELECT status = 'RUNNING' FROM tasksync.sync_job WHERE id = $job"), 'a job runs');
$session = $node->background_psql('tasks', extra_params => [ '-U', 'ann' ]);
$session->query_safe('BEGIN; UPDATE tasksync.task_provider SET name = \'locked\'');
sql($node, 'SELECT pg_terminate_backend(' . worker_pid($node) . ')');
$start = time;
sleep 0.5;
by('bob', "CALL tasksync.sync_now('$bob', timeout => '20 s')");
cmp_ok(time - $start, '<', 8, '... its worker dies, and the next one works while the provider is locked');
$session->query_safe('COMMIT');
$session->quit;

# A worker begins while the job that its predecessor had is being queued again by a transaction that stays open
$proxy->mode('silent');
$job = by('ann', "SELECT tasksync.sync_provider('$ann')");
ok(wait_until($node, "SELECT status = 'RUNNING' FROM tasksync.sync_job WHERE id = $job"), 'a job runs');
$session = $node->background_psql('tasks', extra_params => [ '-U', 'ann' ]);
$session->query_safe("BEGIN; SELECT tasksync.sync_provider('$ann')");
my $dying = worker_pid($node);
sql($node, "SELECT pg_terminate_backend($dying)");
$proxy->mode('pass');
$start = time;
sleep 0.5;
by('bob', "CALL tasksync.sync_now('$bob', timeout => '20 s')");
cmp_ok(time - $start, '<', 20, '... its worker dies while the next one is being queued: others go on');
my $successor = worker_pid($node);
sleep 1;
is(worker_pid($node), $successor, '... and the next worker stays');
$session->query_safe('COMMIT');
$session->quit;
ok(wait_until($node, "SELECT status = 'FAILED' FROM tasksync.sync_job WHERE id = $job"), '... once it is queued, the dead worker\'s is over');
ok(wait_until($node, "SELECT count(*) = 0 FROM tasksync.sync_job WHERE status IN ('PENDING', 'RUNNING')"), '... and the queued one is done');

$node->stop;
done_testing();
