/*-------------------------------------------------------------------------
 *
 * pgshim.h
 *	  Starting and ending a program that runs the pure rooms without a server;
 *	  see pgshim.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGSHIM_H
#define PGSHIM_H

extern void pgshim_start(void);
extern void pgshim_stop(void);

#endif							/* PGSHIM_H */
