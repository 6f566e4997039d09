/*-------------------------------------------------------------------------
 *
 * ics_edit.h
 *	  Edits of iCalendar objects drawn by chance, and what must hold of each.
 *
 * For the codec's property test and its fuzzer, which differ in where chance
 * comes from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef ICS_EDIT_H
#define ICS_EDIT_H

#include "provider/caldav/vtodo.h"

/* A number below n, which is at most 256. */
typedef uint32 (*IcsChance) (uint32 n);

/* Draws an edit: task->known are the fields that change. */
extern void ics_draw_edit(TsTask *task, IcsChance chance);

/*
 * What does not hold of an edit of "before" (which has a VTODO), in words;
 * NULL when all is well:
 *	  - what is wanted is what the edited text decodes to;
 *	  - fields that were not changed decode as before;
 *	  - only lines of the changed fields differ, and the others are the same
 *		bytes in the same order;
 *	  - encoding the new text's own values onto it changes no byte;
 *	  - the same edit again changes no byte.
 */
extern char *ics_check_edit(const char *before, const TsTask *want);

/* The same of a new object. */
extern char *ics_check_new(const TsTask *want);

/* Encoding a text's own values onto it must change no byte. */
extern char *ics_check_identity(const char *text);

#endif							/* ICS_EDIT_H */
