/*-------------------------------------------------------------------------
 *
 * tzif.c
 *	  Reading the system's time zone files.
 *
 * Nothing here allocates in a memory context while a file is open, so no error
 * can leave one open.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <dirent.h>
#include <sys/stat.h>

#include "task/tzif.h"

#define MAX_FILE_SIZE	(256 * 1024)
#define HEADER_SIZE		44
#define MAX_CHANGE		(INT64CONST(1) << 60)	/* some files begin at -2^59 */

/* Where systems keep the files. */
static const char *const directories[] = {
	"/usr/share/zoneinfo", "/usr/lib/zoneinfo", "/usr/share/lib/zoneinfo", "/etc/zoneinfo"
};

static TsZone *loaded;			/* all zones read so far */

/* The counts of a file's header, in the order in which they stand there. */
typedef struct Header
{
	uint32		isutc;
	uint32		isstd;
	uint32		leap;
	uint32		time;
	uint32		type;
	uint32		chars;
} Header;

static const char *
zone_directory(void)
{
	struct stat st;

	for (int i = 0; i < lengthof(directories); i++)
	{
		if (stat(directories[i], &st) == 0 && S_ISDIR(st.st_mode))
			return directories[i];
	}
	return directories[0];
}

/* ---------- bytes ---------- */

static uint32
get_uint32(const unsigned char *p)
{
	return ((uint32) p[0] << 24) | ((uint32) p[1] << 16) | ((uint32) p[2] << 8) | p[3];
}

static int64
get_int64(const unsigned char *p)
{
	return (int64) (((uint64) get_uint32(p) << 32) | get_uint32(p + 4));
}

static bool
read_header(const unsigned char *p, size_t len, Header *h)
{
	uint32	   *counts[] = {&h->isutc, &h->isstd, &h->leap, &h->time, &h->type, &h->chars};

	if (len < HEADER_SIZE || memcmp(p, "TZif", 4) != 0 || p[4] < '2')
		return false;
	for (int i = 0; i < lengthof(counts); i++)
	{
		*counts[i] = get_uint32(p + 20 + 4 * i);
		if (*counts[i] > MAX_FILE_SIZE)
			return false;
	}
	return true;
}

/* Bytes of a data block whose times are "width" bytes wide. */
static size_t
block_size(const Header *h, int width)
{
	return (size_t) h->time * (width + 1) + (size_t) h->type * 6 + h->chars +
		(size_t) h->leap * (width + 4) + h->isstd + h->isutc;
}

/* ---------- the rule after the last change: a POSIX TZ string ---------- */

