import type { TranslationBundle } from '@jupyterlab/translation';

import type { IBackend, ISession } from './types';

/** The meaning of a status for people; each has an icon and a colour. */
export type Phase =
  | 'waiting'
  | 'starting'
  | 'running'
  | 'degraded'
  | 'suspended'
  | 'stopping'
  | 'failed'
  | 'ended'
  | 'unknown';

const PHASES: Record<string, Phase> = {
  PENDING: 'waiting',
  SCHEDULED: 'waiting',
  PULLING: 'starting',
  PREPARING: 'starting',
  PREPARED: 'starting',
  CREATING: 'starting',
  RESTARTING: 'starting',
  RESIZING: 'starting',
  RUNNING: 'running',
  RUNNING_DEGRADED: 'degraded',
  SUSPENDED: 'suspended',
  TERMINATING: 'stopping',
  ERROR: 'failed',
  TERMINATED: 'ended',
  CANCELLED: 'ended'
};

export function phaseOf(status: string): Phase {
  return PHASES[status] ?? 'unknown';
}

/**
 * The word for a status; an unknown status is shown unchanged. The commands
 * print the same words: `status_word` in model.py.
 */
export function statusLabel(status: string, trans: TranslationBundle): string {
  const labels: Record<string, string> = {
    PENDING: trans.__('Waiting'),
    SCHEDULED: trans.__('Waiting'),
    PULLING: trans.__('Starting'),
    PREPARING: trans.__('Starting'),
    PREPARED: trans.__('Starting'),
    CREATING: trans.__('Starting'),
    RUNNING: trans.__('Running'),
    RUNNING_DEGRADED: trans.__('Running, degraded'),
    RESTARTING: trans.__('Restarting'),
    RESIZING: trans.__('Resizing'),
    SUSPENDED: trans.__('Suspended'),
    TERMINATING: trans.__('Terminating'),
    TERMINATED: trans.__('Ended'),
    ERROR: trans.__('Failed'),
    CANCELLED: trans.__('Cancelled')
  };
  return labels[status] ?? status;
}

export function isLive(session: ISession): boolean {
  return phaseOf(session.status) !== 'ended';
}

/** Whether the services of a session can be opened. */
export function isRunning(session: ISession): boolean {
  const phase = phaseOf(session.status);
  return phase === 'running' || phase === 'degraded';
}

/** Whether the services of a session can be opened, now or once it runs. */
export function canServe(session: ISession): boolean {
  return !['failed', 'stopping', 'ended'].includes(phaseOf(session.status));
}

export function canTerminate(session: ISession): boolean {
  return isLive(session) && phaseOf(session.status) !== 'stopping';
}

export function canRestart(session: ISession, backend?: IBackend): boolean {
  return isRunning(session) && !!backend?.capabilities?.includes('restart');
}

/** Whether a session has not started yet, so that its end loses nothing. */
export function isWaiting(session: ISession): boolean {
  return phaseOf(session.status) === 'waiting';
}

/** Whether notebooks can run in a session. */
export function canAttach(session: ISession, backend?: IBackend): boolean {
  return isRunning(session) && !!backend?.capabilities?.includes('connection');
}

/** The backends' code for an end that a user requested. */
const ON_REQUEST = 'user-requested';

/** A reason in words; most reasons are words already. */
export function reasonLabel(reason: string, trans: TranslationBundle): string {
  // Source of the codes: Backend.AI manager 25.5.2
  const labels: Record<string, string> = {
    [ON_REQUEST]: trans.__('on request'),
    'no-available-instances': trans.__(
      'waiting for a machine with room for it'
    ),
    'predicate-checks-failed': trans.__(
      'waiting: your limits allow no more now'
    )
  };
  return labels[reason] ?? reason;
}

/** Whether an end needs no explanation, as a user requested it or the work is done. */
export function endedAsWished(session: ISession): boolean {
  return (
    session.status !== 'ERROR' &&
    (session.status_info === ON_REQUEST ||
      session.result?.toUpperCase() === 'SUCCESS')
  );
}
