# Hostile users: another's ids everywhere, code planted wherever a user may plant
# some, settings, and objects made before the extension.
use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Utils ();
use TasksyncTest;
use Test::More;

my $node = tasks_node('access', conf => "tasksync.push_delay = '1 h'\nlog_min_messages = notice\n");
my $server = TasksyncTest::Hostile->new;
my $url = $server->url('dav');

# A session of a user; the error's code, and in list context what it said too.
sub as
{
	my ($user, $statements, %options) = @_;

	return sqlstate($node, $statements, psql => { extra_params => [ '-U', $user ] }, %options);
}

sub answer
{
	my ($user, $query) = @_;
	my ($status, $out, $err) = $node->psql('tasks', $query, extra_params => [ '-U', $user ]);

	return ($out, $err);
}

#
# Bob has one of everything; Eve has access, may create things in public, and is
# not Bob.
#
sql($node, <<'SQL');
CREATE ROLE bob LOGIN;
CREATE ROLE eve LOGIN;
CREATE ROLE app LOGIN;
GRANT CREATE ON SCHEMA public TO eve;
GRANT CREATE, TEMP ON DATABASE tasks TO eve;
SELECT tasksync.grant_access('bob'), tasksync.grant_access('eve'), tasksync.grant_access('app');
GRANT SET ON PARAMETER tasksync.user_id TO app;
SQL
my %of;
foreach my $user (qw(bob eve))
{
	my ($ids, $err) = answer($user, <<SQL);
SELECT tasksync.add_provider('CALDAV', '$user-provider', '{"username": "$user", "password": "pw"}', '{"url": "$url"}') AS provider \\gset
INSERT INTO tasksync.project (name) VALUES ('$user-project') RETURNING id AS project \\gset
INSERT INTO tasksync.project (name) VALUES ('$user-spare') RETURNING id AS spare \\gset
INSERT INTO tasksync.task (project_id, title) VALUES (:'project', '$user-title') RETURNING id AS task \\gset
SELECT tasksync.create_mapping(:'provider', '/dav/$user-list/', :'project') AS mapping \\gset
CALL tasksync.sync_now(:'provider');
UPDATE tasksync.task SET description = '$user-note';
SELECT 'provider=' || :'provider', 'project=' || :'project', 'spare=' || :'spare', 'task=' || :'task', 'mapping=' || :'mapping',
	'account=' || (SELECT id FROM tasksync.connected_account),
	'job=' || (SELECT max(id) FROM tasksync.sync_job), 'change=' || (SELECT max(id) FROM tasksync.task_change);
SQL
	BAIL_OUT($err) unless $ids;
	%{ $of{$user} } = $ids =~ /(\w+)=([\w-]+)/g;
	$of{$user}{user} = $user;
	sql($node, <<SQL);
INSERT INTO tasksync.task_conflict (user_id, task_id, mapping_id, fields, base, local, remote)
VALUES ('$user', '$of{$user}{task}', '$of{$user}{mapping}', '{title}', '{"title": "$user-base"}', '{"title": "$user-title"}', '{"title": "$user-remote"}');
INSERT INTO tasksync.task_trash (user_id, task_id, mapping_id, job_id, old_row) VALUES ('$user', gen_random_uuid(), '$of{$user}{mapping}', $of{$user}{job}, '{"title": "$user-trash"}');
INSERT INTO tasksync.task_inbox (user_id, mapping_id, external_task_id, payload) VALUES ('$user', '$of{$user}{mapping}', '/$user-list/x.ics', '$user-payload');
INSERT INTO tasksync.task_intent (user_id, mapping_id, task_id, kind, payload) VALUES ('$user', '$of{$user}{mapping}', '$of{$user}{task}', 'UPDATE', '$user-payload');
INSERT INTO tasksync.dead_remote (user_id, mapping_id, external_task_id) VALUES ('$user', '$of{$user}{mapping}', '/$user-list/dead.ics');
SQL
}
my %bob = %{ $of{bob} };
my %eve = %{ $of{eve} };
is(scalar keys %bob, 9, 'Bob has one of everything');

