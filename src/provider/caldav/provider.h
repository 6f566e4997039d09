/*-------------------------------------------------------------------------
 *
 * provider.h
 *	  The CalDAV provider as the registry sees it: one constant.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_CALDAV_PROVIDER_H
#define TASKSYNC_CALDAV_PROVIDER_H

#include "provider/provider.h"

extern const TsProvider ts_caldav_provider;

#endif							/* TASKSYNC_CALDAV_PROVIDER_H */
