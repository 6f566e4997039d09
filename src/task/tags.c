/*-------------------------------------------------------------------------
 *
 * tags.c
 *	  Lists of tags: a set whose order is kept.
 *
 * What a service sends can hold any number of tags, so nothing here compares
 * each with each.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "task/task.h"

/* A tag and where it stood. */
typedef struct Place
{
	char	   *tag;
	int			index;
} Place;

static int
compare_places(const void *a, const void *b)
{
	const Place *pa = a;
	const Place *pb = b;
	int			order = strcmp(pa->tag, pb->tag);

	return order != 0 ? order : pa->index - pb->index;
}

static int
compare_tags(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/*
 * ts_tags_unique
 *		Drops what stands in the list before, in place; returns how many are
 *		left.
 */
int
ts_tags_unique(char **tags, int n)
{
	Place	   *places = palloc((n + 1) * sizeof(Place));
	int			kept = 0;

	for (int i = 0; i < n; i++)
		places[i] = (Place) {tags[i], i};
	qsort(places, n, sizeof(Place), compare_places);
	for (int i = 1; i < n; i++)
	{
		if (strcmp(places[i].tag, places[i - 1].tag) == 0)
			tags[places[i].index] = NULL;
	}
	for (int i = 0; i < n; i++)
	{
		if (tags[i] != NULL)
			tags[kept++] = tags[i];
	}
	pfree(places);
	return kept;
}

/*
 * ts_tags_sorted
 *		A sorted copy of the list, for ts_tags_contain.
 */
char	  **
ts_tags_sorted(char **tags, int n)
{
	char	  **sorted = palloc((n + 1) * sizeof(char *));

	memcpy(sorted, tags, n * sizeof(char *));
	qsort(sorted, n, sizeof(char *), compare_tags);
	return sorted;
}

/*
 * ts_tags_contain
 *		Is a tag in a sorted list?
 */
bool
ts_tags_contain(char **sorted, int n, const char *tag)
{
	return bsearch(&tag, sorted, n, sizeof(char *), compare_tags) != NULL;
}

/*
 * ts_tags_join
 *		The JSON array of n strings, spelled as PostgreSQL prints jsonb.
 */
char *
ts_tags_join(char **tags, int n)
{
	StringInfoData out;

	initStringInfo(&out);
	appendStringInfoCharMacro(&out, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(&out, ", ");
		ts_json_string(&out, tags[i]);
	}
	appendStringInfoCharMacro(&out, ']');
	return out.data;
}