# All that Bob has, as one number
sub all_of_bob
{
	my @tables = rows($node, "SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'tasksync'::regnamespace AND c.relkind = 'r' AND c.relname <> 'instance' ORDER BY 1");

	return sql($node, 'SELECT md5(string_agg(r, \'\' ORDER BY r)) FROM ('
		  . join(' UNION ALL ', map { "SELECT '$_' || t::text AS r FROM tasksync.$_ t WHERE user_id = 'bob'" } @tables) . ') x');
}
my $before = all_of_bob();
isnt(sql($node, "SELECT string_agg(c.relname, ' ') FROM pg_class c WHERE c.relnamespace = 'tasksync'::regnamespace AND c.relkind = 'r'"), '', 'there are tables');

#
# Another's ids, in every function that takes one
#
my %calls = (
	update_provider => "SELECT tasksync.update_provider('$bob{provider}', name => 'x')",
	remove_provider => "SELECT tasksync.remove_provider('$bob{provider}', true)",
	validate_connection => "SELECT tasksync.validate_connection('$bob{provider}')",
	task_lists => "SELECT * FROM tasksync.task_lists('$bob{provider}')",
	map_all_lists => "SELECT tasksync.map_all_lists('$bob{provider}')",
	create_mapping => "SELECT tasksync.create_mapping('$bob{provider}', '/x/')",
	'create_mapping of a project' => "SELECT tasksync.create_mapping('$eve{provider}', '/x/', '$bob{spare}')",
	'create_mapping to a provider' => "SELECT tasksync.create_mapping('$bob{provider}', '/x/', '$eve{spare}')",
	create_external_list => "SELECT tasksync.create_external_list('$bob{provider}', '$eve{spare}')",
	'create_external_list of a project' => "SELECT tasksync.create_external_list('$eve{provider}', '$bob{spare}')",
	update_mapping => "SELECT tasksync.update_mapping('$bob{mapping}', mirror => true)",
	delete_mapping => "SELECT tasksync.delete_mapping('$bob{mapping}', true, true)",
	preview_mapping => "SELECT * FROM tasksync.preview_mapping('$bob{provider}', '/x/')",
	'preview_mapping of a project' => "SELECT * FROM tasksync.preview_mapping('$eve{provider}', '/x/', '$bob{spare}')",
	confirm_deletions => "SELECT tasksync.confirm_deletions('$bob{mapping}')",
	sync_mapping => "SELECT tasksync.sync_mapping('$bob{mapping}')",
	sync_provider => "SELECT tasksync.sync_provider('$bob{provider}')",
	job_status => "SELECT tasksync.job_status($bob{job})",
	cancel_job => "SELECT tasksync.cancel_job($bob{job})",
	sync_now => "CALL tasksync.sync_now('$bob{provider}')",
	'sync_now of a mapping' => "CALL tasksync.sync_now(mapping_id => '$bob{mapping}')",
	wait_for_job => "CALL tasksync.wait_for_job($bob{job})",
	verify_mapping => "SELECT * FROM tasksync.verify_mapping('$bob{mapping}')",
	retry_failed => "SELECT tasksync.retry_failed('$bob{mapping}')",
	undo_sync => "SELECT tasksync.undo_sync($bob{job})",
	resolve_conflict => "SELECT tasksync.resolve_conflict('$bob{task}', 'USE_REMOTE')",
	set_credentials => "SELECT tasksync.set_credentials('$bob{account}', '{\"token\": \"x\"}')",
	begin_oauth => "SELECT * FROM tasksync.begin_oauth('$bob{account}')",
	finish_oauth => "SELECT tasksync.finish_oauth('$bob{account}')",
	add_provider => "SELECT tasksync.add_provider('CALDAV', account_id => '$bob{account}', settings => '{\"url\": \"$url\"}')",
	track_change => "SELECT tasksync.track_change('$bob{task}', 'DELETE')",
	changes_since => "SELECT * FROM tasksync.changes_since('$bob{mapping}', NULL)");

is(as('eve', $calls{$_}), 'P0002', "$_ with an id of Bob's") foreach sort keys %calls;
is((answer('eve', "SELECT tasksync.mark_as_synced(ARRAY[$bob{change}])"))[0], '0', 'mark_as_synced marks none of Bob\'s');
is(as('eve', "SELECT tasksync.sync_all_for_user('bob')"), '42501', 'sync_all_for_user is for oneself');
my %tested = map { /^(\w+)/ ? ($1 => 1) : () } keys %calls, 'mark_as_synced';
is_deeply([ grep { !$tested{$_} } rows($node, <<'SQL') ], [], '... these are all functions that take an id');
SELECT DISTINCT p.proname FROM pg_proc p
WHERE p.pronamespace = 'tasksync'::regnamespace AND has_function_privilege('eve', p.oid, 'EXECUTE')
AND EXISTS (SELECT FROM unnest(p.proargtypes) t WHERE t::regtype::text ~ '^(uuid|bigint)')
SQL
is(all_of_bob(), $before, 'nothing of Bob\'s has changed');

