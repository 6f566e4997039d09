/*-------------------------------------------------------------------------
 *
 * tzif_fuzz.c
 *	  Time zone files.  Includes the reader whole: what it reads is static.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fuzz.h"
#include "task/tzif.c"

static const int64 moments[] = {
	INT64CONST(-62135596800) - 86400, INT64CONST(-62135596800), -86401, 0, 1795348800, 2147483647,
	INT64CONST(4102444800), INT64CONST(253402300799), INT64CONST(253402300799) + 86400
};

void
fuzz_one(const char *data, size_t len)
{
	TsZone	   *zone = calloc(1, sizeof(TsZone));

	if (parse_file((const unsigned char *) data, len, zone))
	{
		for (int i = 0; i < lengthof(moments); i++)
		{
			const TsZoneType *type = ts_tzif_type_at(zone, moments[i]);

			fuzz_check(type != NULL && strnlen(type->name, sizeof(type->name)) < sizeof(type->name) &&
					   Abs(type->offset) <= 1000 * 3600 + 1000 * 61, "%d", i);
		}
		for (int i = 0; i < zone->nchanges && i < 10; i++)
		{
			ts_tzif_type_at(zone, zone->change_at[i]);
			ts_tzif_type_at(zone, zone->change_at[i] - 1);
		}
		if (zone->has_dst)
		{
			ts_tzif_rule_day(zone, 1, true);
			ts_tzif_rule_day(zone, 9999, false);
		}
	}
	free_zone(zone);
}
