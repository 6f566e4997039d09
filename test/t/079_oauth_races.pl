# Credentials that change while a request with the old ones is under way: what is
# new stays, tokens that were had for it are kept, and no account NEEDS_AUTH for a
# refusal of what is not in use any more.
use strict;
use warnings FATAL => 'all';

use IPC::Run ();
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $graph = TasksyncTest::Graph->new(interval => 1, concurrency => 0, refresh_grace => 0);
my $node = tasks_node('oauth_races', conf => "tasksync.push_delay = '1 h'\ntasksync.retry_base_delay = '10 ms'\n");
my $app = '5f0c2b1e-1b9a-4b55-9c0e-2f6b1f7d3a11';
my $settings = sprintf '{"base_url": "%s", "login_url": "%s"}', $graph->url, $graph->login_url;
my $list = $graph->make_list('Garden');
my $account = sql($node, "SELECT tasksync.add_account('OUTLOOK', 'me', '{\"client_id\": \"$app\"}', '$settings')");
my $provider = sql($node, "SELECT tasksync.add_provider('OUTLOOK', 'p', settings => '$settings', account_id => '$account')");

sub refreshable { return sprintf '{"client_id": "%s", "refresh_token": "%s"}', $app, $graph->token->{refresh_token} }
sub token_only { return sprintf '{"access_token": "%s"}', $graph->token->{access_token} }
sub with_token { my $t = $graph->token; return sprintf '{"client_id": "%s", "refresh_token": "%s", "access_token": "%s"}', $app, $t->{refresh_token}, $t->{access_token} }
sub set_credentials { my ($credentials) = @_; return sql($node, "SELECT tasksync.set_credentials('$account', '$credentials')") }
sub status { return sql($node, "SELECT status FROM tasksync.connected_account WHERE id = '$account'") }

# A statement that is under way when the service has its request, which it is slow
# to answer; then what happens meanwhile; and what the statement says in the end.
sub meanwhile
{
	my ($rule, $statement, $happens) = @_;
	my $out = '';

	# a device that asks may be the first
	$graph->mode("$rule slow 1 times " . ($rule =~ /login/ ? 2 : 1));
	my $before = time;
	my $run = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('tasks'), '-c', $statement ], '>', \$out, '2>', \$out);
	sleep 0.6;
	$happens->();
	$run->finish;
	ok(time - $before >= 0.95, '(it was under way)');
	$graph->mode;
	return $out;
}

set_credentials(refreshable());
sql($node, "SELECT tasksync.create_mapping('$provider', '$list')");
sync($node, $provider);

# What a refresh brings is kept with what else has changed: with refresh_grace 0 the
# refresh token before is dead.
sub refreshed_beside
{
	my ($name, $happens) = @_;

	$graph->control('expire_access');
	is(meanwhile('login ~token', "CALL tasksync.sync_now('$provider')", $happens), '', "$name: the sync is done");
	$graph->control('expire_access');
	is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', '... the tokens were kept');
	is(status(), 'OK', '... and the account is well');
	return;
}
my $page;
refreshed_beside('a login with a code begins', sub { $page = sql($node, "SELECT authorize_url FROM tasksync.begin_oauth('$account', 'CODE')") });
my $landed = $graph->{http}->get($page)->{headers}{location};
is(sql($node, "SELECT tasksync.finish_oauth('$account', '$landed')"), 't', '... which can be ended');

my $code;
refreshed_beside('a login of a device begins', sub { $code = sql($node, "SELECT user_code FROM tasksync.begin_oauth('$account')") });
refreshed_beside('a key is changed', sub { sql($node, 'SELECT tasksync.rotate_secret_key()') });
$graph->control('approve_device', user_code => $code);
ok(wait_until($node, "SELECT tasksync.finish_oauth('$account')"), 'the device is allowed');
$graph->control('expire_access');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', '... and works');

# A login of a device ends while a refresh is under way
$code = sql($node, "SELECT user_code FROM tasksync.begin_oauth('$account')");
refreshed_beside('a login of a device ends', sub { $graph->control('approve_device', user_code => $code) });
ok(wait_until($node, "SELECT tasksync.finish_oauth('$account')"), '... well');

