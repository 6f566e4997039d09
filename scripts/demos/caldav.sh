# scripts/demo with a CalDAV server, and a person with an app on a phone.

service_name="the CalDAV server"
service_program=radicale.sh
service_arguments='"$1" "$2"'
first_sync_is="The first sync: one call for the account, one for its lists"

phone()
{
	python3 scripts/demos/phone.py "$url" "$@"
}

show_there() { phone show; }
fill_there()
{
	phone fill
	farewell="$url/ with user \"tasks\" and password \"secret\", for any client on this machine"
}

first_sync()
{
	sql <<-SQL
		SELECT tasksync.add_provider('CALDAV', 'my phone',
		         credentials => '{"username": "tasks", "password": "secret"}',
		         settings => '{"url": "$url/"}') AS provider \gset

		SELECT name, color, external_list_id FROM tasksync.task_lists(:'provider');

		-- a project for each list, and a list for the project that is here
		SELECT count(*) AS mapped FROM tasksync.map_all_lists(:'provider');
		SELECT tasksync.create_external_list(:'provider', id) IS NOT NULL AS mapped
		  FROM tasksync.project WHERE name = 'Garden';

		CALL tasksync.sync_now(:'provider');
	SQL
}

edit_both_sides()
{
	echo "The phone ticks one task off, deletes one and gives a third a note:"
	phone set 'Book a table' STATUS COMPLETED
	phone delete 'Return library books'
	phone set 'Quarterly report' DESCRIPTION 'Numbers from Ben are still missing'
	echo "  done; meanwhile, in SQL:"
	echo
	sql <<-SQL
		UPDATE tasksync.task SET due_date = due_date + 2, priority = 'MEDIUM' WHERE title = 'Quarterly report';
		UPDATE tasksync.task SET status = 'COMPLETED' WHERE title = 'Water the plants';
		INSERT INTO tasksync.task (project_id, title, remind_at)
		  SELECT id, 'Buy candles', now() + interval '2 days' FROM tasksync.project WHERE name = 'Home';
	SQL
	echo
	echo "Nobody has called anything: the worker notices, and sends them."
	phone wait 'Buy candles'
	phone wait 'Quarterly report' 'PRIORITY:5'
	echo "What the phone did comes with the next sync, every 15 minutes or by a call:"
	sql <<-SQL
		CALL tasksync.sync_now();
	SQL
	echo
	echo "The report has the new date and the phone's note; the weekly task went on to next week."
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
	echo "The phone and SQL change the note of one task, each without knowing of the other:"
	echo
	phone set 'Order seeds' DESCRIPTION 'Tomatoes\, beans\, dill\, basil'
	sql <<-SQL
		UPDATE tasksync.task SET description = 'Tomatoes, beans, parsley' WHERE title = 'Order seeds';
		CALL tasksync.sync_now();
		SELECT title, field, base, local, remote FROM tasksync.conflicts;

		-- neither is lost; a person decides
		SELECT r.title, r.description
		  FROM tasksync.task t, tasksync.resolve_conflict(t.id, 'MERGE',
		         '{"description": "Tomatoes, beans, dill, basil, parsley"}') AS r
		 WHERE t.title = 'Order seeds';
		CALL tasksync.sync_now();
		SELECT fields, local ->> 'description' AS local, remote ->> 'description' AS remote, resolution
		  FROM tasksync.task_conflict;
	SQL
}
