/*
 * What is wrong with the arguments of the calls that make accounts, providers
 * and mappings.  (No worker looks at this database: nothing is sent.)
 */
\getenv abs_srcdir PG_ABS_SRCDIR
\ir :abs_srcdir/common/two_of_each.sql

\set VERBOSITY sqlstate

SET SESSION AUTHORIZATION regress_ann;

-- credentials
SELECT tasksync.add_account('CALDAV', 'x', '{"username": "ann"}');
SELECT tasksync.add_account('CALDAV', 'x', '{"username": "ann", "password": 5}');
SELECT tasksync.add_account('CALDAV', 'x', '{"username": "", "password": "secret"}');
SELECT tasksync.add_account('CALDAV', 'x', '{"token": ""}');
SELECT tasksync.add_account('CALDAV', 'x', '{"token": null}');
SELECT tasksync.add_account('CALDAV', 'x', '{"token": {"a": "b"}}');
SELECT tasksync.add_account('CALDAV', 'x', '{"token": "a\r\nX-Header: b"}');
SELECT tasksync.add_account('CALDAV', 'x', '["token"]');
SELECT tasksync.add_account('CALDAV', 'x', '"token"');
SELECT tasksync.add_account('CALDAV', 'x', '{"token": "a"}') IS NOT NULL AS made;
SELECT tasksync.add_account('CALDAV', 'x', '{"token": "a"}');
SELECT tasksync.add_account('CALDAV', 'y', '{"username": "ann", "password": ""}') IS NOT NULL AS made;
SELECT id AS account FROM tasksync.connected_account WHERE label = 'x' \gset
SELECT tasksync.set_credentials(:'account', '{"token": "b\n"}');
SELECT tasksync.set_credentials(uid('a3'), '{"token": "b"}');

SELECT * FROM tasksync.begin_oauth(:'account');
SELECT tasksync.finish_oauth(:'account', 'code');
SELECT tasksync.begin_oauth(uid('a3'));
SELECT tasksync.finish_oauth(NULL);

-- settings: an object, with an address that can be one and has no password in it
SELECT tasksync.add_account('CALDAV', 'z', '{"token": "a"}', '[]');
SELECT tasksync.add_account('CALDAV', 'z', '{"token": "a"}', '{"url": "http://ann:secret@example.org/"}');
SELECT tasksync.add_provider('CALDAV', account_id => :'account');
SELECT tasksync.add_provider('CALDAV', account_id => :'account', settings => '"http://example.org/"');
\set VERBOSITY terse
SELECT tasksync.add_provider('CALDAV', account_id => :'account', settings => '["http://ann:secret@example.org/"]');
\set VERBOSITY sqlstate
SELECT format($$SELECT tasksync.add_provider('CALDAV', settings => '{"url": "%s"}')$$, url)
FROM unnest('{example.org,ftp://example.org/,http://,http:///x,http://:80/,http://example.org:99999/,http://example.org:8x/,
	http://ann@example.org/,http://ann:secret@example.org/,http://exa mple.org/,http://[::1/}'::text[]) url \gexec
SELECT tasksync.add_provider('CALDAV', account_id => :'account', settings => '{"url": "http://[::1]:8443/dav"}') AS provider \gset
SELECT (tasksync.update_provider(:'provider', settings => '{"url": "https://example.org/", "recurring_completion": "EXCEPTION"}')).settings;
SELECT tasksync.update_provider(:'provider', settings => '{}');
SELECT tasksync.update_provider(:'provider', settings => '{"url": "https://example.org/", "recurring_completion": "x"}');
SELECT tasksync.update_provider(:'provider', settings => '[]');
SELECT tasksync.update_provider(uid('s3'), settings => '{"url": "https://example.org/"}');

-- by DML the same password is refused, and not shown
\set VERBOSITY terse
UPDATE tasksync.task_provider SET settings = '{"url": "https://ann:secret@example.org/"}' WHERE id = :'provider';
UPDATE tasksync.task_provider SET settings = '{"base_url": "//ann@example.org"}' WHERE id = :'provider';
UPDATE tasksync.task_provider SET settings = '{"url": "https://example.org/@ann/?a=b@c"}' WHERE id = :'provider' RETURNING settings;
\set VERBOSITY sqlstate

-- the id of a list: any spelling of a path is one id
SELECT tasksync.create_mapping(:'provider', 'tasks');
SELECT tasksync.create_mapping(:'provider', '@example.org/tasks/');
SELECT tasksync.create_mapping(:'provider', 'ftp://example.org/tasks/');
SELECT tasksync.create_mapping(:'provider', '/ann/caf%c3%a9') IS NOT NULL AS made;
SELECT tasksync.create_mapping(:'provider', '/ann/café/');
SELECT tasksync.create_mapping(:'provider', 'https://example.org/ann/caf%C3%A9/');
SELECT tasksync.create_mapping(:'provider', E'/ann/a\r\nb c?d/') IS NOT NULL AS made;
SELECT tasksync.create_mapping(:'provider', '/ann/b c?d/') IS NOT NULL AS made;
SELECT external_list_id FROM tasksync.task_list_mapping WHERE provider_id = :'provider' ORDER BY 1;

RESET SESSION AUTHORIZATION;
