import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';

import { statusLabel } from '../status';
import { type IOutcome, PANEL_ID } from '../tokens';
import type { ISession } from '../types';
import { tellingPlugin } from './telling';

/** With more ends at once than this, one message speaks for all. */
const TOLD_ONE_BY_ONE = 3;

function describe(session: ISession, trans: TranslationBundle): string {
  const reason =
    session.status_info || statusLabel(session.status, trans).toLowerCase();
  return session.status === 'ERROR'
    ? trans.__('Session %1 failed: %2', session.name, reason)
    : trans.__('Session %1 ended: %2', session.name, reason);
}

function tell(
  message: string,
  isLimit: boolean,
  action: Notification.IAction
): void {
  // An end set by a limit was to be expected; any other is a failure
  const notify = isLimit ? Notification.warning : Notification.error;
  notify(message, { autoClose: false, actions: [action] });
}

/** Tells of sessions that ended without anybody asking for it. */
export const notificationsPlugin = tellingPlugin(
  'notifications',
  'Tells why a compute session ended when nobody ended it.',
  ({ app, model, trans }) => {
    const show = {
      label: trans.__('Show sessions'),
      callback: () => app.shell.activateById(PANEL_ID)
    };
    model.settled.connect((_, outcomes: IOutcome[]) => {
      const odd = outcomes.filter(outcome => !outcome.expected);
      if (odd.length > TOLD_ONE_BY_ONE) {
        const example = describe(odd[0].session, trans);
        const count = odd.length - 1;
        tell(trans.__('%1 (and %2 more)', example, count), false, show);
        return;
      }
      odd.forEach(({ session }) =>
        tell(describe(session, trans), !!session.ends_why, show)
      );
    });
  }
);
