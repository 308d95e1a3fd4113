import type { TranslationBundle } from '@jupyterlab/translation';

import { reasonLabel } from './status';
import type { ISession } from './types';

/** A clock time today, as people write it. */
function clock(at: string | undefined): string {
  return new Date(at ?? '').toLocaleTimeString([], { timeStyle: 'short' });
}

/** Whether a session ended at its idle timeout or time limit, as expected. */
export function isAtLimit(session: ISession): boolean {
  return !!session.ends_why && session.status !== 'ERROR';
}

function wordsForOne(session: ISession, trans: TranslationBundle): string {
  const { name, status, status_info } = session;
  const words =
    status === 'ERROR'
      ? trans.__("Session '%1' failed", name)
      : trans.__("Session '%1' ended", name);
  return status_info ? `${words}: ${reasonLabel(status_info, trans)}` : words;
}

/** The notification about sessions that ended without a request. */
export function wordsForEnds(
  sessions: readonly ISession[],
  trans: TranslationBundle
): string {
  const count = sessions.length.toLocaleString();
  if (sessions.length === 1) {
    return wordsForOne(sessions[0], trans);
  }
  if (sessions.every(isAtLimit)) {
    return trans.__('%1 sessions ended at their limits', count);
  }
  return sessions.every(({ status }) => status === 'ERROR')
    ? trans.__('%1 sessions failed', count)
    : trans.__('%1 sessions ended unexpectedly', count);
}

/** The notification about sessions that end soon. */
export function wordsForSoon(
  sessions: readonly ISession[],
  trans: TranslationBundle
): string {
  const [first] = [...sessions].sort(
    (a, b) => Date.parse(a.ends_at ?? '') - Date.parse(b.ends_at ?? '')
  );
  const time = clock(first.ends_at);
  if (sessions.length > 1) {
    const count = sessions.length.toLocaleString();
    return trans.__('%1 sessions end soon, the first at %2', count, time);
  }
  return first.ends_why === 'idle'
    ? trans.__("Session '%1' is not used and ends at %2", first.name, time)
    : trans.__("Session '%1' reaches its time limit at %2", first.name, time);
}

/** The sessions of two lists, each once, in their latest state. */
export function merged(
  before: readonly ISession[],
  more: readonly ISession[]
): ISession[] {
  const rows = [...before, ...more];
  return [
    ...new Map(rows.map(row => [`${row.backend}/${row.id}`, row])).values()
  ];
}
