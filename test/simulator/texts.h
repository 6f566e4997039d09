/*-------------------------------------------------------------------------
 *
 * texts.h
 *	  Comparing and naming, on which no run is to spend its time.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SIMULATOR_TEXTS_H
#define SIMULATOR_TEXTS_H

/*
 * Are two texts the same, or is neither there?  The names of mappings, projects
 * and providers, which are most of what is compared, are of a letter or two.
 */
static inline bool
same(const char *a, const char *b)
{
	if (a == b || a == NULL || b == NULL)
		return a == b;
	for (int i = 0; i < 3; i++)
		if (a[i] != b[i] || a[i] == '\0')
			return a[i] == b[i];
	return strcmp(a + 3, b + 3) == 0;
}

/* Ids of tasks, which are UUIDs: what tells ours apart is at their end. */
static inline bool
same_id(const char *a, const char *b)
{
	if (a == b || a == NULL || b == NULL)
		return a == b;
	return memcmp(a + 28, b + 28, 8) == 0 && memcmp(a, b, 28) == 0;
}

/* A number between two texts. */
static inline char *
numbered(const char *before, int number, const char *after)
{
	char		digits[12];
	char	   *first = &digits[sizeof(digits)];
	int			n = strlen(before);
	int			ndigits;
	char	   *text;

	do
		*--first = '0' + number % 10;
	while ((number /= 10) > 0);
	ndigits = &digits[sizeof(digits)] - first;
	text = palloc(n + ndigits + strlen(after) + 1);
	memcpy(text, before, n);
	memcpy(text + n, first, ndigits);
	strcpy(text + n + ndigits, after);
	return text;
}

/* The number that a text begins with; 0: none. */
static inline int
number_at(const char *text)
{
	int			number = 0;

	while (*text >= '0' && *text <= '9')
		number = number * 10 + (*text++ - '0');
	return number;
}

#endif							/* SIMULATOR_TEXTS_H */
