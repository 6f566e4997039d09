/*
 * What users see and edit: projects, accounts, providers, tasks, mappings.
 *
 * Every table carries user_id, its primary key is (id, user_id) and every
 * foreign key is composite: a row of one user cannot point at another's, and
 * all tables can be distributed by user_id.
 */

CREATE TABLE tasksync.project (
	id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	user_id text NOT NULL DEFAULT tasksync.current_user_id(),
	name text NOT NULL,
	description text,
	color text CHECK (color OPERATOR(pg_catalog.~) '^#[0-9A-Fa-f]{6}$'),
	status text NOT NULL DEFAULT 'ACTIVE'
		CHECK (status IN ('ACTIVE', 'ARCHIVED')),
	external_project_ids jsonb NOT NULL DEFAULT '{}'
		CHECK (pg_catalog.jsonb_typeof(external_project_ids) OPERATOR(pg_catalog.=) 'object'),
	last_synced_at timestamptz,
	sync_status text
		CHECK (sync_status IN ('PENDING', 'SYNCING', 'SYNCED', 'ERROR', 'CONFLICT')),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (id, user_id)
);

-- With the id, here and in the index of mappings: to the check of a foreign key
-- this index is as good as the primary key's while the table is small, and it is
-- not to walk through all of a user's rows for each task.
CREATE INDEX project_user_idx ON tasksync.project (user_id, id);

CREATE TABLE tasksync.connected_account (
	id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	user_id text NOT NULL DEFAULT tasksync.current_user_id(),
	type text NOT NULL CHECK (type OPERATOR(pg_catalog.~) '^[A-Z][A-Z0-9_]*$'),
	label text NOT NULL,
	status text NOT NULL DEFAULT 'OK'
		CHECK (status IN ('OK', 'NEEDS_AUTH')),
	settings jsonb NOT NULL DEFAULT '{}'
		CHECK (pg_catalog.jsonb_typeof(settings) OPERATOR(pg_catalog.=) 'object'),
	expires_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (id, user_id),
	UNIQUE (user_id, type, label)
);

CREATE TABLE tasksync.task_provider (
	id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	user_id text NOT NULL DEFAULT tasksync.current_user_id(),
	type text NOT NULL CHECK (type OPERATOR(pg_catalog.~) '^[A-Z][A-Z0-9_]*$'),
	name text NOT NULL,
	enabled boolean NOT NULL DEFAULT true,
	account_id uuid,
	last_synced_at timestamptz,
	next_sync_at timestamptz,
	retry_after timestamptz,
	sync_enabled boolean NOT NULL DEFAULT true,
	sync_interval int NOT NULL DEFAULT 15
		CHECK (sync_interval OPERATOR(pg_catalog.>) 0),
	sync_status text CHECK (sync_status IN ('SYNCING', 'ERROR', 'OK')),
	error_code text,
	error_message text,
	settings jsonb NOT NULL DEFAULT '{}'
		CHECK (pg_catalog.jsonb_typeof(settings) OPERATOR(pg_catalog.=) 'object'),
	conflict_policy text NOT NULL DEFAULT 'LATEST_WINS'
		CHECK (conflict_policy IN ('LATEST_WINS', 'LOCAL_WINS', 'REMOTE_WINS', 'MANUAL')),
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (id, user_id),
	UNIQUE NULLS NOT DISTINCT (user_id, type, account_id),
	FOREIGN KEY (account_id, user_id)
		REFERENCES tasksync.connected_account (id, user_id) ON DELETE RESTRICT
);

CREATE INDEX task_provider_account_idx
	ON tasksync.task_provider (account_id, user_id);
CREATE INDEX task_provider_due_idx
	ON tasksync.task_provider (next_sync_at) WHERE enabled AND sync_enabled;