# … and in every column that she may write
foreach my $case ([ 'a project of Bob\'s', "INSERT INTO tasksync.task (title, project_id) VALUES ('x', '$bob{project}')", '23503' ],
	[ 'a parent of Bob\'s', "INSERT INTO tasksync.task (title, parent_task_id) VALUES ('x', '$bob{task}')", '23503' ],
	[ 'moving to Bob\'s project', "UPDATE tasksync.task SET project_id = '$bob{project}'", '23503' ],
	[ 'moving below Bob\'s task', "UPDATE tasksync.task SET parent_task_id = '$bob{task}'", '23503' ],
	[ 'a task for Bob', "INSERT INTO tasksync.task (title, user_id) VALUES ('x', 'bob')", '42501' ],
	[ 'a project for Bob', "INSERT INTO tasksync.project (name, user_id) VALUES ('x', 'bob')", '42501' ],
	[ 'an upsert of Bob\'s task', "INSERT INTO tasksync.task (id, user_id, title) VALUES ('$bob{task}', 'bob', 'x') ON CONFLICT (id, user_id) DO UPDATE SET title = 'x'", '42501' ],
	[ 'MERGE with Bob\'s task', "MERGE INTO tasksync.task t USING (VALUES ('$bob{task}'::uuid)) v (id) ON t.id = v.id WHEN MATCHED THEN UPDATE SET title = 'x' WHEN NOT MATCHED THEN INSERT (id, user_id, title) VALUES (v.id, 'bob', 'x')", '42501' ],
	[ 'giving a task to Bob', 'UPDATE tasksync.task SET user_id = \'bob\'', '42501' ],
	[ 'another\'s account', "UPDATE tasksync.task_provider SET account_id = '$bob{account}'", '42501' ],
	[ 'another\'s project of a mapping', "UPDATE tasksync.task_list_mapping SET project_id = '$bob{project}'", '42501' ],
	[ 'another\'s provider of a mapping', "UPDATE tasksync.task_list_mapping SET provider_id = '$bob{provider}'", '42501' ])
{
	is(as('eve', $case->[1]), $case->[2], $case->[0]);
}
is(as('eve', "INSERT INTO tasksync.task (id, title) VALUES ('$bob{task}', 'eve-same-id'); UPDATE tasksync.task SET title = 'eve-same' WHERE id = '$bob{task}';"
	  . " DELETE FROM tasksync.task WHERE id = '$bob{task}'"), '00000', 'the same id under her own name is another task');
is(as('eve', "UPDATE tasksync.task SET title = 'x' WHERE id = '$bob{task}'; DELETE FROM tasksync.task WHERE user_id = 'bob'; DELETE FROM tasksync.project WHERE user_id = 'bob';"
	  . " DELETE FROM tasksync.task_provider WHERE id = '$bob{provider}'; DELETE FROM tasksync.task_list_mapping WHERE user_id = 'bob';"
	  . ' SELECT 1 FROM tasksync.task WHERE user_id = \'bob\' FOR UPDATE'), '00000', 'what she cannot see she does not touch');
is(all_of_bob(), $before, 'nothing of Bob\'s has changed');

#
# Reading: all relations, with a function that tells what it is shown
#
my ($relations) = answer('eve', "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = 'tasksync'::regnamespace"
	  . " AND c.relkind IN ('r', 'v') AND has_table_privilege(c.oid, 'SELECT')");
