/*-------------------------------------------------------------------------
 *
 * provider.h
 *	  Tasks in Microsoft To Do ("Outlook"), through Microsoft Graph.
 *
 *-------------------------------------------------------------------------
 */
#ifndef TASKSYNC_OUTLOOK_PROVIDER_H
#define TASKSYNC_OUTLOOK_PROVIDER_H

#include "provider/provider.h"

extern const TsProvider ts_outlook_provider;

#endif							/* TASKSYNC_OUTLOOK_PROVIDER_H */
