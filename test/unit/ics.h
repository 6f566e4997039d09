/*-------------------------------------------------------------------------
 *
 * ics.h
 *	  Helpers of the codec's tests: samples, edits by JSON, differences.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ICS_H
#define ICS_H

#include "provider/caldav/vtodo.h"

/* 2026-11-22 12:00:00 UTC, the time at which all test edits are made. */
#define ICS_NOW		INT64CONST(1795348800000000)

extern const TsVtodoOptions ics_options;

/* The samples' folder and the names in it (without ".ics"), NULL at the end. */
extern const char *ics_folder;
extern char **ics_samples(void);
extern char *ics_read(const char *name);

/* Decodes; the values that are set as a JSON object.  An error as its SQLSTATE. */
extern char *ics_decode(const char *text);

/*
 * Encodes the fields that a JSON object names onto a text (or NULL: new); an
 * error as its SQLSTATE.
 */
extern char *ics_edit(const char *onto, const char *json, const TsVtodoOptions *opt);

/*
 * What an edit did to the lines, unfolded, as a multiset: "-line" for those
 * that went, "+line" for the new ones (of equal lines the last count as new);
 * DTSTAMP and LAST-MODIFIED left out.
 */
extern char *ics_difference(const char *before, const char *after);

#endif							/* ICS_H */
