# A Microsoft Graph that fails in every way that services do, and a worker that
# dies at any of its steps: nothing is doubled, nothing is lost, and the token
# goes nowhere else.
use strict;
use warnings FATAL => 'all';

use CrashWorld;
use OutlookWorld;
use TasksyncTest;
use Test::More;
use Time::HiRes qw(sleep time);

my $graph = TasksyncTest::Graph->new;
my $node = tasks_node('faults', conf => "tasksync.push_delay = '1 h'\ntasksync.max_attempts = 1\ntasksync.request_timeout = '5 s'\n");
my $world = OutlookWorld->new($node, $graph);
my $quiet = "(SELECT count(*) FROM tasksync.sync_job WHERE status IN ('PENDING', 'RUNNING')) = 0";

sub account_status { return $world->sql("SELECT string_agg(DISTINCT status, ' ') FROM tasksync.connected_account") }
sub writes_of { my ($method) = @_; return scalar grep { /^ *$method (?!\S*batch)/ } $graph->requests }

# Syncs until one succeeds
sub sync_until_done
{
	my ($mapped, $tries) = @_;

	foreach (1 .. $tries // 12)
	{
		return $_ if $world->sync_state($mapped) eq '00000';
	}
	return 0;
}

# What a create in doubt has made may show late: as if that time had passed
sub pass_doubt { return $world->sql("UPDATE tasksync.task_intent SET in_doubt_since = in_doubt_since - interval '1 min'") }

# Edits of all kinds, on both sides; %$expected: what is to be on both then
sub edits
{
	my ($mapped, $other, $round) = @_;

	$world->sql(<<SQL);
	INSERT INTO tasksync.task (project_id, title) SELECT '$mapped->{project}', 'New $round.' || n FROM generate_series(1, 3) n;
	UPDATE tasksync.task SET description = 'edited $round' WHERE project_id = '$mapped->{project}' AND title IN ('Task 1', 'Task 2', 'Task 3');
	DELETE FROM tasksync.task WHERE project_id = '$mapped->{project}' AND title = 'Task 4';
SQL
	$world->sql("UPDATE tasksync.task SET project_id = '$other->{project}' WHERE project_id = '$mapped->{project}' AND title = 'Task 5'") if $other;
	$world->edit($mapped, 'Task 6', text => "there $round");
	$world->remove($mapped, 'Task 7');
	$world->add($mapped, "Theirs $round");
	return;
}

sub after_edits { my ($round) = @_; return join ', ', map({ "New $round.$_" } 1 .. 3), 'Task 1', 'Task 2', 'Task 3', map({ "Task $_" } 6, 8, 9), "Theirs $round" }
sub nine { return [ map { "Task $_" } 1 .. 9 ] }

subtest 'answers that are lost' => sub {
	my $m = $world->map_list('Lost');
	$world->insert($m, title => "'One'");
	$graph->mode('graph POST ~/tasks$ lost times 1');
	$world->sync_state($m);
	$graph->mode;
	ok(sync_until_done($m), 'a create whose answer was lost');
	is($world->titles_there($m), 'One', '... is there once');
	is($world->titles($m), 'One', '... and here');
	is($world->errors($m), '', '... and known');
	$world->sql("INSERT INTO tasksync.task (project_id, title) SELECT '$m->{project}', 'Many ' || n FROM generate_series(10, 29) n");
	$graph->mode('graph POST ~batch lost times 1');
	$world->sync_state($m);
	$graph->mode;
	ok(sync_until_done($m), 'twenty at once');
	is($world->titles_there($m), join(', ', map({ "Many $_" } 10 .. 29), 'One'), '... are there once');
	is($world->titles($m), $world->titles_there($m), '... and here');
	$world->at_rest($m, 'at rest');

	# where the marker is not shown unless it is asked for
	foreach my $options ({ expand => 'ignored', delta_expand => 'ignored' }, { expand => 'refused', delta_expand => 'refused', echo_children => 'off' }, { delta_lag => 700 })
	{
		$graph->set(%$options);
		my $name = join ' ', %$options{ sort keys %$options };
		$world->insert($m, title => "'$name'");
		$graph->mode('graph POST ~/tasks$ lost times 1');
		$world->sync_state($m);
		$graph->mode;
		sync_until_done($m) foreach 1 .. 2;
		sleep 0.8 if $options->{delta_lag};
		sync_until_done($m) foreach 1 .. 2;
		is((scalar grep { $_->{title} eq $name } $world->tasks_there($m)), 1, "$name: there once");
		is($world->titles($m), $world->titles_there($m), '... and here');
		$graph->set(expand => 'honoured', delta_expand => 'honoured', echo_children => 'on', delta_lag => 0);
	}

	# lost answers of other writes
	$world->update($m, 'One', "description = 'edited'");
	$graph->mode('graph PATCH lost times 1');
	$world->sync_state($m);
	$graph->mode;
	ok(sync_until_done($m), 'an edit whose answer was lost');
	is($world->task_there($m, 'One')->{body}{content}, 'edited', '... is there');
	is($world->sql("SELECT count(*) FROM tasksync.task_conflict WHERE mapping_id = '$m->{mapping}'"), '0', '... and no conflict');
	$world->update($m, 'One', "description = 'edited again'");
	$graph->mode('graph PATCH status 200 times 1');
	$world->sync_state($m);
	$graph->mode;
	ok(sync_until_done($m), 'an edit that is said to be done, and the task is not shown');
	is($world->task_there($m, 'One')->{body}{content}, 'edited again', '... is looked for, and sent again');
	$world->delete($m, 'One');
	$graph->mode('graph DELETE lost times 1');
	$world->sync_state($m);
	$graph->mode;
	ok(sync_until_done($m), 'a deletion whose answer was lost');
	unlike($world->titles_there($m), qr/One/, '... is done');
	$world->at_rest($m, 'at rest again');
};

sub set_attempts
{
	my ($attempts) = @_;

	$node->append_conf('postgresql.conf', "tasksync.max_attempts = $attempts");
	$node->reload;
	wait_until($node, "SELECT current_setting('tasksync.max_attempts') = '$attempts'");
	return;
}

# Each job tries again by itself, and not before it may
subtest 'a service that is busy' => sub {
	set_attempts(6);
	$graph->set(early_retry => 'violation');
	foreach my $mode ('throttle 1.2 times 2', 'retry-after 1 times 2', 'part throttle 1 times 5', 'part PATCH throttle 0.3 skip 1 times 1')
	{
		my ($a, $b) = ($world->map_list("Busy $mode", tasks => nine()), $world->map_list("Busy, too, $mode"));
		edits($a, $b, 1);
		$graph->mode($mode);
		is($world->sync_state($a), '00000', "$mode: done in the end");
		$graph->mode;
		ok(sync_until_done($b) && sync_until_done($a), '... with what was moved');
		is($world->titles($a) . '|' . $world->titles($b), after_edits(1) . '|Task 5', '... here');
		is($world->titles_there($a) . '|' . $world->titles_there($b), after_edits(1) . '|Task 5', '... and there');
		is(account_status(), 'OK', '... and nobody has to sign in');
		$world->at_rest($a, 'at rest');
	}
	$graph->set(early_retry => 'allowed');
	set_attempts(1);
};

sub caps { my ($m) = @_; return $world->sql("SELECT caps FROM tasksync.mapping_state WHERE mapping_id = '$m->{mapping}'") }
sub make_audit_due { my ($m) = @_; return $world->sql("UPDATE tasksync.mapping_state SET full_at = full_at - interval '2 days' WHERE mapping_id = '$m->{mapping}'") }

# The parts of a batch that it turns away are not those of the moment, but all beyond some number
subtest 'a service that takes only small batches' => sub {
	foreach my $account ([ if_match => 'honoured', batch_parallel => 4 ], [ if_match => 'honoured', batch_parallel => 1 ], [ if_match => 'ignored', batch_parallel => 4 ], [ if_match => 'ignored', batch_parallel => 2 ])
	{
		my $name = "@$account";
		my $m = $world->map_list("Small $name", tasks => [ map { "Task $_" } 1 .. 30 ]);
		$graph->set(@$account);
		$world->update($m, 'Task 1', "description = 'first'");
		$world->sync($m);
		$graph->set(batch_overflow => 'throttled');
		$world->sql("UPDATE tasksync.task SET description = 'edited' WHERE project_id = '$m->{project}'");
		$world->sql("INSERT INTO tasksync.task (project_id, title) SELECT '$m->{project}', 'New ' || n FROM generate_series(1, 30) n");
		$graph->requests;
		cmp_ok(sync_until_done($m, 3), '>', 0, "$name: done in three runs at the most");
		my @arrived = grep { m{^ *(?:PATCH|POST) (?!\S*/\$batch).* 20[01]$} } $graph->requests;
		is(scalar(@arrived), 60, '... each write arrives once');
		is($world->titles_there($m), join(', ', sort map({ ("Task $_", "New $_") } 1 .. 30)), '... and nothing is there twice');

		# in a full pull, which is due for as long as it fails
		$world->edit($m, "Task $_", text => 'there') foreach 1 .. 30;
		make_audit_due($m);
		is($world->sync_state($m), '00000', '... a full pull keeps to what the service takes');
		is($world->value($m, 'Task 30', 'description'), 'there', '... and reads everything');
		cmp_ok(sync_until_done($m, 3), '>', 0, '... as it goes on afterwards');
		$graph->set(if_match => 'honoured', batch_overflow => 'queued', batch_parallel => 4);
		make_audit_due($m);
		$world->sync($m) foreach 1 .. 2;
		unlike(caps($m), qr/small_batches|single_parts/, '... and it is tried anew after it');
		$world->at_rest($m, 'at rest');
		$world->sql("SELECT tasksync.update_mapping('$m->{mapping}', sync_enabled => false)");
	}
};

# Once it was, once it may be again
subtest 'a $batch that was not found' => sub {
	my $m = $world->map_list('No batch', tasks => nine());
	$graph->mode('graph POST ~batch status 404 times 1');
	$world->sql("UPDATE tasksync.task SET description = 'edited' WHERE project_id = '$m->{project}'");
	$world->sync($m);
	$graph->mode;
	is((scalar grep { $_->{body}{content} eq 'edited' } $world->tasks_there($m)), 9, 'the writes arrive one by one');
	like(caps($m), qr/no_batch/, '... and so will others');
	make_audit_due($m);
	$world->sync($m);
	$world->sql("UPDATE tasksync.task SET description = 'edited again' WHERE project_id = '$m->{project}'");
	$graph->requests;
	$world->sync($m);
	cmp_ok((scalar grep { m{/\$batch} } $graph->requests), '>', 0, 'after a full pull it is tried again');
	is((scalar grep { $_->{body}{content} eq 'edited again' } $world->tasks_there($m)), 9, '... and works');
	$world->at_rest($m, 'at rest');
};

# It is the service's fault of the moment, and none of the task's
subtest 'a look at a task that shows nothing' => sub {
	$graph->set(if_match => 'ignored');
	my $m = $world->map_list('Looks', tasks => [ 'One', 'Two' ]);
	foreach my $mode (qw(empty html array))
	{
		$graph->mode("graph GET ~/tasks/[^/?]+\$ $mode times 1");
		$world->update($m, 'One', "description = '$mode'");
		is($world->sync_state($m), '00000', "$mode: the sync is done");
		$graph->mode;
		is($world->errors($m), '', '... nothing is set aside');
		is($world->task_there($m, 'One')->{body}{content}, $mode, '... and the edit is there');
	}
	$graph->mode('graph GET ~/tasks/ empty');
	$world->delete($m, 'One');
	$world->update($m, 'Two', "description = 'kept'");
	$world->sync_state($m);
	$graph->mode;
	is($world->errors($m), '', 'nor is anything when it does so for long');
	$world->sync($m);
	is(join(', ', map { "$_->{title} $_->{body}{content}" } $world->tasks_there($m)), 'Two kept', '... and the next sync sends it');
	$graph->set(if_match => 'honoured');
	$world->at_rest($m, 'at rest');
};

subtest 'other errors' => sub {
	my $other = $world->map_list('Other');
	my $round = 0;
	foreach my $mode ('status 503 times 2', 'status 500 times 3', 'fail-after 500 times 3', 'graph POST fail-after 500 times 2', 'graph POST ~batch fail-after 503 times 2', 'part POST fail-after 500 times 2',
		'part PATCH fail-after 500 times 2', 'part DELETE fail-after 500 times 1', 'part status 500 times 4', 'part POST status 409 times 1', 'truncate times 3', 'graph POST truncate times 2', 'html times 2',
		'graph POST html times 1', 'empty times 3', 'graph POST empty times 2', 'array times 3', 'graph POST array times 1', 'close times 3', 'lost skip 1 times 2', 'loop times 1', 'graph POST ~batch status 400 times 1', 'graph POST ~batch status 501 times 1')
	{
		my $a = $world->map_list('Trouble ' . ++$round, tasks => nine());
		my $arrived = $world->titles_there($other);
		edits($a, undef, $round);
		$world->sql("SELECT tasksync.update_mapping('$other->{mapping}', sync_enabled => false)") if $round == 1;
		$graph->mode($mode);
		$world->sync_state($a) foreach 1 .. 3;
		$graph->mode;
		$world->sql("SELECT tasksync.retry_failed('$a->{mapping}')");
		sync_until_done($a);
		pass_doubt();
		ok(sync_until_done($a), "$mode: done in the end");
		my $expected = after_edits($round) =~ s/Task 6/Task 5, Task 6/r;
		is($world->titles($a), $expected, '... here');
		is($world->titles_there($a), $expected, '... and there');
		is($world->value($a, 'Task 6', 'description'), "there $round", '... with their edits');
		is(OutlookWorld::plain_text($world->task_there($a, 'Task 2')->{body}), "edited $round", '... and ours');
		is($world->differences($a) . $world->errors($a), '', '... and all agrees');
		is(account_status(), 'OK', '... and nobody has to sign in');
		$world->sql("SELECT tasksync.update_mapping('$a->{mapping}', sync_enabled => false)");
	}
};

subtest 'one list that is out of order, and others that are not' => sub {
	my $anna = OutlookWorld->new($node, $graph, user => 'carla');
	my @lists = map { $anna->map_list("Order $_", tasks => [ map { "Task $_" } 1 .. 3 ]) } 1 .. 5;
	my $is_sick = sub { return map { 'graph ~' . quotemeta(substr $_->{list}, -44, 36) . ' status 500' } @_ };
	foreach my $sick (0, 1)
	{
		my $well = $lists[1 - $sick];
		$graph->mode($is_sick->($lists[$sick]));
		$anna->edit($well, 'Task 1', text => "there $sick");
		$anna->update($well, 'Task 2', "description = 'here $sick'");
		is(sqlstate($node, "CALL tasksync.sync_now('$anna->{provider}', timeout => '60 s')"), 'TS503', 'the sync tells of the one');
		is($anna->value($well, 'Task 1', 'description'), "there $sick", '... an edit of another is read');
		is($anna->task_there($well, 'Task 2')->{body}{content}, "here $sick", '... and one here sent');
		is($anna->sql("SELECT string_agg(m.sync_status, ' ' ORDER BY l.n) FROM tasksync.task_list_mapping m, unnest('{" . join(',', map { $_->{mapping} } @lists) . "}'::uuid[]) WITH ORDINALITY l(id, n) WHERE l.id = m.id"),
			join(' ', map { $_ == $sick ? 'ERROR' : 'OK' } 0 .. 4), '... whose lists are well');
		$graph->mode;
		$anna->sync;
	}
	$graph->mode($is_sick->(@lists));
	$graph->requests;
	is(sqlstate($node, "CALL tasksync.sync_now('$anna->{provider}', timeout => '60 s')"), 'TS503', 'a service of which all lists are out of order');
	is(scalar(grep { / 500$/ } $graph->requests), 3, '... is let be after three');
	$graph->mode;
	$anna->sync;
	$anna->sql("SELECT tasksync.update_provider('$anna->{provider}', enabled => false)");
};

subtest 'a task that can never be written' => sub {
	my $mapped = $world->map_list('Never', tasks => [ 'Good', 'Poison' ]);
	my $rule = 'graph PATCH ~' . substr($world->task_there($mapped, 'Poison')->{id}, 24, 30) . ' status';
	my $tells = sub {
		my ($name, $title, $status) = @_;

		like($world->errors($mapped), qr/HTTP status $status/, "$name: its link has the error");
		is($world->value($mapped, $title, 'sync_status'), 'ERROR', '... and the task');
		is($world->sql("SELECT errors FROM tasksync.mapping_status WHERE mapping_id = '$mapped->{mapping}'"), 1, '... which mapping_status counts');
		$graph->requests;
		$world->sync_state($mapped);
		is((join "\n", grep { /^ *(?:POST|PATCH) (?!\S*batch)/ } $graph->requests), '', '... and it is not tried all the time');
		$graph->mode;
	};

	$world->update($mapped, 'Poison', "description = 'edited'");
	$graph->mode("$rule 500");
	$world->sync_state($mapped);
	is($world->errors($mapped), '', 'an answer that says nothing is no error at first');
	$world->sync_state($mapped) foreach 1 .. 3;
	$tells->('a change of one', 'Poison', 500);
	$world->update($mapped, 'Poison', "description = 'edited again'");
	$world->sync($mapped);
	is($world->task_there($mapped, 'Poison')->{body}{content}, 'edited again', 'an edit is sent at once');
	is($world->value($mapped, 'Poison', 'sync_status'), 'SYNCED', '... and all is well');

	$world->update($mapped, 'Poison', "description = 'in conflict'");
	$graph->mode("$rule 409");
	$world->sync_state($mapped) foreach 1 .. 3;
	$tells->('a conflict with nobody', 'Poison', 409);
	$world->sql("SELECT tasksync.retry_failed('$mapped->{mapping}')");
	$world->sync($mapped);
	is($world->task_there($mapped, 'Poison')->{body}{content}, 'in conflict', 'it is tried again');

	$world->insert($mapped, title => "'New poison'");
	$graph->mode('graph POST ~/tasks$ status 500');
	foreach (1 .. 8)
	{
		$world->sync_state($mapped);
		$world->sql("UPDATE tasksync.task_intent SET in_doubt_since = in_doubt_since - interval '10 min'");
	}
	$tells->('a new one', 'New poison', 500);
	$world->sql("SELECT tasksync.retry_failed('$mapped->{mapping}')");
	$world->sync($mapped);
	is($world->titles_there($mapped), 'Good, New poison, Poison', 'it is tried again, and made once');
	$world->at_rest($mapped, 'at rest');
};

subtest 'lists made in trouble' => sub {
	my $n = 0;
	foreach my $mode ('graph POST ~/lists$ lost times 1', 'graph POST ~/lists$ fail-after 500 times 1', 'graph POST ~/lists$ truncate times 1', 'graph PATCH ~/lists/ lost times 1', 'graph POST ~/lists$ throttle 0.3 times 1')
	{
		my $project = $world->sql("INSERT INTO tasksync.project (name) VALUES ('Made ' || " . ++$n . ") RETURNING id");
		$world->sql("INSERT INTO tasksync.task (project_id, title) VALUES ('$project', 'In it')");
		$graph->mode($mode);
		my $mapping = $world->sql("SELECT tasksync.create_external_list('$world->{provider}', '$project')");
		my $m = { mapping => $mapping, project => $project };
		$world->sync_state($m);
		$graph->mode;
		ok(sync_until_done($m), "$mode: made in the end");
		is((scalar grep { $_->{displayName} =~ /Made $n\b/ } $graph->lists), 1, '... once');
		is((scalar grep { $_->{displayName} eq "Made $n" } $graph->lists), 1, '... under its name');
		$m->{list} = $world->sql("SELECT external_list_id FROM tasksync.task_list_mapping WHERE id = '$mapping'");
		is($world->titles_there($m), 'In it', '... with its task');
	}
};

subtest 'other hosts' => sub {
	my $elsewhere = TasksyncTest::Hostile->new;
	my $m = $world->map_list('Hosts', tasks => [ map { "Task $_" } 1 .. 25 ]);
	my $root = 'http://127.0.0.1:' . $elsewhere->port;
	$graph->set(max_page_size => 5);
	foreach my $mode ("link-host $root", "redirect $root", "link-host http://localhost:" . $graph->port, 'link-host http://127.0.0.1.example.com')
	{
		$graph->control('expire_deltas');
		$graph->mode($mode);
		$world->add($m, "New with $mode");
		like($world->sync_state($m), qr/^(?:42501|TS50[23])$/, "$mode: refused");
		$graph->mode;
		is(join(' ', $elsewhere->requests), '', '... and nothing is sent there');
		ok(sync_until_done($m), '... and then all is well');
		is($world->titles($m), $world->titles_there($m), '... with all tasks');
	}
	$graph->set(max_page_size => 100);
	is(account_status(), 'OK', 'nobody has to sign in');
	$world->at_rest($m, 'at rest');
};

subtest 'a token that expires in the middle' => sub {
	my $account = $world->sql("SELECT tasksync.add_account('OUTLOOK', 'expires', '{\"client_id\": \"5f0c2b1e-1b9a-4b55-9c0e-2f6b1f7d3a11\", \"refresh_token\": \""
		  . $graph->token(user => 'bert')->{refresh_token} . "\"}', '{\"base_url\": \"" . $graph->url . '", "login_url": "' . $graph->login_url . "\"}')");
	my $provider = $world->sql("SELECT tasksync.add_provider('OUTLOOK', 'expiring', account_id => '$account')");
	my $bert = bless { %$world, provider => $provider, user => 'bert' }, 'OutlookWorld';
	my $list = $bert->there('make_list', name => 'Long')->{id};
	$bert->there('add_task', list => $list, title => "Task $_") foreach 1 .. 60;
	$graph->set(max_page_size => 5, latency => 120, expires_in => 1);
	my $m = $bert->map_list('Long', list => $list);
	is($bert->titles($m), $bert->titles_there($m), 'many pages, and a token for a second');
	$bert->sql("UPDATE tasksync.task SET description = 'x' WHERE project_id = '$m->{project}'");
	$bert->sync($m);
	is((scalar grep { $_->{body}{content} eq 'x' } $bert->tasks_there($m)), 60, '... and many edits');
	$graph->set(max_page_size => 100, latency => 0, expires_in => 3600);
	$graph->mode('graph unauthorized skip 1 times 1');
	$bert->sql("UPDATE tasksync.task SET description = 'y' WHERE project_id = '$m->{project}'");
	$bert->sync($m);
	$graph->mode;
	is((scalar grep { $_->{body}{content} eq 'y' } $bert->tasks_there($m)), 60, 'refused once in the middle');
	foreach my $case ([ 'one of the writes', 'part PATCH status 401 skip 3 times 1' ], [ 'all of them', 'part PATCH status 401 times 20' ], [ 'one of the reads', 'part GET status 401 skip 3 times 1' ])
	{
		my ($name, $rule) = @$case;

		$graph->set(delta_partial => 'on') if $rule =~ /GET/;
		$bert->edit($m, "Task $_", importance => 'high') foreach $rule =~ /GET/ ? 1 .. 30 : ();
		$bert->sql("UPDATE tasksync.task SET description = '$name' WHERE project_id = '$m->{project}'");
		$graph->mode($rule);
		$graph->requests;
		$bert->sync($m);
		$graph->mode;
		is((scalar grep { m{^ *POST /login/.*/token} } $graph->requests), 1, "refused for $name of a batch: a new token");
		is((scalar grep { $_->{body}{content} eq $name } $bert->tasks_there($m)), 60, '... and all is done');
		$graph->set(delta_partial => 'off');
	}
	is($bert->sql("SELECT status FROM tasksync.connected_account WHERE id = '$account'"), 'OK', 'nobody has to sign in');
	$bert->at_rest($m, 'at rest');
	$bert->sql("SELECT tasksync.update_provider('$provider', enabled => false)");
};

subtest 'chaos' => sub {
	foreach my $seed (1 .. 3)
	{
		my ($a, $b) = ($world->map_list("Chaos $seed", tasks => nine()), $world->map_list("Chaos, too $seed"));
		$graph->mode("chaos $seed 30");
		edits($a, $b, $seed);
		foreach (1 .. 6)
		{
			$world->sync_state($_) foreach $a, $b;
			$world->sql("SELECT tasksync.set_credentials(id, '{\"access_token\": \"$world->{token}\"}') FROM tasksync.connected_account WHERE label LIKE '%'  AND status = 'NEEDS_AUTH'");
		}
		$graph->mode;
		$world->sql("SELECT tasksync.set_credentials(id, '{\"access_token\": \"$world->{token}\"}') FROM tasksync.connected_account WHERE status = 'NEEDS_AUTH'");
		$world->sql("SELECT tasksync.retry_failed()");
		sync_until_done($_) foreach $a, $b;
		pass_doubt();
		ok(sync_until_done($_), "seed $seed: done in the end") foreach $a, $b, $a, $b, $a;
		is($world->titles($a) . '|' . $world->titles($b), after_edits($seed) . '|Task 5', '... here');
		is($world->titles_there($a) . '|' . $world->titles_there($b), after_edits($seed) . '|Task 5', '... and there');
		$world->at_rest($_, 'at rest') foreach $a, $b;
	}
};

#
# A worker that dies: at each step of a sync, or as many as there is time for, and
# in all ways by turns.  TASKSYNC_SECONDS, TASKSYNC_FIRST and TASKSYNC_MODES are
# its options.
#
$node->append_conf('postgresql.conf', "tasksync.databases = 'none'");
$node->reload;
wait_until($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");

# A worker that is to end at a step of a sync of the provider; whether it did
sub crash_at
{
	my ($step, $mode) = @_;

	$world->sql("SELECT tasksync.sync_provider('$world->{provider}')");
	# one that dies at once has not started, to start_worker, and may take the connection along
	eval { sqlstate($node, "SET tasksync.crash_at = $step; SET tasksync.crash_mode = '$mode'; SELECT tasksync.start_worker()") };
	for (my $quiet_yet = 'f'; $mode eq 'immediate' && $quiet_yet ne 't' && kill 0, $node->{_pid}; sleep 0.02)
	{
		eval { $node->psql('tasks', "SELECT $quiet", stdout => \$quiet_yet, stderr => \my $ignored) };
	}
	sleep 0.05;
	TasksyncTest::start_again($node) unless kill 0, $node->{_pid};
	wait_until($node, "SELECT count(*) = 0 OR $quiet FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");
	sleep 0.05;
	my $alive = $world->sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");
	$world->sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");
	return !$alive;
}

sub finish_syncing
{
	$world->sql('SELECT tasksync.start_worker()');
	$world->sync;
	if ($world->sql('SELECT count(*) FROM tasksync.task_intent'))
	{
		pass_doubt();
		$world->sync;
	}
	$world->sync;
	$world->sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");
	return;
}

subtest 'a worker that dies' => sub {
	my $until = time + ($ENV{TASKSYNC_SECONDS} // 20);
	my $stride = $ENV{TASKSYNC_SECONDS} ? 1 : 4;
	$world->sql("SELECT tasksync.delete_mapping(id) FROM tasksync.task_list_mapping");
	$world->sql('SELECT tasksync.start_worker()');
	my ($a, $b) = map { $world->map_list("Crash $_") } qw(A B);
	$world->sql("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE backend_type = 'tasksync worker'");
	my @modes = split /,/, $ENV{TASKSYNC_MODES} // 'fatal,exit,kill,immediate';
	my ($step, $untouched, $crashes) = ($ENV{TASKSYNC_FIRST} // ($stride == 1 ? 1 : 1 + int rand $stride), 0, 0);

	while (!$untouched && time < $until)
	{
		$world->sql(<<SQL);
		INSERT INTO tasksync.task (project_id, title) VALUES ('$a->{project}', 'Create $step'), ('$a->{project}', 'Update $step'), ('$a->{project}', 'Delete $step'), ('$a->{project}', 'Move $step');
SQL
		finish_syncing();
		$world->sql(<<SQL);
		INSERT INTO tasksync.task (project_id, title) VALUES ('$a->{project}', 'Created $step');
		UPDATE tasksync.task SET description = 'edited' WHERE title = 'Update $step';
		DELETE FROM tasksync.task WHERE title = 'Delete $step';
		UPDATE tasksync.task SET project_id = '$b->{project}' WHERE title = 'Move $step';
SQL
		my $mode = $modes[ $step / $stride % @modes ];
		$untouched = !crash_at($step, $mode);
		$crashes += !$untouched;
		finish_syncing();
		my $expected = "Create $step, Created $step, Update $step|Move $step";
		my $here = $world->titles($a) . '|' . $world->titles($b);
		my $there = $world->titles_there($a) . '|' . $world->titles_there($b);
		my $text = $world->task_there($a, "Update $step")->{body}{content};
		is("$here $there $text", "$expected $expected edited", "at step $step, $mode") or last;
		$world->sql("DELETE FROM tasksync.task WHERE project_id IN ('$a->{project}', '$b->{project}')");
		$step += $stride;
	}
	my $told = "$crashes crashes, the last at step $step" . ($untouched ? ', all steps' : '');
	$ENV{TASKSYNC_SECONDS} ? diag($told) : note($told);
	cmp_ok($crashes, '>', 3, 'it died often enough');
};

is(join("\n", $graph->violations), '', 'all requests were as they should be');

$node->stop;
done_testing();