# Other credentials
$graph->control('expire_access');
is(meanwhile('login ~token', "CALL tasksync.sync_now('$provider')", sub { set_credentials(refreshable()) }), '', 'other credentials amid a refresh: the sync is done with them');
is(status(), 'OK', '... and the account is well');
$graph->control('expire_access');
$graph->control('refuse_refresh');
is(meanwhile('login ~token', "CALL tasksync.sync_now('$provider')", sub { set_credentials(with_token()) }), '', '... amid one that is refused: the same');
is(status(), 'OK', '... and the account is well');
$graph->control('accept_refresh');

set_credentials(token_only());
sync($node, $provider);
my $changed = sub { $graph->control('expire_access'); set_credentials(token_only()) };
is(meanwhile('graph', "CALL tasksync.sync_now('$provider')", $changed), '', 'other credentials while a service refuses the old ones: the sync is done with them');
is(status(), 'OK', '... and the account is well');
like(meanwhile('graph', "SELECT tasksync.validate_connection('$provider')", $changed), qr/^f$/, '... a check of the old ones fails');
is(status(), 'OK', '... and the account is well');
is(sql($node, "SELECT error_code FROM tasksync.task_provider WHERE id = '$provider'"), '55006', '... the provider says why');
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', '... and the new ones work');
$graph->control('expire_access');
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 'f', 'refused credentials that are in use');
is(status(), 'NEEDS_AUTH', '... are');

# In one transaction with a call that needs a token
my $before = time;
my $together = "BEGIN; SELECT tasksync.set_credentials('$account', '%s'); SELECT count(*) FROM tasksync.task_lists('$provider'); COMMIT";
is(sqlstate($node, sprintf $together, refreshable()), '55000', 'a token can be had with what is committed');
cmp_ok(time - $before, '<', 3, '... which is said at once');
is(sqlstate($node, sprintf $together, token_only()), '00000', 'a token that is there will do');
is(sqlstate($node, "BEGIN; SELECT tasksync.set_credentials('$account', '" . refreshable() . "'); SAVEPOINT s; SELECT authorize_url FROM tasksync.begin_oauth('$account', 'CODE'); RELEASE s; SELECT tasksync.finish_oauth('$account', 'x'); COMMIT"), '55000', 'the same for a code');
# Somebody's transaction holds the account: tokens that came can't be recorded
set_credentials(refreshable());
sync($node, $provider);
foreach my $seconds (1, 6)
{
	my $holder = $node->background_psql('tasks');
	$holder->query_safe("BEGIN; UPDATE tasksync.connected_account SET label = label WHERE id = '$account'");
	$graph->control('expire_access');
	my $out = '';
	my $call = IPC::Run::start([ 'psql', '-XAtq', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('tasks'), '-c', "SELECT count(*) FROM tasksync.task_lists('$provider')" ], '>', \$out, '2>', \$out);
	sleep $seconds;
	$call->finish if $seconds > 5;
	$holder->query_safe('ROLLBACK');
	$holder->quit;
	$call->finish if $seconds <= 5;
	like($out, $seconds > 5 ? qr/55P03: could not record the new tokens.*HINT:.*end it/s : qr/^\d+$/, "an account that is held for $seconds s");
	ok(wait_until($node, "SELECT count(*) > 0 FROM tasksync.task_lists('$provider')"), '... the tokens are not lost');
}
is(status(), 'OK', '... and the account is well');
set_credentials("{\"client_id\": \"$app\"}");
$code = sql($node, "SELECT user_code FROM tasksync.begin_oauth('$account')");
my $holder = $node->background_psql('tasks');
$holder->query_safe("BEGIN; UPDATE tasksync.connected_account SET label = label WHERE id = '$account'");
$graph->control('approve_device', user_code => $code);
sleep 5;
is(sql($node, "SELECT tasksync.finish_oauth('$account')"), 'f', 'a device that was allowed while the account is held');
$holder->query_safe('ROLLBACK');
$holder->quit;
ok(wait_until($node, "SELECT tasksync.finish_oauth('$account')"), '... is known when it is free');
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', '... and works');

is(join("\n", $graph->violations), '', 'all requests were as they should be');

done_testing();
