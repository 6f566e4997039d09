# Logging in by OAuth, and what becomes of tokens: with a device code, with a code
# from the browser, refreshed ahead of time, on a refusal, once for all who want
# it, through outages and crashes, and withdrawn.
use strict;
use warnings FATAL => 'all';

use IPC::Run ();
use TasksyncTest;
use Test::More;

my $graph = TasksyncTest::Graph->new(interval => 1, concurrency => 0);
my $node = tasks_node('oauth', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\n");
my $app = '5f0c2b1e-1b9a-4b55-9c0e-2f6b1f7d3a11';
my $settings = sprintf '{"base_url": "%s", "login_url": "%s"}', $graph->url, $graph->login_url;
my $account = sql($node, "SELECT tasksync.add_account('OUTLOOK', 'me', '{\"client_id\": \"$app\"}', '$settings')");
my $list = $graph->make_list('Garden');

$graph->add_task($list, "Task $_") foreach 1 .. 3;

sub value { my ($expression) = @_; return sql($node, "SELECT $expression FROM tasksync.connected_account WHERE id = '$account'") }
sub finish { my ($code) = @_; return sql($node, "SELECT tasksync.finish_oauth('$account'" . ($code ? ", '$code'" : '') . ')') }

# How often the login service was asked for tokens since the last call
sub token_requests { return scalar grep { m{^POST /login/.*/token } } $graph->requests }

# A login with a device code, from beginning to end
sub log_in
{
	my ($code) = rows($node, "SELECT user_code FROM tasksync.begin_oauth('$account')");

	$graph->control('approve_device', user_code => $code);
	return wait_until($node, "SELECT tasksync.finish_oauth('$account')");
}

# What the hint of a statement's error says
sub hint
{
	my ($statement) = @_;
	my $stderr = '';

	$node->psql('tasks', $statement, stderr => \$stderr);
	return $stderr =~ /^HINT:  (.*)$/m ? $1 : "no hint: $stderr";
}

# before anybody has logged in
my $early = sql($node, "SELECT tasksync.add_provider('OUTLOOK', 'early', '{\"client_id\": \"$app\"}', '$settings')");
$graph->requests;
is(sqlstate($node, "SELECT tasksync.task_lists('$early')"), 'TS401', 'nobody has logged in');
like(hint("SELECT tasksync.task_lists('$early')"), qr/begin_oauth/, '... which is what to do');
is(sqlstate($node, "CALL tasksync.sync_now('$early')"), 'TS401', '... for the worker as well');
is(scalar(() = $graph->requests), 0, '... and no request leaves');
sql($node, "SELECT tasksync.remove_provider('$early')");

# another directory's
my $elsewhere = sql($node, "SELECT tasksync.add_account('OUTLOOK', 'elsewhere', '{\"client_id\": \"$app\", \"tenant\": \"no such\"}', '$settings')");
like(hint("SELECT tasksync.begin_oauth('$elsewhere')"), qr/tenant/, 'a tenant that is not there');
sql($node, "DELETE FROM tasksync.connected_account WHERE id <> '$account'");

# device code
is(sqlstate($node, "SELECT tasksync.finish_oauth('$account')"), '55000', 'nothing was begun');
is(sqlstate($node, "SELECT tasksync.begin_oauth('$account', 'MAGIC')"), '22023', 'a flow that is none');
my ($uri, $code, $url, $soon) = split /\|/, sql($node,
	"SELECT verification_uri, user_code, authorize_url, expires_at > now() + '10 min' FROM tasksync.begin_oauth('$account')");
like($uri, qr/^http/, 'an address for the browser');
like($code, qr/^\w{6,}/, '... a code to type there');
is("$url$soon", 't', '... and some minutes for it');
is(finish(), 'f', 'nobody has agreed yet');
$graph->control('approve_device', user_code => $code);
ok(wait_until($node, "SELECT tasksync.finish_oauth('$account')"), 'somebody has');
is(value("status || ' ' || (expires_at BETWEEN now() + '50 min' AND now() + '70 min')"), 'OK true', 'the account has a token, for an hour');

my $provider = sql($node, "SELECT tasksync.add_provider('OUTLOOK', account_id => '$account')");
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'it works');
my ($mapping, $project) = map_list($node, $provider, $list);
is(sql($node, "SELECT string_agg(title, ', ' ORDER BY title) FROM tasksync.task"), 'Task 1, Task 2, Task 3', 'the tasks are here');

# declined, and a login in place of another
($code) = rows($node, "SELECT user_code FROM tasksync.begin_oauth('$account')");
$graph->control('decline_device', user_code => $code);
ok(wait_until($node, "SELECT status = 'FAILED' FROM tasksync.sync_job WHERE kind = 'OAUTH' ORDER BY id DESC LIMIT 1"), 'somebody declined');
is(sqlstate($node, "SELECT tasksync.finish_oauth('$account')"), 'TS401', '... which is told');
is(value('status'), 'OK', '... and takes nothing away');
my ($first) = rows($node, "SELECT user_code FROM tasksync.begin_oauth('$account')");
my ($second) = rows($node, "SELECT user_code FROM tasksync.begin_oauth('$account')");
is(sql($node, "SELECT count(*) FROM tasksync.sync_job WHERE kind = 'OAUTH' AND status IN ('PENDING', 'RUNNING')"), '1', 'one login at a time');
$graph->control('approve_device', user_code => $second);
ok(wait_until($node, "SELECT tasksync.finish_oauth('$account')"), 'the later one counts');
is(sqlstate($node, "BEGIN; SELECT * FROM tasksync.begin_oauth('$account'); ROLLBACK; SELECT tasksync.finish_oauth('$account');"), '00000', 'what was rolled back was not begun');