static bool
take_abbreviation(const char **s, char name[16])
{
	bool		quoted = **s == '<';
	const char *start = *s + (quoted ? 1 : 0);
	size_t		len = quoted ? strcspn(start, ">") :
	strspn(start, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

	if (len == 0 || len > 15 || (quoted && start[len] != '>'))
		return false;
	memcpy(name, start, len);
	name[len] = '\0';
	*s = start + len + (quoted ? 1 : 0);
	return true;
}

static bool
take_int(const char **s, int *value)
{
	if (**s < '0' || **s > '9')
		return false;
	for (*value = 0; **s >= '0' && **s <= '9'; (*s)++)
	{
		*value = *value * 10 + (**s - '0');
		if (*value > 999)
			return false;
	}
	return true;
}

/* "[+-]hh[:mm[:ss]]" in seconds */
static bool
take_hms(const char **s, int *seconds)
{
	int			sign = **s == '-' ? -1 : 1;
	int			part = 0;

	if (**s == '-' || **s == '+')
		(*s)++;
	if (!take_int(s, &part))
		return false;
	*seconds = part * 3600;
	for (int unit = 60; unit >= 1 && **s == ':'; unit /= 60)
	{
		(*s)++;
		if (!take_int(s, &part))
			return false;
		*seconds += part * unit;
	}
	*seconds *= sign;
	return true;
}

/* ",M3.5.0/3", ",J60", ",59/2" */
static bool
take_day(const char **s, TsZoneDay *day)
{
	if (*(*s)++ != ',')
		return false;
	memset(day, 0, sizeof(*day));
	day->time = 2 * 3600;
	day->kind = **s == 'M' || **s == 'J' ? *(*s)++ : 'N';
	if (day->kind == 'M')
	{
		if (!take_int(s, &day->month) || *(*s)++ != '.' ||
			!take_int(s, &day->week) || *(*s)++ != '.')
			return false;
	}
	if (!take_int(s, &day->day))
		return false;
	if (day->kind == 'M' && (day->month < 1 || day->month > 12 || day->week < 1 ||
							 day->week > 5 || day->day > 6))
		return false;
	if (day->day > 366)
		return false;
	if (**s == '/')
	{
		(*s)++;
		return take_hms(s, &day->time);
	}
	return true;
}

static bool
parse_rule(const char *s, TsZone *zone)
{
	int			west;

	if (!take_abbreviation(&s, zone->standard.name) || !take_hms(&s, &west))
		return false;
	zone->standard.offset = -west;
	if (*s == '\0')
		return true;
	zone->has_dst = true;
	zone->daylight.is_dst = true;
	zone->daylight.offset = zone->standard.offset + 3600;
	if (!take_abbreviation(&s, zone->daylight.name))
		return false;
	if (*s != ',')
	{
		if (!take_hms(&s, &west))
			return false;
		zone->daylight.offset = -west;
	}
	return take_day(&s, &zone->dst_begins) && take_day(&s, &zone->dst_ends) && *s == '\0';
}

/* ---------- a file ---------- */

/* Types and names of the 64-bit block at p; false when they make no sense. */
static bool
read_types(const unsigned char *p, const unsigned char *names, const Header *h, TsZone *zone)
{
	for (uint32 i = 0; i < h->type; i++, p += 6)
	{
		TsZoneType *type = &zone->types[i];
		size_t		len;

		type->offset = (int32) get_uint32(p);
		type->is_dst = p[4] != 0;
		if (p[5] >= h->chars ||
			type->offset > TS_SECS_PER_DAY || type->offset < -TS_SECS_PER_DAY)
			return false;
		len = strnlen((const char *) names + p[5], Min(sizeof(type->name) - 1, h->chars - p[5]));
		memcpy(type->name, names + p[5], len);
	}
	return true;
}

/* Changes ascend, and offsets can be added to their times (RFC 8536, 3.2). */
static bool
is_sane_change(const TsZone *zone, uint32 i)
{
	int64		at = zone->change_at[i];

	return at >= -MAX_CHANGE && at <= MAX_CHANGE && (i == 0 || at > zone->change_at[i - 1]);
}

/* The second, 64-bit block and the footer behind it. */
static bool
read_block(const unsigned char *p, size_t len, TsZone *zone)
{
	const unsigned char *times = p + HEADER_SIZE;
	const unsigned char *types;
	const unsigned char *footer;
	const unsigned char *end;
	char		rule[128];
	Header		h;

	if (!read_header(p, len, &h) || h.type == 0 || h.chars == 0 ||
		len < HEADER_SIZE + block_size(&h, 8))
		return false;
	zone->nchanges = h.time;
	zone->ntypes = h.type;
	zone->change_at = calloc(h.time + 1, sizeof(int64));
	zone->change_to = calloc(h.time + 1, sizeof(uint8));
	zone->types = calloc(h.type, sizeof(TsZoneType));
	if (zone->change_at == NULL || zone->change_to == NULL || zone->types == NULL)
		return false;

	for (uint32 i = 0; i < h.time; i++)
	{
		zone->change_at[i] = get_int64(times + 8 * i);
		zone->change_to[i] = times[8 * h.time + i];
		if (zone->change_to[i] >= h.type || !is_sane_change(zone, i))
			return false;
	}
	types = times + 9 * h.time;
	if (!read_types(types, types + 6 * h.type, &h, zone))
		return false;

	footer = p + HEADER_SIZE + block_size(&h, 8);
	end = footer < p + len ? memchr(footer + 1, '\n', p + len - footer - 1) : NULL;
	if (end == NULL || *footer != '\n' || end - footer > sizeof(rule))
		return false;
	memcpy(rule, footer + 1, end - footer - 1);
	rule[end - footer - 1] = '\0';
	zone->has_rule = rule[0] != '\0';
	return !zone->has_rule || parse_rule(rule, zone);
}

static bool
parse_file(const unsigned char *p, size_t len, TsZone *zone)
{
	Header		h;
	size_t		skip;

	if (!read_header(p, len, &h))
		return false;
	skip = HEADER_SIZE + block_size(&h, 4);
	return skip < len && read_block(p + skip, len - skip, zone);
}

/* A whole file, malloc'd; NULL when it is none or too large. */
static unsigned char *
read_file(const char *path, size_t *len)
{
	unsigned char *data = NULL;
	struct stat st;
	FILE	   *file;

	if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_FILE_SIZE)
		return NULL;
	file = fopen(path, "rb");
	if (file == NULL)
		return NULL;
	*len = st.st_size;
	data = malloc(*len + 1);
	if (data != NULL && fread(data, 1, *len, file) != *len)
	{
		free(data);
		data = NULL;
	}
	fclose(file);
	return data;
}

static void
free_zone(TsZone *zone)
{
	free(zone->change_at);
	free(zone->change_to);
	free(zone->types);
	free(zone);
}

/*
 * Zone names become file names: only what a zone's name may look like does.
 * "right/" zones count leap seconds, the other names are no zones of their own.
 */
static bool
looks_like_zone(const char *name)
{
	static const char *const unwanted[] = {
		"right/", "posix/", "posixrules", "localtime", "Factory"
	};
	size_t		len = strlen(name);

	if (len == 0 || len > TS_ZONE_NAME_MAX || name[len - 1] == '/')
		return false;
	if (!((name[0] >= 'A' && name[0] <= 'Z') || (name[0] >= 'a' && name[0] <= 'z')))
		return false;
	if (strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			   "0123456789_+-/") != len || strstr(name, "//") != NULL)
		return false;
	for (int i = 0; i < lengthof(unwanted); i++)
	{
		if (pg_strncasecmp(name, unwanted[i], strlen(unwanted[i])) == 0)
			return false;
	}
	return true;
}