cmp_ok(scalar(() = $relations =~ /\w+/g), '>=', 18, 'Eve reads tables and views');
unlike($relations, qr/\b(?:secret|instance)\b/, '... but not secrets and identity');
sql($node, "UPDATE tasksync.sync_job SET error_message = user_id || '-error', status = 'RUNNING' WHERE id IN ($bob{job}, $eve{job})");
as('eve', <<'SQL');
CREATE FUNCTION public.leak(t text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE 'leaked %', t; RETURN true; END $$;
CREATE FUNCTION public.leak(a text, b text) RETURNS boolean LANGUAGE sql COST 0.0000001 AS 'SELECT public.leak(a)';
CREATE OPERATOR public.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = public.leak, RESTRICT = eqsel);
SQL
foreach my $relation (split / /, $relations)
{
	my ($out, $err) = answer('eve', "SELECT t::text FROM tasksync.$relation t WHERE public.leak(t::text);"
		  . " SELECT count(*) FROM tasksync.$relation t WHERE t::text OPERATOR(public.===) 'x'; EXPLAIN ANALYZE SELECT * FROM tasksync.$relation;"
		  . " COPY (SELECT * FROM tasksync.$relation) TO STDOUT;" . ($relation =~ /conflicts|history|progress|status|types/ ? '' : " COPY tasksync.$relation TO STDOUT;")
		  . " SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = '$relation'");
	my $all = ($out // '') . ($err // '');
	unlike($all, qr/bob/, "$relation shows nothing of Bob's");
	like($all, qr/eve|CALDAV|\A[^x]*\z/, '... but of hers');
}
sql($node, "UPDATE tasksync.sync_job SET error_message = NULL, status = 'SUCCEEDED' WHERE id IN ($bob{job}, $eve{job})");
is(as('eve', 'SET row_security = off; SELECT * FROM tasksync.task'), '42501', 'row security is not to be switched off');
is(as('eve', "COPY tasksync.task (title) FROM PROGRAM 'echo x'"), '42501', 'COPY FROM a program');
is(as('eve', "COPY tasksync.task (title) FROM STDIN;\nx\n\\.\n"), '0A000', 'COPY FROM is for those whom row security does not hold');

#
# Code that would run with other rights
#
foreach my $case ('CREATE TRIGGER t BEFORE INSERT ON tasksync.task FOR EACH ROW EXECUTE FUNCTION tasksync.keep_task()',
	'CREATE RULE r AS ON INSERT TO tasksync.task DO ALSO SELECT 1',
	'CREATE POLICY p ON tasksync.task USING (true)', 'ALTER TABLE tasksync.task DISABLE ROW LEVEL SECURITY',
	'CREATE INDEX i ON tasksync.task (public.leak(title))', 'CREATE STATISTICS public.s ON title, user_id FROM tasksync.task',
	'CREATE TABLE tasksync.t ()', 'CREATE FUNCTION tasksync.f() RETURNS int LANGUAGE sql AS \'SELECT 1\'',
	'CREATE TABLE public.child () INHERITS (tasksync.task)',
	'CREATE TABLE public.fk (id uuid, user_id text, FOREIGN KEY (id, user_id) REFERENCES tasksync.task (id, user_id) ON UPDATE CASCADE)',
	'TRUNCATE tasksync.task', 'TRUNCATE tasksync.project CASCADE', 'ALTER TABLE tasksync.task OWNER TO eve', 'DROP TABLE tasksync.task_link',
	'ALTER TABLE tasksync.task ADD COLUMN x int', 'COMMENT ON TABLE tasksync.task IS \'x\'', 'ALTER SCHEMA tasksync RENAME TO x',
	'ALTER EXTENSION tasksync ADD FUNCTION public.leak(text)', 'DROP EXTENSION tasksync', 'ALTER EXTENSION tasksync UPDATE',
	'SELECT nextval(\'tasksync.sync_seq\')', 'SELECT setval(\'tasksync.task_change_id_seq\', 1)',
	'SELECT * FROM tasksync.secret', 'SELECT * FROM tasksync.instance', 'SELECT tasksync.grant_access(\'eve\')', 'SELECT tasksync.revoke_access(\'bob\')',
	'SELECT tasksync.adopt_clone()', 'SELECT tasksync.start_worker()', 'SELECT tasksync.rotate_secret_key()',
	"SELECT tasksync.set_credentials_file('$eve{account}', '/etc/passwd')", "SELECT tasksync.home_mapping('$bob{project}', 'bob')",
	'CREATE TABLE public.mine (id uuid, user_id text); CREATE TRIGGER t AFTER INSERT ON public.mine FOR EACH STATEMENT EXECUTE FUNCTION tasksync.wake()')
{
	like(as('eve', $case), qr/^42501$/, substr $case, 0, 70);
}
is(sql($node, "SELECT count(*) FROM pg_proc WHERE pronamespace = 'tasksync'::regnamespace AND prosecdef"), '0', 'no function is SECURITY DEFINER');
is(sql($node, "SELECT string_agg(i.indexrelid::regclass::text, ' ') FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
	  . " WHERE c.relnamespace = 'tasksync'::regnamespace AND i.indisunique AND c.relname <> 'instance' AND NOT EXISTS ("
	  . " SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'user_id' AND a.attnum = ANY (i.indkey))"),
	'', 'no unique index tells of others\' values');

# Planted in public, in the temporary schema and in a schema of her own: things
# named like ours and like PostgreSQL's.  Each tells who ran it.
as('eve', <<'SQL');
CREATE TABLE public.trap (who text, what text);
GRANT ALL ON public.trap TO PUBLIC;
CREATE FUNCTION public.sprung(what text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.trap VALUES (current_user, what); END $$;
CREATE SCHEMA eve;
GRANT USAGE ON SCHEMA eve TO PUBLIC;
SQL
my $traps = '';
foreach my $schema (qw(public eve pg_temp))
{
	foreach my $f ('current_user_id() RETURNS text', 'now() RETURNS timestamptz', 'gen_random_uuid() RETURNS uuid', 'home_mapping(a uuid, b text) RETURNS uuid',
		'task_fields(a tasksync.task) RETURNS jsonb', 'hashtextextended(a text, b bigint) RETURNS bigint', 'random() RETURNS float8', 'min(a int) RETURNS int',
		'jsonb_typeof(a jsonb) RETURNS text', 'pg_current_xact_id() RETURNS xid8', 'clock_timestamp() RETURNS timestamptz', 'keep_task() RETURNS trigger')
	{
		my ($signature, $type) = $f =~ /^(.*) RETURNS (\w+)$/;
		my $result = $type eq 'trigger' ? 'NEW' : "NULL::$type";
		$traps .= "CREATE FUNCTION $schema.$f LANGUAGE plpgsql AS \$\$ BEGIN PERFORM public.sprung('$schema.$signature'); RETURN $result; END \$\$;\n";
	}
	foreach my $o ('=', '<', '>', '<=', '<>', '||', '~', '->>', '->', '@>')
	{
		foreach my $t ('text, text', 'uuid, uuid', 'jsonb, jsonb', 'jsonb, text', 'text, varchar', 'int, bigint')
		{
			my ($l, $r) = split /, /, $t;
			my $name = 'op' . unpack('H*', "$o$t");
			my $type = $o =~ /->/ ? 'text' : $o eq '||' ? 'text' : 'boolean';
			$traps .= "CREATE FUNCTION $schema.$name($l, $r) RETURNS $type LANGUAGE plpgsql AS \$\$ BEGIN PERFORM public.sprung('$schema $o'); RETURN NULL; END \$\$;\n"
			  . "CREATE OPERATOR $schema.$o (LEFTARG = $l, RIGHTARG = $r, FUNCTION = $schema.$name);\n";
		}
	}
	$traps .= "CREATE TABLE $schema.$_ (id uuid, user_id text, who text);\n" foreach qw(task project task_link secret connected_account task_provider sync_job due pg_class pg_proc);
	$traps .= "CREATE DOMAIN $schema.$_ AS pg_catalog.text CHECK (public.sprung('$schema.$_') IS NULL);\n" foreach qw(jsonb uuid int4 timestamptz text interval);
	$traps .= "CREATE TYPE $schema.evil AS (x pg_catalog.int4);\n"
	  . "CREATE FUNCTION $schema.evil_uuid($schema.evil) RETURNS pg_catalog.uuid LANGUAGE plpgsql AS \$\$ BEGIN PERFORM public.sprung('$schema cast'); RETURN '$bob{task}'; END \$\$;\n"
	  . "CREATE CAST ($schema.evil AS pg_catalog.uuid) WITH FUNCTION $schema.evil_uuid($schema.evil) AS IMPLICIT;\n" unless $schema eq 'pg_temp';
}
my $settings = <<'SQL';
SET bytea_output = 'escape'; SET DateStyle = 'German'; SET IntervalStyle = 'sql_standard'; SET TimeZone = 'Asia/Kathmandu'; SET array_nulls = off;
SET transform_null_equals = on; SET standard_conforming_strings = off; SET extra_float_digits = -15;
SET search_path = pg_temp, eve, public, pg_catalog;
SQL

# All that a user does, one after the other.
sub work
{
	my ($n) = @_;

	return <<SQL;
SELECT pg_catalog.count(*) FROM tasksync.$_;
SQL
}
my $reads = join '', map { work($_) } split / /, $relations;
my $work = <<SQL;
SELECT tasksync.add_account('CALDAV', 'hostile', '{"token": "x"}') AS account \\gset
SELECT tasksync.set_credentials(:'account', '{"token": "y"}');
SELECT tasksync.add_provider('CALDAV', 'hostile', account_id => :'account', settings => '{"url": "$url"}') AS provider \\gset
SELECT tasksync.validate_connection(:'provider');
SELECT tasksync.task_lists(:'provider');
SELECT tasksync.preview_mapping(:'provider', '/dav/');
INSERT INTO tasksync.project (name) VALUES ('hostile') RETURNING id AS project \\gset
SELECT tasksync.create_mapping(:'provider', '/dav/', :'project') AS mapping \\gset
INSERT INTO tasksync.task (project_id, title, tags, due_date, due_time, time_zone) VALUES (:'project', 'one', '{a}', '2030-01-02', '10:00', 'Europe/Berlin') RETURNING id AS task \\gset
INSERT INTO tasksync.task (project_id, title, parent_task_id) VALUES (:'project', 'two', :'task');
UPDATE tasksync.task SET status = 'COMPLETED', description = 'x';
SELECT tasksync.track_change(:'task', 'UPDATE');
SELECT tasksync.changes_since(:'mapping', NULL);
SELECT tasksync.sync_all_for_user();
CALL tasksync.sync_now(mapping_id => :'mapping');
SELECT tasksync.verify_mapping(:'mapping');
SELECT (tasksync.update_mapping(:'mapping', mirror => true)).mirror;
SELECT (tasksync.update_provider(:'provider', sync_interval => 20)).sync_interval;
SELECT tasksync.retry_failed();
SELECT tasksync.sync_mapping(:'mapping') AS job \\gset
SELECT (tasksync.job_status(:'job')).status;
SELECT tasksync.cancel_job(:'job');
SELECT tasksync.undo_sync(j.id) FROM tasksync.sync_job j
WHERE j.mapping_id OPERATOR(pg_catalog.=) :'mapping' AND j.status OPERATOR(pg_catalog.=) 'SUCCEEDED';
UPDATE tasksync.task_provider SET next_sync_at = pg_catalog.now();
$reads
DELETE FROM tasksync.task WHERE id OPERATOR(pg_catalog.=) :'task';
SELECT tasksync.delete_mapping(:'mapping');
SELECT tasksync.remove_provider(:'provider');
DELETE FROM tasksync.project WHERE name OPERATOR(pg_catalog.=) 'hostile';
SQL
my ($planted, $errors) = answer('eve', $traps);
unlike($errors, qr/ERROR/, 'Eve plants her traps') or diag(substr $errors, 0, 2000);
like(as('eve', "$traps $settings SELECT tasksync.add_account('CALDAV', 'x', '{}')"), qr/^42\w+$/, 'twice is once too often');
my $temporary = join "\n", grep { /pg_temp/ && !/public\.\w+ \(LEFT/ } split /\n/, $traps;
$temporary =~ s/^(CREATE \w+ )pg_temp\.(\S+) \(LEFTARG/$1pg_temp.$2 (LEFTARG/mg;
sql($node, 'TRUNCATE public.trap; DELETE FROM tasksync.connected_account WHERE label = \'hostile\'');
is(as('eve', "$temporary $settings $work"), '00000', 'all functions, tables and views work under a hostile search_path');
is(sql($node, 'SELECT string_agg(DISTINCT who || \': \' || what, \', \') FROM public.trap WHERE who <> \'eve\''), '', '... and nothing planted ran with other rights');
is(sql($node, 'SELECT count(*) FROM public.trap WHERE who = \'eve\' AND what !~ \'=$|^public|text$\''), '0', '... nor with hers, in our statements')
  or diag(sql($node, 'SELECT string_agg(DISTINCT who || \': \' || what, \', \') FROM public.trap'));
sql($node, 'DELETE FROM tasksync.connected_account WHERE label = \'hostile\'; TRUNCATE public.trap; GRANT USAGE ON SCHEMA public TO bob');
is(as('bob', $work), '00000', 'Bob works beside what is planted in public');
is(sql($node, $work =~ s/hostile/super/gr) ne '', 1, 'so does a superuser');
is(sql($node, 'SELECT count(*) FROM public.trap'), '0', '... and none of it ran');
is(as('eve', "SET search_path = eve, public; SELECT tasksync.job_status(1::bigint), tasksync.track_change(ROW(1)::eve.evil, 'DELETE')"), 'P0002', 'a cast of her own to an id of Bob\'s gains nothing');

#
# Whose rows: tasksync.user_id
#
my $see = 'SELECT string_agg(DISTINCT user_id, \',\') FROM tasksync.project';
foreach my $case ('SET tasksync.user_id = \'bob\'', 'SET LOCAL tasksync.user_id = \'bob\'', 'SELECT set_config(\'tasksync.user_id\', \'bob\', false)',
	'ALTER ROLE eve SET tasksync.user_id = \'bob\'', 'ALTER DATABASE tasks SET tasksync.user_id = \'bob\'', 'ALTER SYSTEM SET tasksync.user_id = \'bob\'',
	'UPDATE pg_settings SET setting = \'bob\' WHERE name = \'tasksync.user_id\'', 'SET ROLE bob', 'SET SESSION AUTHORIZATION bob',
	'CREATE FUNCTION public.g() RETURNS int LANGUAGE sql SET tasksync.user_id = \'bob\' AS \'SELECT 1\'; SELECT public.g()')
{
	is(as('eve', $case), '42501', "a plain user may not: $case");
}
{
	local $ENV{PGOPTIONS} = '-c tasksync.user_id=bob';
	my ($out, $err) = answer('eve', $see);
	unlike($out // '', qr/bob/, '... nor as an option of the connection');
}
is((answer('eve', $see))[0], 'eve', 'Eve is still Eve');
is((answer('app', "SET tasksync.user_id = 'bob'; $see"))[0], 'bob', 'a role that was granted it may, for an application\'s users');
is((answer('app', "BEGIN; SET LOCAL tasksync.user_id = 'bob'; COMMIT; $see"))[0], '', '... and for a transaction');

# … also where the library is loaded only after the setting was made
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\n");
$node->restart;
is((answer('eve', "SELECT 1 WHERE set_config('tasksync.user_id', 'bob', false) IS NULL; SELECT tasksync.current_user_id(); $see"))[0], "eve\neve", 'a setting made before the library is loaded is dropped');
{
	local $ENV{PGOPTIONS} = '-c tasksync.user_id=bob';
	is((answer('eve', "SELECT tasksync.current_user_id(); $see"))[0], "eve\neve", '... and an option of the connection');
}
is(as('eve', 'ALTER ROLE eve SET tasksync.user_id = \'bob\''), '42501', '... and a role\'s own setting is refused');
is((answer('app', "SET tasksync.user_id = 'bob'; SELECT tasksync.current_user_id()"))[0], 'bob', '... but for who may set it');
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'tasksync'\n");
$node->restart;

#
# What grant_access gives, to the word (docs/security.md)
#
is(sql($node, <<'SQL'), <<'EXPECTED' =~ s/\n\z//r, 'a plain user\'s privileges on tables');
SELECT privilege || ' ' || string_agg(name, ' ' ORDER BY name COLLATE "C")
FROM (SELECT c.relname::text AS name, x.privilege_type AS privilege
	FROM pg_class c, aclexplode(c.relacl) x
	WHERE c.relnamespace = 'tasksync'::regnamespace AND x.grantee = 'eve'::regrole
	UNION ALL
	SELECT c.relname || '(' || string_agg(a.attname, ',' ORDER BY a.attname) || ')', x.privilege_type
	FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid, aclexplode(a.attacl) x
	WHERE c.relnamespace = 'tasksync'::regnamespace AND x.grantee = 'eve'::regrole
	GROUP BY c.relname, x.privilege_type) g
GROUP BY privilege ORDER BY privilege
SQL
DELETE project task task_list_mapping task_provider
INSERT project(color,created_at,description,id,name,status,updated_at,user_id) task(completed_at,created_at,description,due_date,due_time,duration_minutes,id,is_auto_scheduled,parent_task_id,percent_complete,priority,project_id,recurrence_rule,remind_at,start_date,start_time,status,tags,time_zone,title,updated_at,url,user_id)
SELECT conflicts connected_account dead_remote mapping_state mapping_status project provider_status provider_types sync_history sync_job sync_progress task task_change task_conflict task_inbox task_intent task_link task_list_mapping task_provider task_trash
UPDATE project(color,description,name,status) task(completed_at,description,due_date,due_time,duration_minutes,is_auto_scheduled,parent_task_id,percent_complete,priority,project_id,recurrence_rule,remind_at,start_date,start_time,status,tags,time_zone,title,url) task_list_mapping(conflict_policy,is_auto_scheduled,mirror,sync_direction,sync_enabled,sync_project_name) task_provider(conflict_policy,enabled,name,next_sync_at,settings,sync_enabled,sync_interval)
EXPECTED
is(sql($node, "SELECT string_agg(x.privilege_type, ' ') FROM pg_namespace n, aclexplode(n.nspacl) x WHERE n.nspname = 'tasksync' AND x.grantee = 'eve'::regrole"),
	'USAGE', '... on the schema');
is(sql($node, "SELECT string_agg(p.proname, ' ' ORDER BY p.proname) FROM pg_proc p WHERE p.pronamespace = 'tasksync'::regnamespace AND NOT has_function_privilege('eve', p.oid, 'EXECUTE') AND p.prorettype <> 'trigger'::regtype"),
	'adopt_clone grant_access home_mapping revoke_access rotate_secret_key set_credentials_file start_worker task_fields', '... on all functions but these and those of triggers');
is(sql($node, "SELECT count(*) FROM pg_class c, aclexplode(c.relacl) x WHERE c.relnamespace = 'tasksync'::regnamespace AND x.grantee = 'eve'::regrole AND x.is_grantable"),
	'0', '... none of it to hand on');
sql($node, 'SELECT tasksync.revoke_access(\'eve\')');
is(as('eve', 'SELECT tasksync.current_user_id()'), '42501', 'and revoke_access takes all of it back');
is(sql($node, "SELECT count(*) FROM pg_shdepend d JOIN pg_class c ON c.oid = d.objid WHERE d.refobjid = 'eve'::regrole AND c.relnamespace = 'tasksync'::regnamespace"), '0', '... on every table');

#
# Objects that were there before the extension
#
sub database
{
	my ($name, $statements) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $name; GRANT ALL ON DATABASE $name TO eve");
	$node->safe_psql($name, 'GRANT ALL ON SCHEMA public TO eve');
	$node->safe_psql($name, $statements, extra_params => [ '-U', 'eve' ]) if $statements;
	return;
}

database('squatted', 'CREATE SCHEMA tasksync; CREATE TABLE tasksync.secret (x text); CREATE FUNCTION tasksync.current_user_id() RETURNS text LANGUAGE sql AS \'SELECT 1\'');
is(sqlstate($node, 'CREATE EXTENSION tasksync', dbname => 'squatted'), '42P06', 'a schema that is there already is not taken over');
is($node->safe_psql('squatted', 'SELECT count(*) FROM pg_extension WHERE extname = \'tasksync\''), '0', '... there is no extension then');
my $plants = join "\n", grep { !/pg_temp/ && !/tasksync\.task/ && !/\.(?:pg_class|pg_proc) / } split /\n/, $traps;
database('planted', "CREATE TABLE public.trap (who text, what text); GRANT ALL ON public.trap TO PUBLIC; CREATE SCHEMA eve; GRANT USAGE ON SCHEMA eve TO PUBLIC;"
	  . " CREATE FUNCTION public.sprung(what text) RETURNS void LANGUAGE plpgsql AS \$\$ BEGIN INSERT INTO public.trap VALUES (current_user, what); END \$\$; $plants");
is(sqlstate($node, 'SET search_path = public, eve, pg_catalog; CREATE EXTENSION tasksync', dbname => 'planted'), '00000', 'objects planted in public do not stop it');
is($node->safe_psql('planted', 'SELECT count(*) FROM public.trap'), '0', '... none of them ran');
is($node->safe_psql('planted', <<'SQL'), '', '... and nothing of ours depends on one');
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) || ' on ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM pg_depend d
WHERE pg_describe_object(d.classid, d.objid, d.objsubid) ~ 'tasksync'
AND pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) ~ '(public|eve)\.'
SQL
is(sqlstate($node, 'CREATE EXTENSION tasksync SCHEMA public', dbname => 'postgres'), '0A000', 'it cannot be put into another schema');
is(sqlstate($node, 'SET ROLE eve; CREATE EXTENSION tasksync', dbname => 'postgres'), '42501', 'nor be made by a plain user');

# Called the wrong way, by who may call anything
is(sqlstate($node, $_), '39P01', $_) foreach map { "SELECT tasksync.$_()" } rows($node, "SELECT proname FROM pg_proc WHERE pronamespace = 'tasksync'::regnamespace AND prorettype = 'trigger'::regtype");

$node->stop;
done_testing();
