/*
 * The codecs for callers, and the view of the services.
 */
\set VERBOSITY terse

SELECT type, name, array_length(carries, 1) AS fields, capabilities -> 'lists' AS lists FROM tasksync.provider_types WHERE type = 'CALDAV';
SELECT carries FROM tasksync.provider_types WHERE type = 'CALDAV';

\set object 'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//example//EN\r\nBEGIN:VTODO\r\nUID:one\r\nDTSTAMP:20260101T000000Z\r\nSUMMARY:Paint the fence\r\nDESCRIPTION:white\\, twice\r\nPRIORITY:3\r\nSTATUS:IN-PROCESS\r\nDUE;TZID=Europe/Berlin:20260301T173000\r\nCATEGORIES:garden,home\r\nRELATED-TO:parent\r\nX-COLOUR:green\r\nEND:VTODO\r\nEND:VCALENDAR\r\n'
SELECT key, value FROM jsonb_each(tasksync.decode_task('CALDAV', :'object')) WHERE value <> 'null' ORDER BY key COLLATE "C";
-- every field is there, the session's zone and style do not matter
SET TimeZone = 'Asia/Tokyo';
SET DateStyle = 'SQL, DMY';
SELECT (SELECT count(*) FROM jsonb_object_keys(t)) AS fields, t ->> 'due_date' AS due_date, t ->> 'due_time' AS due_time FROM tasksync.decode_task('CALDAV', :'object') t;
RESET TimeZone;
RESET DateStyle;
-- what is no task, what is no calendar object, what is no type
SELECT tasksync.decode_task('CALDAV', E'BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:e\r\nDTSTART:20260101T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n') IS NULL AS no_task;
SELECT tasksync.decode_task('CALDAV', NULL) IS NULL AS nothing;
\set VERBOSITY sqlstate
SELECT tasksync.decode_task('CALDAV', 'not a calendar');
SELECT tasksync.decode_task('CALDAV', '');
SELECT tasksync.decode_task('FAX', 'x');
SELECT tasksync.encode_task('FAX', '{"title": "x"}');
SELECT tasksync.encode_task(NULL, '{"title": "x"}');
SELECT tasksync.encode_task('CALDAV', NULL);
SELECT tasksync.encode_task('CALDAV', '[]');
SELECT tasksync.encode_task('CALDAV', '{"status": "DONE"}');
SELECT tasksync.encode_task('CALDAV', '{"recurrence_rule": "every day"}');
SELECT tasksync.encode_task('CALDAV', '{"title": "x"}', 'not a calendar');
\set VERBOSITY terse

-- a new object: named after the task's id, all fields come back
SELECT line FROM regexp_split_to_table(tasksync.encode_task('CALDAV', '{"id": "42", "title": "New", "due_date": "2026-03-01", "tags": ["a", "b"]}'), E'\r\n') line
WHERE line !~ '^(DTSTAMP|CREATED|LAST-MODIFIED)';
\set task '{"title": "All of it", "description": "two\\nlines", "status": "COMPLETED", "priority": "LOW", "start_date": "2026-03-01", "start_time": "09:00:00", "due_date": "2026-03-02", "due_time": "10:30:00", "time_zone": "Europe/Berlin", "duration_minutes": 45, "percent_complete": 100, "completed_at": "2026-03-02T08:00:00+00:00", "recurrence_rule": null, "remind_at": "2026-03-02T07:00:00+00:00", "tags": ["a", "b"], "url": "https://example.org/", "parent_task_id": "parent"}'
SELECT tasksync.decode_task('CALDAV', tasksync.encode_task('CALDAV', :'task')) = :'task' AS comes_back;
SELECT tasksync.encode_task('CALDAV', '{"title": "x"}') <> tasksync.encode_task('CALDAV', '{"title": "x"}') AS own_names;

-- onto an object: what is the same stays byte for byte, what is unknown survives
SELECT tasksync.encode_task('CALDAV', tasksync.decode_task('CALDAV', :'object'), :'object') = :'object' AS untouched;
SELECT tasksync.encode_task('CALDAV', '{"priority": "HIGH", "color": "blue"}', :'object') = :'object' AS no_change;
SELECT line FROM regexp_split_to_table(tasksync.encode_task('CALDAV', '{"title": "Paint the gate", "description": null}', :'object'), E'\r\n') line
WHERE line !~ '^(DTSTAMP|CREATED|LAST-MODIFIED)';

-- Microsoft To Do; days are those of the server's zone
\set VERBOSITY terse
\pset format unaligned
SELECT type, name, carries, capabilities FROM tasksync.provider_types WHERE type = 'OUTLOOK';
\set object '{"@odata.etag":"W/\\"1\\"","id":"AAMk=","title":"Paint the fence","status":"waitingOnOthers","importance":"high","isReminderOn":false,"dueDateTime":{"dateTime":"2026-02-28T23:00:00.0000000","timeZone":"UTC"},"body":{"content":"<p>white<br>twice</p>","contentType":"html"},"recurrence":{"pattern":{"type":"relativeMonthly","interval":1,"daysOfWeek":["friday"],"index":"last"},"range":{"type":"noEnd","startDate":"2026-03-01"}},"categories":["garden"],"x":1.50}'
SELECT key, value FROM jsonb_each(tasksync.decode_task('OUTLOOK', :'object')) WHERE value <> 'null' ORDER BY key COLLATE "C";
-- onto an object: what changed is in place, all else survives
SELECT tasksync.encode_task('OUTLOOK', '{"title": "Paint it", "due_date": "2026-03-02", "status": "IN_PROGRESS"}', :'object');
SELECT tasksync.encode_task('OUTLOOK', tasksync.decode_task('OUTLOOK', :'object'), :'object') = :'object' AS same;
SELECT tasksync.encode_task('OUTLOOK', '{"title": " ", "priority": "MEDIUM", "remind_at": "2026-03-01 09:00+01"}');
\set VERBOSITY default
SELECT tasksync.encode_task('OUTLOOK', '{"title": "x", "due_date": "2026-03-01", "recurrence_rule": "FREQ=MONTHLY;BYMONTHDAY=1,15"}');
SELECT tasksync.encode_task('OUTLOOK', '{"title": "x", "recurrence_rule": "FREQ=DAILY"}');
SELECT tasksync.decode_task('OUTLOOK', '{"id": "x", "title": 1}');
\set VERBOSITY terse
SELECT tasksync.add_provider('OUTLOOK', NULL, '{"access_token": "t"}', '{"base_url": "ftp://x/"}');
SELECT tasksync.add_provider('OUTLOOK', NULL, '{"access_token": "t"}', '{"login_url": "https://u:p@x/"}');
\pset format aligned
