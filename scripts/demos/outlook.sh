# scripts/demo with a fake of Microsoft To Do, and a person with its app.

service_name="Microsoft To Do"
service_program=graph.py
service_arguments='"$2" "$1" --interval=1'
first_sync_is="A login with a device code, and the first sync"

app()
{
	python3 scripts/demos/app.py "$url" "$@"
}

show_there() { app show; }
fill_there()
{
	app fill
	farewell="python3 scripts/demos/app.py $url show, set, complete, delete …"
}

first_sync()
{
	sql <<-SQL
		SELECT tasksync.add_account('OUTLOOK', 'me',
		         credentials => '{"client_id": "$(app client)"}',
		         settings => '{"base_url": "$url/v1.0", "login_url": "$url/login"}') AS account \gset

		SELECT verification_uri, user_code FROM tasksync.begin_oauth(:'account');
	SQL
	echo
	echo "A person opens that address in a browser, types the code and agrees:"
	app approve
	account=$(quietly "SELECT id FROM tasksync.connected_account")
	for _ in $(seq 100); do
		[ "$(quietly "SELECT tasksync.finish_oauth('$account')")" = f ] || break
		sleep 0.1
	done
	echo
	sql <<-SQL
		SELECT tasksync.finish_oauth('$account') AS logged_in;
		SELECT tasksync.add_provider('OUTLOOK', account_id => '$account') AS provider \gset

		SELECT name, is_writable, left(external_list_id, 24) || '…' AS external_list_id
		  FROM tasksync.task_lists(:'provider');

		-- a project for each list, and a list for the project that is here
		SELECT count(*) AS mapped FROM tasksync.map_all_lists(:'provider');
		SELECT tasksync.create_external_list(:'provider', id) IS NOT NULL AS mapped
		  FROM tasksync.project WHERE name = 'Garden';

		CALL tasksync.sync_now(:'provider');
	SQL
}

edit_both_sides()
{
	echo "In the app one task is ticked off, one deleted, and a third gets a note:"
	app complete 'Book a table'
	app delete 'Return library books'
	app set 'Quarterly report' text 'Numbers from Ben are still missing'
	echo "  done; meanwhile, in SQL:"
	echo
	sql <<-SQL
		UPDATE tasksync.task SET due_date = due_date + 2, priority = 'HIGH' WHERE title = 'Quarterly report';
		UPDATE tasksync.task SET status = 'COMPLETED' WHERE title = 'Water the plants';
		INSERT INTO tasksync.task (project_id, title, remind_at)
		  SELECT id, 'Buy candles', now() + interval '2 days' FROM tasksync.project WHERE name = 'Home';
	SQL
	echo
	echo "Nobody has called anything: the worker notices, and sends them."
	app wait 'Buy candles'
	app wait 'Quarterly report' importance high
	echo "What was done in the app comes with the next sync, every 15 minutes or by a call:"
	sql <<-SQL
		CALL tasksync.sync_now();
	SQL
	echo
	echo "The report has the new date and the app's note; the service made the weekly task's next one."
	echo
}

conflict()
{
	sql <<-SQL
		-- where one field is changed on both sides, ask me
		SELECT u.name, u.conflict_policy
		  FROM tasksync.task_provider p, tasksync.update_provider(p.id, conflict_policy => 'MANUAL') AS u;
	SQL
	echo
	echo "The app and SQL change the title of one task, each without knowing of the other:"
	echo
	app set 'Order seeds' title 'Order seeds, and basil'
	sql <<-SQL
		UPDATE tasksync.task SET title = 'Order seeds and parsley' WHERE title = 'Order seeds';
		CALL tasksync.sync_now();
		SELECT field, base, local, remote FROM tasksync.conflicts;

		-- neither is lost; a person decides
		SELECT r.title
		  FROM tasksync.task t, tasksync.resolve_conflict(t.id, 'MERGE',
		         '{"title": "Order seeds, basil and parsley"}') AS r
		 WHERE t.title = 'Order seeds and parsley';
		CALL tasksync.sync_now();
		SELECT fields, local ->> 'title' AS local, remote ->> 'title' AS remote, resolution
		  FROM tasksync.task_conflict;
	SQL
}
