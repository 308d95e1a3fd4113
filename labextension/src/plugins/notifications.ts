import { Notification } from '@jupyterlab/apputils';

import { Message } from '../message';
import { isAtLimit, merged, wordsForEnds } from '../endmessages';
import { CommandIDs, type IOutcome } from '../tokens';
import type { ISession } from '../types';
import { type INotifierEnv, notifierPlugin } from './notifier';

/** The button that shows the sessions of a notification. */
export function showButton({ app, trans }: INotifierEnv): Notification.IAction {
  return {
    label: trans.__('Show'),
    callback: () => void app.commands.execute(CommandIDs.showEnded)
  };
}

/** A notification that collects all ends of one kind until it is dismissed. */
class Ends {
  constructor(
    private readonly _kind: 'error' | 'warning',
    private readonly _env: INotifierEnv
  ) {}

  add(sessions: ISession[]): void {
    if (sessions.length === 0) {
      return;
    }
    const before = this._message.isShown ? this._sessions : [];
    this._sessions = merged(before, sessions);
    const words = wordsForEnds(this._sessions, this._env.trans);
    this._message.show(words, this._kind, [showButton(this._env)]);
  }

  private _sessions: ISession[] = [];
  private readonly _message = new Message(Notification.manager);
}

/** Notifies of sessions that ended without a request. */
export const notificationsPlugin = notifierPlugin(
  'notifications',
  'Tells why a compute session ended when nobody ended it.',
  env => {
    // An end at a limit is expected; any other end is a failure
    const [failures, limits] = [
      new Ends('error', env),
      new Ends('warning', env)
    ];
    env.model.settled.connect((_, outcomes: IOutcome[]) => {
      const odd = outcomes
        .filter(outcome => !outcome.expected)
        .map(({ session }) => session);
      failures.add(odd.filter(row => !isAtLimit(row)));
      limits.add(odd.filter(isAtLimit));
    });
  }
);