CREATE TABLE tasksync.task (
	id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	user_id text NOT NULL DEFAULT tasksync.current_user_id(),
	project_id uuid,
	parent_task_id uuid,
	title text NOT NULL,
	description text,
	status text NOT NULL DEFAULT 'TODO'
		CHECK (status IN ('TODO', 'IN_PROGRESS', 'COMPLETED', 'CANCELLED')),
	priority text NOT NULL DEFAULT 'NONE'
		CHECK (priority IN ('NONE', 'LOW', 'MEDIUM', 'HIGH')),
	start_date date,
	start_time time,
	due_date date,
	due_time time,
	time_zone text,
	duration_minutes int
		CHECK (duration_minutes OPERATOR(pg_catalog.>=) 0),
	percent_complete int
		CHECK (percent_complete OPERATOR(pg_catalog.>=) 0
			   AND percent_complete OPERATOR(pg_catalog.<=) 100),
	completed_at timestamptz,
	recurrence_rule text,
	remind_at timestamptz,
	tags text[] NOT NULL DEFAULT '{}'
		CHECK (CASE WHEN pg_catalog.array_ndims(tags) OPERATOR(pg_catalog.>) 1 THEN false
			   ELSE pg_catalog.array_position(tags, NULL) IS NULL END),
	url text,
	is_auto_scheduled boolean NOT NULL DEFAULT false,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	source text NOT NULL DEFAULT 'LOCAL'
		CHECK (source OPERATOR(pg_catalog.~) '^[A-Z][A-Z0-9_]*$'),
	provider_id uuid,
	external_task_id text,
	external_url text,
	external_updated_at timestamptz,
	last_synced_at timestamptz,
	sync_status text
		CHECK (sync_status IN ('PENDING', 'SYNCING', 'SYNCED', 'ERROR', 'CONFLICT')),
	PRIMARY KEY (id, user_id),
	CONSTRAINT task_start_time_needs_date
		CHECK (start_time IS NULL OR start_date IS NOT NULL),
	CONSTRAINT task_due_time_needs_date
		CHECK (due_time IS NULL OR due_date IS NOT NULL),
	CONSTRAINT task_dates_of_the_calendar
		CHECK (start_date BETWEEN '0001-01-01' AND '9999-12-31'
			   AND due_date BETWEEN '0001-01-01' AND '9999-12-31'
			   AND remind_at BETWEEN '0001-01-02' AND '9999-12-30'
			   AND completed_at BETWEEN '0001-01-02' AND '9999-12-30'),
	CONSTRAINT task_not_its_own_parent
		CHECK (parent_task_id OPERATOR(pg_catalog.<>) id),
	FOREIGN KEY (project_id, user_id)
		REFERENCES tasksync.project (id, user_id) ON DELETE SET NULL (project_id),
	FOREIGN KEY (parent_task_id, user_id)
		REFERENCES tasksync.task (id, user_id) ON DELETE SET NULL (parent_task_id),
	FOREIGN KEY (provider_id, user_id)
		REFERENCES tasksync.task_provider (id, user_id) ON DELETE SET NULL (provider_id)
);

CREATE INDEX task_user_idx ON tasksync.task (user_id, due_date);
CREATE INDEX task_project_idx ON tasksync.task (project_id, user_id);
CREATE INDEX task_parent_idx
	ON tasksync.task (parent_task_id, user_id) WHERE parent_task_id IS NOT NULL;
CREATE INDEX task_provider_idx
	ON tasksync.task (provider_id, user_id) WHERE provider_id IS NOT NULL;

CREATE TABLE tasksync.task_list_mapping (
	id uuid NOT NULL DEFAULT pg_catalog.gen_random_uuid(),
	user_id text NOT NULL DEFAULT tasksync.current_user_id(),
	provider_id uuid NOT NULL,
	project_id uuid NOT NULL,
	external_list_id text,
	name text,
	external_list_color text,
	external_list_path text,
	sync_direction text NOT NULL DEFAULT 'BIDIRECTIONAL'
		CHECK (sync_direction IN ('BIDIRECTIONAL', 'TO_PROVIDER', 'FROM_PROVIDER')),
	sync_enabled boolean NOT NULL DEFAULT true,
	sync_project_name boolean NOT NULL DEFAULT true,
	is_auto_scheduled boolean NOT NULL DEFAULT true,
	mirror boolean NOT NULL DEFAULT false,
	conflict_policy text
		CHECK (conflict_policy IN ('LATEST_WINS', 'LOCAL_WINS', 'REMOTE_WINS', 'MANUAL')),
	last_synced_at timestamptz,
	sync_status text
		CHECK (sync_status IN ('SYNCING', 'ERROR', 'OK', 'HELD', 'DISCONNECTED')),
	error_code text,
	error_message text,
	created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (id, user_id),
	UNIQUE (provider_id, project_id, user_id),
	UNIQUE (provider_id, external_list_id, user_id),
	FOREIGN KEY (provider_id, user_id)
		REFERENCES tasksync.task_provider (id, user_id) ON DELETE CASCADE,
	FOREIGN KEY (project_id, user_id)
		REFERENCES tasksync.project (id, user_id) ON DELETE CASCADE
);

CREATE INDEX task_list_mapping_project_idx
	ON tasksync.task_list_mapping (project_id, user_id);
CREATE INDEX task_list_mapping_user_idx ON tasksync.task_list_mapping (user_id, id);