# a code from the browser
my $address = sql($node, "SELECT authorize_url FROM tasksync.begin_oauth('$account', 'CODE')");
like($address, qr/code_challenge_method=S256/, 'an address to log in at, with PKCE');
unlike($address, qr/secret|verifier/, '... and without a secret');
is(sqlstate($node, "SELECT tasksync.finish_oauth('$account')"), '22023', '... which ends with a code, whatever was done before');
my $landed = $graph->{http}->get($address)->{headers}{location};
is(sqlstate($node, "SELECT tasksync.finish_oauth('$account', '" . ($landed =~ s/state=/state=x/r) . "')"), '22023', 'the code of another login');
is(finish($landed), 't', 'the address that the browser ends at');
is(sqlstate($node, "SELECT tasksync.finish_oauth('$account', '$landed')"), '55000', '... once');
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'it works');
is(sqlstate($node, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT tasksync.task_lists('$provider'); COMMIT;"), '00000', 'in any transaction');

# a token that is refused is had anew, once
$graph->control('expire_access');
$graph->add_task($list, 'Task 4');
token_requests();
sync($node, $provider);
is(sql($node, 'SELECT count(*) FROM tasksync.task'), '4', 'an expired token stops no sync');
is(token_requests(), 1, '... and is had anew once');
$graph->control('expire_access');
is(sqlstate($node, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1; SELECT tasksync.task_lists('$provider'); COMMIT;"), '00000', '... nor a call, in any transaction');
is(token_requests(), 1, '... once');

# ... however many want it
$graph->control('expire_access');
$graph->mode('login slow 1');
my @calls = map {
	my $out = '';
	[ IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('tasks'), '-c', "SELECT count(*) FROM tasksync.task_lists('$provider')" ], '>', \$out, '2>', \$out), \$out ]
} 1 .. 5;
sync($node, $provider);
$_->[0]->finish foreach @calls;
is(join(' ', map { ${ $_->[1] } =~ s/\n//r } @calls), '3 3 3 3 3', 'five calls and a sync at once');
is(token_requests(), 1, '... share one refresh');
$graph->mode;

# ahead of time
$graph->set(expires_in => 5);
$graph->control('expire_access');
sync($node, $provider);
$graph->requests;
sleep 5;
$graph->set(expires_in => 3600);
sync($node, $provider);
is((scalar grep { / 401$/ } $graph->requests), 0, 'a token is had anew before it expires');

# outages of the login service
$graph->control('expire_access');
$graph->mode('login status 503');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS503', 'a login service that is out of order');
is(value('status'), 'OK', '... is no refusal');
is(sqlstate($node, "SELECT tasksync.task_lists('$provider')"), 'TS503', '... for a call as well');
$graph->mode('login html');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS502', 'a page in its place');
is(value('status'), 'OK', '... neither');
$graph->mode('login lost times 1');
isnt(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', 'an answer that is lost');
is(value('status'), 'OK', '... neither');
$graph->mode;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), '00000', 'all is well again');

# withdrawn
$graph->control('refuse_refresh');
$graph->control('expire_access');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS401', 'consent was withdrawn');
is(value('status'), 'NEEDS_AUTH', 'the account says so');
is(sqlstate($node, "SELECT tasksync.finish_oauth('$account')"), '55000', '... and that nobody has logged in since');
like(sql($node, "SELECT p.sync_status || ' ' || p.error_code || ' ' || j.error_hint FROM tasksync.task_provider p, tasksync.sync_job j ORDER BY j.id DESC LIMIT 1"),
	qr/^ERROR TS401 .*begin_oauth/, '... the provider too, and the job what to do');
$graph->requests;
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS401', 'it stays so');
is(sqlstate($node, "SELECT tasksync.task_lists('$provider')"), 'TS401', '... for a call as well');
like(hint("SELECT tasksync.task_lists('$provider')"), qr/begin_oauth/, '... which says what to do');
is(scalar(() = $graph->requests), 0, '... and no request leaves');
is(sql($node, 'SELECT count(*) FROM tasksync.task'), '4', 'nothing is lost');
$graph->control('accept_refresh');
ok(log_in(), 'a new login');
is(value('status'), 'OK', '... ends it');
sync($node, $provider);
is(sql($node, "SELECT sync_status FROM tasksync.task_provider"), 'OK', '... and it goes on');

# tokens given by hand
sql($node, "SELECT tasksync.set_credentials('$account', '{\"access_token\": \"" . $graph->token->{access_token} . "\"}')");
is(sql($node, "SELECT tasksync.validate_connection('$provider')"), 't', 'an access token alone');
$graph->control('expire_access');
is(sqlstate($node, "CALL tasksync.sync_now('$provider')"), 'TS401', '... while it lasts');
is(value('status'), 'NEEDS_AUTH', '... and no longer');
sql($node, "SELECT tasksync.set_credentials('$account', '{\"client_id\": \"$app\", \"refresh_token\": \"" . $graph->token->{refresh_token} . "\"}')");
sync($node, $provider);
is(value('status'), 'OK', 'a refresh token and an application');

# a backend cannot do it alone
$graph->control('expire_access');
$node->append_conf('postgresql.conf', "tasksync.databases = 'none'");
$node->reload;
ok(wait_until($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tasksync worker'"), 'no worker');
is(sqlstate($node, "SELECT tasksync.task_lists('$provider')"), '55000', '... no new token');
is(sqlstate($node, "SELECT tasksync.finish_oauth('$account', 'x')"), '55000', '... and no code is redeemed');
$node->append_conf('postgresql.conf', "tasksync.databases = 'tasks'");
$node->reload;
ok(wait_until($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'tasksync worker'"), 'a worker again');
is(sqlstate($node, "SELECT tasksync.task_lists('$provider')"), '00000', 'and all is well');

# CALDAV has none of this
sql($node, "SELECT tasksync.add_account('CALDAV', 'dav', '{\"token\": \"x\"}', '{\"url\": \"http://127.0.0.1:1/\"}')");
is(sqlstate($node, "SELECT tasksync.begin_oauth(id) FROM tasksync.connected_account WHERE type = 'CALDAV'"), '22023', 'a type without such a login');

# services that show what they were sent
sub complaint
{
	my ($statement) = @_;
	my ($out, $stderr);

	$node->psql('tasks', $statement, stdout => \$out, stderr => \$stderr);
	return "$stderr $out";
}
my $said = '';
$graph->set(token_length => 40);
sql($node, "SELECT tasksync.set_credentials('$account', '{\"client_id\": \"$app\", \"client_secret\": \"se cret+/&%-of-the-app\"}')");
$graph->mode("login ~token echo\n");
my ($page) = rows($node, "SELECT authorize_url FROM tasksync.begin_oauth('$account', 'CODE')");
$said .= complaint("SELECT tasksync.finish_oauth('$account', 'co+de/that-is=long')");
like($said, qr/refused: an error without a name.*You sent/s, 'a login service that shows what it was sent');
$graph->mode('');
sql($node, "SELECT tasksync.set_credentials('$account', '{\"client_id\": \"$app\"}')");
ok(log_in(), '... and another one');
$graph->mode("login ~token echo\n");
$graph->control('expire_access');
$said .= complaint("CALL tasksync.sync_now('$provider')") . complaint("SELECT tasksync.task_lists('$provider')");
$graph->mode('');
ok(log_in(), 'a new login');
$graph->mode("graph echo\n");
$said .= complaint("SELECT tasksync.task_lists('$provider')");
like($said, qr/could not.*The service said.*You sent/s, 'a service that shows what it was sent');
$graph->mode("part echo\n");
sql($node, "UPDATE tasksync.task SET title = title || ' again'");
$said .= complaint("CALL tasksync.sync_now('$provider')");
is(sql($node, "SELECT count(*) > 1 FROM tasksync.task_link l WHERE l.error_message LIKE '%HTTP status 403%'"), 't', '... in a part of a batch, too');
$graph->mode('');

# nothing of it leaks
my @secrets = map { substr $_, 0, 16 } ((grep { length > 8 } $graph->secrets), 'co+de/that-is=long', 'se cret+/&%-of-the-app');
my $plain = 'A-Za-z0-9._~-';
push @secrets, map { my $s = $_; $s =~ s/([^$plain])/sprintf '%%%02X', ord $1/gex; $s } @secrets;
push @secrets, map { my $s = $_; $s =~ s/&/&amp;/g; $s } @secrets;
push @secrets, map { my $s = $_; $s =~ s/(%..)/lc $1/ge; $s } grep { /%/ } @secrets;
cmp_ok(scalar @secrets, '>', 20, 'many secrets were used');
my $seen = PostgreSQL::Test::Utils::slurp_file($node->logfile) . sql($node, "SELECT string_agg(x::text, ' ') FROM (SELECT j::text AS x FROM tasksync.sync_job j
	UNION ALL SELECT p::text FROM tasksync.task_provider p UNION ALL SELECT a::text FROM tasksync.connected_account a
	UNION ALL SELECT s::text FROM tasksync.mapping_state s UNION ALL SELECT l::text FROM tasksync.task_link l
	UNION ALL SELECT m::text FROM tasksync.task_list_mapping m) y") . $said;
my @shown = grep { index($seen, $_) >= 0 } @secrets;
is("@shown", '', '... none is in the log, in a table or told to a session');
is(join("\n", $graph->violations), '', 'all requests were as they should be');

done_testing();