static TsZone *
read_zone(const char *name)
{
	TsZone	   *zone = calloc(1, sizeof(TsZone));
	char		path[MAXPGPATH];
	unsigned char *data;
	size_t		len;
	bool		ok;

	if (zone == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/%s", zone_directory(), name);
	strlcpy(zone->name, name, sizeof(zone->name));
	data = read_file(path, &len);
	ok = data != NULL && parse_file(data, len, zone);
	free(data);
	if (ok)
		return zone;
	free_zone(zone);
	return NULL;
}

const TsZone *
ts_tzif_load(const char *name)
{
	TsZone	   *zone;

	for (zone = loaded; zone != NULL; zone = zone->next)
	{
		if (strcmp(zone->name, name) == 0)
			return zone;
	}
	if (!looks_like_zone(name))
		return NULL;
	zone = read_zone(name);
	if (zone != NULL)
	{
		zone->next = loaded;
		loaded = zone;
	}
	return zone;
}

/* Puts a directory entry's own spelling in place of "part"; false if none. */
static bool
respell_part(const char *directory, char *part)
{
	DIR		   *dir = opendir(directory);
	struct dirent *entry;
	bool		found = false;

	while (dir != NULL && !found && (entry = readdir(dir)) != NULL)
	{
		found = pg_strcasecmp(entry->d_name, part) == 0;
		if (found)
			memcpy(part, entry->d_name, strlen(part));
	}
	if (dir != NULL)
		closedir(dir);
	return found;
}

bool
ts_tzif_find_name(const char *any_case, char *name)
{
	char		path[MAXPGPATH];
	char	   *part;

	if (!looks_like_zone(any_case))
		return false;
	strlcpy(name, any_case, TS_ZONE_NAME_MAX + 1);
	if (ts_tzif_load(name) != NULL)
		return true;
	strlcpy(path, zone_directory(), sizeof(path));
	for (part = name; part != NULL;)
	{
		char	   *slash = strchr(part, '/');

		if (slash != NULL)
			*slash = '\0';
		if (!respell_part(path, part))
			return false;
		strlcat(path, "/", sizeof(path));
		strlcat(path, part, sizeof(path));
		if (slash != NULL)
			*slash = '/';
		part = slash ? slash + 1 : NULL;
	}
	return ts_tzif_load(name) != NULL;
}

/* ---------- what holds when ---------- */

/* Days since the epoch of a change in a year. */
static int64
day_of_change(const TsZoneDay *day, int year)
{
	int64		january = ts_days_from_civil(year, 1, 1);
	int64		first;
	int64		found;

	if (day->kind == 'N')
		return january + day->day;
	if (day->kind == 'J')
		return january + day->day - 1 +
			(day->day >= 60 && ts_date_is_valid(year, 2, 29) ? 1 : 0);
	first = ts_days_from_civil(year, day->month, 1);
	found = first + (day->day - (first + 4) % 7 + 7) % 7 + 7 * (day->week - 1);
	if (!ts_date_is_valid(year, day->month, found - first + 1))
		found -= 7;				/* the fifth one, if there is none, is the fourth */
	return found;
}

int64
ts_tzif_rule_day(const TsZone *zone, int year, bool begins)
{
	const TsZoneDay *day = begins ? &zone->dst_begins : &zone->dst_ends;
	int			offset = begins ? zone->standard.offset : zone->daylight.offset;

	return day_of_change(day, year) * TS_SECS_PER_DAY + day->time - offset;
}

static const TsZoneType *
type_by_rule(const TsZone *zone, int64 utc_seconds)
{
	int64		begins;
	int64		ends;
	TsCivil		wall;
	bool		is_dst;

	if (!zone->has_dst ||
		!ts_wall_from_seconds(utc_seconds + zone->standard.offset, &wall))
		return &zone->standard;
	begins = ts_tzif_rule_day(zone, wall.year, true);
	ends = ts_tzif_rule_day(zone, wall.year, false);
	if (begins < ends)
		is_dst = utc_seconds >= begins && utc_seconds < ends;
	else
		is_dst = utc_seconds >= begins || utc_seconds < ends;
	return is_dst ? &zone->daylight : &zone->standard;
}

const TsZoneType *
ts_tzif_type_at(const TsZone *zone, int64 utc_seconds)
{
	int			low = 0;
	int			high = zone->nchanges;

	if (high == 0 || utc_seconds >= zone->change_at[high - 1])
	{
		if (zone->has_rule)
			return type_by_rule(zone, utc_seconds);
		return &zone->types[high == 0 ? 0 : zone->change_to[high - 1]];
	}
	if (utc_seconds < zone->change_at[0])
		return &zone->types[0];
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (zone->change_at[middle] <= utc_seconds)
			low = middle;
		else
			high = middle;
	}
	return &zone->types[zone->change_to[low]];
}
