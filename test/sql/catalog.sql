/*
 * What is to hold for every object, also those added later.  Each query names
 * the objects that break the rule; none is to answer a row.
 */

-- every table has row security; without a policy nobody may touch it
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'tasksync'::regnamespace AND c.relkind IN ('r', 'p')
AND NOT c.relrowsecurity;

-- every policy compares user_id with the caller, for reading and for writing
SELECT tablename, policyname FROM pg_policies
WHERE schemaname = 'tasksync'
AND (qual IS DISTINCT FROM '(user_id = tasksync.current_user_id())'
	 OR with_check IS DISTINCT FROM qual OR cmd <> 'ALL');

-- every table but instance is keyed and referenced together with user_id
SELECT c.conrelid::regclass, c.conname FROM pg_constraint c
WHERE c.connamespace = 'tasksync'::regnamespace AND c.contype IN ('p', 'f')
AND c.conrelid <> 'tasksync.instance'::regclass
AND NOT EXISTS (
	SELECT FROM pg_attribute a
	WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) AND a.attname = 'user_id');

-- no foreign key is deferred, and each has an index to cascade by
SELECT c.conrelid::regclass, c.conname, c.condeferrable FROM pg_constraint c
WHERE c.connamespace = 'tasksync'::regnamespace AND c.contype = 'f'
AND (c.condeferrable OR NOT EXISTS (
	SELECT FROM pg_index i
	WHERE i.indrelid = c.conrelid AND i.indkey[0] = c.conkey[1]
	AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) LIKE '(%_id IS NOT NULL)')));

-- views are security_invoker
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'tasksync'::regnamespace AND c.relkind = 'v'
AND COALESCE(c.reloptions::text, '') !~ 'security_invoker=(true|on)';

-- SECURITY DEFINER functions have a fixed search_path
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'tasksync'::regnamespace AND p.prosecdef
AND COALESCE(p.proconfig::text, '') !~ 'search_path=pg_catalog, pg_temp';

-- PUBLIC has nothing
SELECT c.oid::regclass AS object, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'tasksync'::regnamespace AND a.grantee = 0
UNION ALL
SELECT p.oid::regprocedure::oid, a.privilege_type FROM pg_proc p,
	aclexplode(COALESCE(p.proacl, acldefault('f', p.proowner))) a
WHERE p.pronamespace = 'tasksync'::regnamespace AND a.grantee = 0
UNION ALL
SELECT n.oid, a.privilege_type FROM pg_namespace n, aclexplode(n.nspacl) a
WHERE n.nspname = 'tasksync' AND a.grantee = 0;

-- nobody can get code to run in the worker
CREATE ROLE regress_reader;
SELECT tasksync.grant_access('regress_reader') \g /dev/null
SELECT c.relname, a.privilege_type FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'tasksync'::regnamespace
AND a.grantee = 'regress_reader'::regrole
AND a.privilege_type IN ('TRIGGER', 'REFERENCES', 'TRUNCATE');
SELECT has_schema_privilege('regress_reader', 'tasksync', 'CREATE');
SELECT has_table_privilege('regress_reader', 'tasksync.secret', 'SELECT'),
	has_any_column_privilege('regress_reader', 'tasksync.secret', 'SELECT');
SELECT tasksync.revoke_access('regress_reader') \g /dev/null
DROP ROLE regress_reader;

-- everything has a comment
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS uncommented
FROM (
	SELECT 'pg_class'::regclass AS classid, c.oid AS objid, 0 AS objsubid FROM pg_class c
	WHERE c.relnamespace = 'tasksync'::regnamespace AND c.relkind IN ('r', 'v', 'S')
	UNION ALL
	SELECT 'pg_class'::regclass, i.indexrelid, 0 FROM pg_index i
	JOIN pg_class c ON c.oid = i.indexrelid
	WHERE c.relnamespace = 'tasksync'::regnamespace
	AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid)
	UNION ALL
	SELECT 'pg_class'::regclass, c.oid, a.attnum FROM pg_class c
	JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
	WHERE c.relnamespace = 'tasksync'::regnamespace AND c.relkind = 'r'
	UNION ALL
	SELECT 'pg_proc'::regclass, p.oid, 0 FROM pg_proc p
	WHERE p.pronamespace = 'tasksync'::regnamespace
	UNION ALL
	SELECT 'pg_trigger'::regclass, t.oid, 0 FROM pg_trigger t
	JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = 'tasksync'::regnamespace AND NOT t.tgisinternal
	UNION ALL
	SELECT 'pg_policy'::regclass, p.oid, 0 FROM pg_policy p
	JOIN pg_class c ON c.oid = p.polrelid
	WHERE c.relnamespace = 'tasksync'::regnamespace
	UNION ALL
	SELECT 'pg_namespace'::regclass, n.oid, 0 FROM pg_namespace n WHERE n.nspname = 'tasksync'
) d
WHERE NOT EXISTS (
	SELECT FROM pg_description s
	WHERE s.classoid = d.classid AND s.objoid = d.objid AND s.objsubid = d.objsubid);

-- what pg_dump leaves out
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'tasksync'::regnamespace AND c.relkind IN ('r', 'S')
AND NOT EXISTS (
	SELECT FROM pg_extension e WHERE e.extname = 'tasksync' AND c.oid = ANY (e.extconfig))
ORDER BY 1;

-- the settings, and who may set them
SELECT name, context, vartype, unit, boot_val FROM pg_settings
WHERE name LIKE 'tasksync.%' ORDER BY name;
