/*-------------------------------------------------------------------------
 *
 * winzones.h
 *	  Windows time zone names, as Microsoft's services and clients write them.
 *
 * ts_windows_zone: the IANA name of a Windows time zone, or NULL.
 * ts_windows_zone_nth: the IANA names of that table; NULL ends.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_WINZONES_H
#define TASKSYNC_WINZONES_H

extern const char *ts_windows_zone(const char *name);
extern const char *ts_windows_zone_nth(int n);

#endif							/* TASKSYNC_WINZONES_H */
